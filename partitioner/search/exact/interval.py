"""One step of the exact engine: all plans that matter under a bound on the bottleneck and up to a latency."""

from dataclasses import dataclass

import numpy as np

from partitioner.front import front_indices
from partitioner.search.encoding import EncodedPlan
from partitioner.search.exact.arrays import IndexArray, Labels, Rest
from partitioner.search.exact.labels import Corridor, find_labels
from partitioner.search.exact.rest import ROUNDING, find_rest
from partitioner.search.exact.tables import ExactTables
from partitioner.search.problem import SearchProblem

UNBOUNDED = float(np.finfo(np.float64).max)
"""The bound that every possible plan keeps; infinity would let impossible ones in."""
ROOM = 1e-9
"""Relative room for the rounding of `find_rest`, whose sums are ordered otherwise than those of the labels."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Limit:
    """A bound on the bottleneck and the least latency under it, within `ROOM`."""

    bound: float
    latency: float
    """Infinity where no plan keeps the bound."""
    rest: Rest | None
    """None where it is not kept, or no plan keeps the bound; `find_limit` makes it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A plan under a limit that no other plan under it dominates."""

    plan: EncodedPlan
    latency: float
    bottleneck: float


def find_limit(tables: ExactTables, bound: float) -> Limit:
    """The limit at a bound."""
    rest = Rest(
        before=np.empty(tables.shape),
        after=np.empty(tables.shape),
        reach=np.empty(tables.chain.sums.shape, dtype=np.int64),
        clear=np.empty(tables.chain.sums.shape, dtype=np.int64),
    )
    bound = min(bound, UNBOUNDED)
    return Limit(bound=bound, latency=find_rest(tables.chain, bound, rest), rest=rest)


def make_labels(tables: ExactTables, capacity: int) -> Labels:
    """Room for `capacity` labels."""
    return _with_capacity(capacity, np.full(tables.shape, -1, dtype=np.int32))


def doubled(labels: Labels) -> Labels:
    """Room for twice as many; shares `heads`."""
    return _with_capacity(2 * len(labels.latency), labels.heads)


def find_plans(
    problem: SearchProblem, tables: ExactTables, limit: Limit, latency: float, labels: Labels
) -> list[Found] | None:
    """The front under a limit as far as it takes no longer than `latency`.

    Returns:
        Least latency first; a little above `latency` is looked at, for rounding. None where the labels have no room.
    """
    if limit.rest is None or not np.isfinite(limit.latency):
        return []
    ceiling = min(latency * (1 + ROOM) + 100 * ROUNDING * tables.longest_seconds, UNBOUNDED)
    corridor = Corridor(chain=tables.chain, rest=limit.rest, bound=limit.bound, ceiling=ceiling)
    n_labels = find_labels(corridor, labels)
    return None if n_labels > len(labels.latency) else _finished(problem, tables, limit, labels, n_labels)


def _finished(problem: SearchProblem, tables: ExactTables, limit: Limit, labels: Labels, n_labels: int) -> list[Found]:
    end = tables.shape[1] - 1
    ends = np.flatnonzero(labels.is_alive[:n_labels] & (labels.position[:n_labels] == end))
    kinds = tables.chain.type_of[labels.row[ends]]
    latency = labels.latency[ends] + tables.chain.hops[kinds, -1, end]
    bottleneck = np.maximum(labels.peak[ends], tables.chain.busy[kinds, -1, end])
    kept = np.flatnonzero(bottleneck <= limit.bound)
    chosen = kept[front_indices(np.column_stack([latency[kept], bottleneck[kept]]))]
    return [
        Found(
            plan=_trace(problem, tables, labels, int(ends[index])),
            latency=float(latency[index]),
            bottleneck=float(bottleneck[index]),
        )
        for index in chosen
    ]


def _trace(problem: SearchProblem, tables: ExactTables, labels: Labels, label: int) -> EncodedPlan:
    """The plan that ends with a label; devices of one type are taken in their order."""
    stages: list[tuple[int, int]] = []
    while label >= 0:
        stages.append((int(tables.chain.type_of[labels.row[label]]), int(labels.position[label])))
        label = int(labels.parent[label])
    stages.reverse()
    devices = tables.types.take([kind for kind, _ in stages])
    return [(device, int(problem.positions[position])) for device, (_, position) in zip(devices, stages, strict=True)]


def _with_capacity(capacity: int, heads: IndexArray) -> Labels:
    return Labels(
        latency=np.empty(capacity),
        peak=np.empty(capacity),
        row=np.empty(capacity, dtype=np.int32),
        position=np.empty(capacity, dtype=np.int32),
        parent=np.empty(capacity, dtype=np.int32),
        link=np.empty(capacity, dtype=np.int32),
        is_alive=np.empty(capacity, dtype=np.bool_),
        heads=heads,
    )
