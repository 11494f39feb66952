"""From a connected fleet to a cluster, and from cost models to a front."""

from collections.abc import Callable, Sequence

from coordinator.fleet import Fleet
from coordinator.link_probe import link_probe
from coordinator.probing import fit_link, probe_adaptively
from coordinator.shared_cores import shared_processors
from coordinator.wishes import SearchWish
from partitioner.cluster import CLIENT, Cluster, Link
from partitioner.cost import CostModel
from partitioner.errors import PlanError
from partitioner.search import search
from partitioner.search.result import SearchResult
from partitioner.search.variants import search_variants


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
        media=fleet.config.shared_media,
        processors=shared_processors(fleet.nodes),
    )


def _probe_link(fleet: Fleet, source: str, target: str) -> Link:
    fit = fit_link(probe_adaptively(link_probe(fleet, source, target)))
    return Link(
        source=source,
        target=target,
        fixed_seconds=fit.fixed_seconds,
        bytes_per_second=fit.bytes_per_second,
        busy_bytes_per_second=fit.busy_bytes_per_second,
        jitter_seconds=fit.jitter_seconds,
        emulation=fleet.config.describe_link(source, target),
    )


def search_front(
    cost_models: Sequence[CostModel], wish: SearchWish, on_progress: Callable[[float, str], None] | None
) -> SearchResult:
    """The front that is wished for under cost models, which may differ in batch.

    Raises:
        PlanError: The wish does not fit the cluster or the engine.
        ChoiceError: A bound cannot be read.
        InfeasibleError: No plan satisfies the constraints.
        NoneFoundError: The engine found none within the budget.
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
