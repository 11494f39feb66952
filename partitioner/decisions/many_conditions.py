"""One search problem under thousands of states of its links: fronts, and what plans cost, in parts that go anywhere.

A part is some of the conditions. What comes out depends on no other part, and sums over conditions are of parts of
`PART` conditions, added in their order: so the numbers are the same whoever computed them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from partitioner.cluster import Cluster
from partitioner.front import BoolArray, FloatArray, IntArray, front_indices
from partitioner.search.building import link_arrays
from partitioner.search.encoding import EncodedPlans, encode_plans, evaluate, join_plans, legs
from partitioner.search.outcome import Effort
from partitioner.search.problem import SearchProblem
from partitioner.search.registry import ENGINES, default_engine

PART = 20
"""Conditions of a part."""
ALIKE = 1e-9
"""Share by which two busy times may differ and be taken for the same."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class LinkStates:
    """Links under each condition; each is (n_conditions, n_devices + 1, n_devices + 1), as in `SearchProblem`."""

    fixed_seconds: FloatArray
    bytes_per_second: FloatArray
    busy_bytes_per_second: FloatArray

    def __len__(self) -> int:
        return len(self.fixed_seconds)

    def parts(self) -> tuple["LinkStates", ...]:
        """The same in parts."""
        edges = range(0, len(self), PART)
        return tuple(
            LinkStates(
                fixed_seconds=self.fixed_seconds[first : first + PART],
                bytes_per_second=self.bytes_per_second[first : first + PART],
                busy_bytes_per_second=self.busy_bytes_per_second[first : first + PART],
            )
            for first in edges
        )

    def problems(self, nominal: SearchProblem) -> Iterator[SearchProblem]:
        """The problem under each condition."""
        for fixed, rate, busy in zip(
            self.fixed_seconds, self.bytes_per_second, self.busy_bytes_per_second, strict=True
        ):
            yield nominal.with_links(fixed, rate, busy)


def link_states(clusters: Sequence[Cluster], device_names: tuple[str, ...]) -> LinkStates:
    """The links of clusters that have the same devices."""
    fixed, rate, busy = zip(*(link_arrays(cluster, device_names) for cluster in clusters), strict=True)
    sustained = [one if other is None else other for one, other in zip(rate, busy, strict=True)]
    return LinkStates(
        fixed_seconds=np.stack(fixed), bytes_per_second=np.stack(rate), busy_bytes_per_second=np.stack(sustained)
    )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Fronts:
    """The fronts of some conditions, one after another."""

    plans: EncodedPlans
    points: FloatArray
    """(n_points, 2) latency and bottleneck."""
    is_link_bound: BoolArray
    """(n_points,) whether no resource is busier than a link between two devices, or a medium that links share."""
    lengths: IntArray
    """(n_conditions,) points of each front; 0 where no plan is possible."""


def find_fronts(nominal: SearchProblem, links: LinkStates) -> Fronts:
    """The exact front of each condition; of plans with equal figures one that does not split is kept."""
    engine = ENGINES[default_engine(nominal)]
    whole = whole_plans(nominal)
    fronts, points, bound = [], [], []
    for problem in links.problems(nominal):
        plans = join_plans(whole, engine(problem, Effort()).plans)
        figures = evaluate(problem, plans)
        kept = front_indices(figures)
        kept = kept[np.isfinite(figures[kept, 0])]
        fronts.append(plans.take(kept))
        points.append(figures[kept])
        bound.append(_between_seconds(problem, fronts[-1]) >= points[-1][:, 1] * (1 - ALIKE))
    return Fronts(
        plans=join_plans(*fronts),
        points=np.concatenate(points),
        is_link_bound=np.concatenate(bound),
        lengths=np.array([len(front) for front in fronts], dtype=np.int64),
    )


def join_fronts(parts: Sequence[Fronts]) -> Fronts:
    """The fronts of all parts, in order."""
    return Fronts(
        plans=join_plans(*(part.plans for part in parts)),
        points=np.concatenate([part.points for part in parts]),
        is_link_bound=np.concatenate([part.is_link_bound for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
    )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PoolPart:
    """Plans to be judged under some conditions."""

    plans: EncodedPlans
    links: LinkStates
    best: FloatArray
    """(n_conditions, 2) the least of each objective; infinity where no plan is possible."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class PoolRegrets:
    """Regrets over the conditions under which some plan is possible. Each is (n_plans, 2)."""

    worst: FloatArray
    total: FloatArray


def judge_pool(nominal: SearchProblem, part: PoolPart) -> PoolRegrets:
    """Regrets of plans under some conditions; 0 under none."""
    is_possible = np.isfinite(part.best[:, 0])
    regrets = cost_pool(nominal, part)[is_possible] / part.best[is_possible, None] - 1
    return PoolRegrets(worst=regrets.max(axis=0, initial=0.0), total=regrets.sum(axis=0))


def cost_pool(nominal: SearchProblem, part: PoolPart) -> FloatArray:
    """(n_conditions, n_plans, 2) latency and bottleneck of plans; infinity where one is not possible."""
    return np.stack([evaluate(problem, part.plans) for problem in part.links.problems(nominal)])


def whole_plans(problem: SearchProblem) -> EncodedPlans:
    """The whole model on each single device."""
    alone = np.flatnonzero(problem.crew_sizes[:-1] == 1).tolist()
    return encode_plans(problem, [[(device, problem.n_units)] for device in alone])


def pair_plans(problem: SearchProblem) -> EncodedPlans:
    """Every split of the model between every ordered pair of single devices."""
    alone = np.flatnonzero(problem.crew_sizes[:-1] == 1).tolist()
    points = problem.positions[1:-1].tolist()
    if problem.max_stages < 2:
        return encode_plans(problem, [])
    pairs = [(one, other) for one in alone for other in alone if one != other]
    return encode_plans(problem, [[(one, point), (other, problem.n_units)] for one, other in pairs for point in points])


def without_model(problem: SearchProblem) -> SearchProblem:
    """The arrays alone, for those who are far away."""
    return replace(problem, cost_model=None)


def _between_seconds(problem: SearchProblem, plans: EncodedPlans) -> FloatArray:
    """(n_plans,) for how long the busiest link between two devices is busy, or the busiest medium that links share."""
    longest, client, media = np.zeros(len(plans)), problem.n_devices, problem.media_seconds
    shared = np.zeros((0 if media is None else len(media), len(plans)))
    for leg in legs(problem, plans):
        is_between = leg.hops & (leg.source != client) & (leg.target != client)
        seconds = problem.busy_seconds[leg.source, leg.target, leg.start]
        longest = np.maximum(longest, np.where(is_between, seconds, 0.0))
        if media is not None:
            shared = shared + np.where(leg.hops, media[:, leg.source, leg.target, leg.start], 0.0)
    found: FloatArray = np.maximum(longest, shared.max(axis=0, initial=0.0))
    return found
