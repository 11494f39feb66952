"""Profiles of all nodes, hosts side by side."""

from collections.abc import Mapping, Sequence

from coordinator.fleet import Fleet, on_each_node
from coordinator.profile_cache import ProfileCache
from coordinator.profiling.effort import N_ROUNDS, TOLERANCE, OnProgress, ProfileEffort, ignore_progress
from coordinator.profiling.node_profile import profile_node
from coordinator.profiling.spans import Span
from partitioner.onnx_io import Model
from partitioner.profile import Profile


def profile_fleet(
    fleet: Fleet,
    model: Model,
    spans_of: Mapping[str, Sequence[Span]],
    *,
    n_rounds: int = N_ROUNDS,
    budget_seconds: float = 60.0,
    tolerance: float = TOLERANCE,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
    cache: ProfileCache | None = None,
    is_fresh: bool = False,
) -> Profile:
    """Times spans on every node; nodes of one host one after another, hosts side by side.

    Args:
        fleet: Connected nodes.
        model: What is profiled.
        spans_of: For each node's name the spans to time there; a node without any is left alone.
        n_rounds: At most so often each span is timed.
        budget_seconds: For each node, for the rounds.
        tolerance: A span is no longer timed once half the 95 % interval of its median, over the median, is at most
            this; 0 never stops early.
        seed: Of the order in each round.
        on_progress: Told while it works.
        cache: Where times of earlier runs are, and where those of this run are kept while it goes on.
        is_fresh: Times all spans, whatever the cache holds; its entries are replaced.

    Raises:
        NodeError: A node failed; what was timed until then is in the cache.
    """
    effort = ProfileEffort(n_rounds=n_rounds, budget_seconds=budget_seconds, tolerance=tolerance, seed=seed)
    profiles = on_each_node(
        (node for node in fleet.nodes if spans_of.get(node.name)),
        lambda node: profile_node(
            node,
            model,
            spans_of[node.name],
            effort=effort,
            on_progress=on_progress,
            cache=cache,
            is_fresh=is_fresh,
        ),
    )
    graph = model.graph
    return Profile(model_sha256=graph.model_sha256, batch=graph.batch, n_units=graph.n_units, devices=tuple(profiles))
