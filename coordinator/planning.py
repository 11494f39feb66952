"""From a connected fleet to a front: probe, profile, search, measure the front's own segments, search again."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from coordinator.fleet import Fleet
from coordinator.probing import fit_link, probe_adaptively
from coordinator.profile_cache import ProfileCache
from coordinator.profiling import (
    OnProgress,
    ignore_progress,
    merge_profiles,
    profile_fleet,
    unmeasured_spans,
)
from coordinator.wishes import SearchWish
from node_agent.dataplane.probing import probe
from node_agent.messages import ProbeRequest, ProbeSample
from partitioner.cluster import CLIENT, Cluster, Link
from partitioner.cost import CostModel
from partitioner.errors import PlanError
from partitioner.onnx_io import Model
from partitioner.profile import Profile
from partitioner.search import search
from partitioner.search.result import SearchResult
from partitioner.search.variants import search_variants

N_CORRECTIONS = 4
"""At most so often the front's segments are measured and the search repeated."""


def probe_links(fleet: Fleet, on_progress: Callable[[str, int, int], None]) -> Cluster:
    """The cluster with every link probed by the data plane, one after another, so that none disturbs another.

    Raises:
        NodeError: A node could not be reached.
    """
    places = [CLIENT, *(node.name for node in fleet.nodes)]
    pairs = [
        (source, target)
        for source in places
        for target in places
        if source != target and not fleet.config.is_forbidden(source, target)
    ]
    links = []
    for n_done, (source, target) in enumerate(pairs):
        on_progress(f"{source} → {target}", n_done, len(pairs))
        links.append(_probe_link(fleet, source, target))
    on_progress("links", len(pairs), len(pairs))
    return Cluster(
        name=fleet.config.name,
        devices=tuple(node.device for node in fleet.nodes),
        links=tuple(links),
    )


def _probe_link(fleet: Fleet, source: str, target: str) -> Link:
    samples = probe_adaptively(partial(_probe, fleet, source, target))
    fixed_seconds, bytes_per_second = fit_link(samples)
    return Link(
        source=source,
        target=target,
        fixed_seconds=fixed_seconds,
        bytes_per_second=bytes_per_second,
        emulation=fleet.config.describe_link(source, target),
    )


def _probe(fleet: Fleet, source: str, target: str, sizes_bytes: Sequence[int], n_rounds: int) -> Sequence[ProbeSample]:
    """Messages from `source` to `target`; those to the client are asked for by it, since nobody can dial it."""
    is_download = target == CLIENT
    asking, answering = (target, source) if is_download else (source, target)
    request = ProbeRequest(
        target_address=fleet.node_of[answering].address,
        link=fleet.config.link_emulation(asking, answering),
        link_back=fleet.config.link_emulation(answering, asking),
        sizes_bytes=tuple(sizes_bytes),
        n_rounds=n_rounds,
        is_download=is_download,
    )
    if asking == CLIENT:
        return probe(request, tls=fleet.node_of[answering].tls)
    return fleet.node_of[asking].client.probe_link(request)


def search_front(
    cost_models: Sequence[CostModel], wish: SearchWish, on_progress: Callable[[float, str], None] | None
) -> SearchResult:
    """The front that is wished for under cost models, which may differ in batch.

    Raises:
        PlanError: The wish does not fit the cluster or the engine.
        ChoiceError: A bound cannot be read.
        InfeasibleError: No plan satisfies the constraints.
    """
    problems = [wish.problem(model) for base in cost_models for model in wish.models(base)]
    if len(problems) == 1 and not wish.windows:
        return search(
            problems[0],
            wish.engine,
            seed=wish.seed,
            budget_seconds=wish.budget_seconds,
            accuracy=wish.accuracy,
            checkpoint=wish.checkpoint,
            on_progress=on_progress,
        )
    if wish.checkpoint is not None:
        raise PlanError("A checkpoint holds one search: give no --windows and no --also with it.")
    return search_variants(
        problems,
        wish.engine,
        seed=wish.seed,
        budget_seconds=wish.budget_seconds,
        accuracy=wish.accuracy,
        on_progress=on_progress,
    )


def correct_front(
    fleet: Fleet,
    model: Model,
    cost_model: CostModel,
    wish: SearchWish,
    *,
    on_progress: OnProgress = ignore_progress,
    cache: ProfileCache | None = None,
) -> tuple[Profile, SearchResult]:
    """Measures the front's own segments where that was not done, and searches again, until the front stands still."""
    result = search_front((cost_model,), wish, None)
    for _ in range(N_CORRECTIONS):
        stages = [
            (device, stage.start, stage.stop)
            for candidate in result.front
            for stage in candidate.plan.stages
            for device in stage.devices
        ]
        missing = unmeasured_spans(cost_model.profile, stages)
        if not missing:
            break
        newer = profile_fleet(
            fleet, model, missing, budget_seconds=20.0, seed=wish.seed, on_progress=on_progress, cache=cache
        )
        cost_model = replace(cost_model, profile=merge_profiles(cost_model.profile, newer))
        result = search_front((cost_model,), wish, None)
    return cost_model.profile, result
