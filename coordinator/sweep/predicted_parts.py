"""From arrays to a `PredictedSweep`. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from coordinator.sweep.axes import Axes
from coordinator.sweep.predicted import OBJECTIVES, PredictedCondition, PredictedCover, PredictedPlan, PredictedSweep
from partitioner.cluster import Cluster
from partitioner.comparison import beyond
from partitioner.cost import CostModel
from partitioner.decisions.candidates import check_candidates, plan_kind
from partitioner.decisions.contraction import Contraction, find_contraction
from partitioner.decisions.cover import CoverCriterion, best_cover
from partitioner.decisions.crossover import CrossoverMap, crossover_map
from partitioner.decisions.many_conditions import Fronts
from partitioner.front import BoolArray, FloatArray, IntArray, knee_index
from partitioner.hypervolume import hypervolume
from partitioner.plan import Stage
from partitioner.search.encoding import EncodedPlans, decode_stages
from partitioner.search.problem import SearchProblem
from partitioner.search.registry import default_engine
from partitioner.search.robust.network import NetworkCondition

COVER_SIZES = (1, 2, 3)
CRITERIA: tuple[CoverCriterion, ...] = ("worst", "mean")
MOST_EXACT = 50_000_000
"""Sets of candidates times conditions up to which all sets are looked at; there are twelve covers."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Question:
    """What is to be predicted."""

    problem: SearchProblem
    model: CostModel
    conditions: tuple[NetworkCondition, ...]
    clusters: tuple[Cluster, ...]
    """Under each condition."""
    axes: tuple[Axes, ...]
    """Where each condition stands on a map."""
    label: Callable[[tuple[Stage, ...]], str]
    home: str

    @property
    def n_devices(self) -> int:
        """Devices of the cluster."""
        return self.problem.n_devices

    def throughput(self, latency: FloatArray, bottleneck: FloatArray) -> FloatArray:
        """Samples per second, as `CostModel.candidate` says them: with the window that suits each plan, or the most."""
        rate = 1.0 / bottleneck
        window = self.model.window
        if window is not None:
            with np.errstate(invalid="ignore"):
                suggested = np.ceil(latency / bottleneck) + 1
            rate = np.minimum(np.minimum(np.nan_to_num(suggested, nan=1.0), window) / latency, rate)
        found: FloatArray = self.model.graph.batch * rate
        return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Judged:
    """Fronts and the pool of plans on them."""

    pool: EncodedPlans
    """The simplest first."""
    fronts: Fronts
    members: IntArray
    """(n_points,) where the plans of the fronts stand in the pool."""
    best: FloatArray
    """(n_conditions, 2)"""
    worst: FloatArray
    """(n_plans, 2) worst regrets of the pool."""
    mean: FloatArray
    """(n_plans, 2)"""

    @cached_property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Where the front of each condition begins and ends."""
        edges = [0, *np.cumsum(self.fronts.lengths).tolist()]
        return tuple(pairwise(edges))

    @cached_property
    def knees(self) -> IntArray:
        """Plan at the knee under each condition that has a plan."""
        found = [first + knee_index(self.fronts.points[first:stop]) for first, stop in self.spans if stop > first]
        return self.members[found]

    def winners(self, objective: int) -> IntArray:
        """Plan that is best in an objective under each condition that has a plan."""
        ends = [first if objective == 0 else stop - 1 for first, stop in self.spans if stop > first]
        return self.members[ends]


def conclude(question: Question, judged: Judged, chosen: IntArray, costs: FloatArray) -> PredictedSweep:
    """All decisions.

    Args:
        question: What was asked.
        judged: Fronts and pool.
        chosen: (n_candidates,) rows of the pool, ascending.
        costs: (n_conditions, n_candidates, 2) latency and bottleneck.
    """
    kept = np.unique(np.concatenate([chosen, judged.members]))
    place = np.full(len(judged.pool), -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    plans = tuple(_plans(question, judged, kept))
    candidates = place[chosen]
    check_candidates([plans[index].kind for index in candidates], question.n_devices)
    least = [
        tuple(int(place[np.lexsort((second[:, objective], first[:, objective]))[0]]) for objective in (0, 1))
        for first, second in ((judged.worst, judged.mean), (judged.mean, judged.worst))
    ]
    reference = beyond(judged.fronts.points)
    return PredictedSweep(
        model_sha256=question.model.graph.model_sha256,
        batch=question.model.graph.batch,
        cluster=question.model.cluster.name,
        devices=question.problem.device_names,
        home=question.home,
        window=question.model.window,
        engine=default_engine(question.problem),
        reference=(float(reference[0]), float(reference[1])),
        conditions=tuple(_conditions(question, judged, place, reference)),
        plans=plans,
        candidates=tuple(candidates.tolist()),
        latency_seconds=_rows(costs[:, :, 0]),
        throughput_per_second=_rows(question.throughput(costs[:, :, 0], costs[:, :, 1])),
        crossover=_crossover(question, candidates, costs),
        minimax=(least[0][0], least[0][1]),
        least_mean=(least[1][0], least[1][1]),
        covers=tuple(_covers(candidates, costs, judged.best)),
        n_judged=len(judged.pool),
    )


def _plans(question: Question, judged: Judged, kept: IntArray) -> Iterator[PredictedPlan]:
    n_fronts = np.bincount(judged.members, minlength=len(judged.pool))
    n_best = [np.bincount(judged.winners(objective), minlength=len(judged.pool)) for objective in (0, 1)]
    for row in kept.tolist():
        stages = decode_stages(question.problem, judged.pool, row)
        worst, mean = judged.worst[row].tolist(), judged.mean[row].tolist()
        yield PredictedPlan(
            label=question.label(stages),
            stages=stages,
            kind=plan_kind(stages, question.home),
            n_fronts=int(n_fronts[row]),
            n_best=(int(n_best[0][row]), int(n_best[1][row])),
            worst_regret=(worst[0], worst[1]),
            mean_regret=(mean[0], mean[1]),
        )


def _conditions(
    question: Question, judged: Judged, place: IntArray, reference: FloatArray
) -> Iterator[PredictedCondition]:
    problem, fronts = question.problem, judged.fronts
    knees = iter(place[judged.knees].tolist())
    corner = (float(reference[0]), float(reference[1]))
    for condition, (delay, rate), (first, stop) in zip(question.conditions, question.axes, judged.spans, strict=True):
        points, is_bound = fronts.points[first:stop], fronts.is_link_bound[first:stop]
        yield PredictedCondition(
            name=condition.name,
            delay_seconds=delay,
            bytes_per_second=rate,
            plans=tuple(place[judged.members[first:stop]].tolist()),
            latency_seconds=tuple(points[:, 0].tolist()),
            bottleneck_seconds=tuple(points[:, 1].tolist()),
            throughput_per_second=tuple(question.throughput(points[:, 0], points[:, 1]).tolist()),
            is_link_bound=tuple(is_bound.tolist()),
            knee=next(knees) if stop > first else None,
            hypervolume=hypervolume(points, corner),
            contraction=_contraction(problem, fronts.plans.stops[first:stop], is_bound),
        )


def _contraction(problem: SearchProblem, stops: IntArray, is_bound: BoolArray) -> Contraction:
    """Of split points: one is on the front where a plan of the front uses it, link-bound where all of these are.

    What holds the others back was not kept.
    """
    points = problem.positions[1:-1]
    used = stops[:, :, None] == points
    on_front = used.any(axis=(0, 1))
    is_free = (used.any(axis=1) & ~is_bound[:, None]).any(axis=0)
    return find_contraction(
        np.flatnonzero(on_front).tolist(), problem.boundary_bytes[points], np.ones(len(points)), on_front & ~is_free
    )


def _crossover(question: Question, candidates: IntArray, costs: FloatArray) -> tuple[CrossoverMap, ...]:
    places = [(delay, rate) for delay, rate in question.axes if delay is not None and rate is not None]
    if len(places) < len(question.axes) or len(set(places)) < len(places):
        return ()
    delays, rates = zip(*places, strict=True)
    return tuple(_renamed(crossover_map(delays, rates, costs[:, :, objective]), candidates) for objective in (0, 1))


def _renamed(found: CrossoverMap, candidates: IntArray) -> CrossoverMap:
    best = tuple(tuple(int(candidates[index]) if index >= 0 else -1 for index in row) for row in found.best)
    return CrossoverMap(delays=found.delays, rates=found.rates, best=best, margins=found.margins)


def _covers(candidates: IntArray, costs: FloatArray, best: FloatArray) -> Iterator[PredictedCover]:
    is_possible = np.isfinite(best[:, 0])
    regrets = np.maximum(costs[is_possible] / best[is_possible, None] - 1, 0.0)
    for objective, name in enumerate(OBJECTIVES):
        for criterion in CRITERIA:
            for size in COVER_SIZES:
                cover = best_cover(regrets[:, :, objective], size, criterion, most_exact=MOST_EXACT)
                yield PredictedCover(
                    objective=name,
                    criterion=criterion,
                    plans=tuple(candidates[list(cover.plans)].tolist()),
                    regret=cover.regret,
                    bound=cover.bound,
                    is_exact=cover.is_exact,
                )


def _rows(array: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in array.tolist())
