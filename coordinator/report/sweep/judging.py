"""What statistics and decisions say of a sweep's points: the one place that calls `partitioner.decisions`."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from coordinator.measurement import Estimate
from coordinator.report.sweep.series import (
    ConditionSeries,
    CrossoverMap,
    MapCell,
    PlanPoint,
    PlanRegret,
    RegretTable,
    RunPoint,
)
from coordinator.results.values import Run, Sample
from partitioner.decisions.condition import decide
from partitioner.decisions.contraction import Contraction, find_contraction
from partitioner.decisions.cover import best_cover
from partitioner.decisions.noisy_front import noisy_front
from partitioner.decisions.regret import regret_table
from partitioner.decisions.resampling import N_DRAWS, Estimated, Runs, estimate, median
from partitioner.front import FloatArray

OBJECTIVES = ("latency", "throughput")
MOST_DRAWN = 4_000_000
"""Samples drawn for one figure: large cases are drawn less often, so that a report takes seconds."""
LEAST_DRAWS = 200
FRONT_DRAWS = 500
"""At most, of whole fronts, each of which costs a hypervolume."""


def latency_estimate(runs: Sequence[Run]) -> Estimate | None:
    """Seconds, from the samples of runs that count; None where none tells it."""
    told = [samples for run in runs if (samples := _latencies(run.samples, run.figures.get("latency_seconds")))]
    return _estimate(told)


def throughput_estimate(runs: Sequence[Run]) -> Estimate | None:
    """Samples per second, one figure for each run; None where none tells it."""
    return _estimate([[rate] for run in runs if (rate := run.figures.get("throughput_per_second")) is not None])


def judged(condition: ConditionSeries) -> ConditionSeries:
    """The same with its front, knee, front probabilities, hypervolume, and whether links drew the front together."""
    places = [place for place, point in enumerate(condition.points) if point.is_whole]
    if not places:
        return condition
    whole = [condition.points[place] for place in places]
    decision = decide([_costs(point) for point in whole])
    runs = [_cost_runs(point) for point in whole]
    is_noisy = all(len(latencies) for latencies, _ in runs)
    noisy = noisy_front(runs, (median, median), n_draws=min(FRONT_DRAWS, _n_draws(runs[0][0]))) if is_noisy else None
    points = list(condition.points)
    for index, place in enumerate(places):
        points[place] = replace(
            points[place],
            is_on_front=index in decision.front,
            is_knee=index == decision.knee,
            front_probability=noisy.probabilities[index] if noisy else None,
        )
    area = math.prod(noisy.reference) if noisy else 0.0
    return replace(
        condition,
        points=tuple(points),
        contraction=_contraction(whole, decision.front),
        hypervolume=Estimate(
            value=noisy.hypervolume / area, low=noisy.low_hypervolume / area, high=noisy.high_hypervolume / area
        )
        if noisy
        else None,
    )


def _contraction(points: Sequence[PlanPoint], front: Sequence[int]) -> Contraction | None:
    found = [point.bottleneck for point in points]
    told = [bottleneck for bottleneck in found if bottleneck is not None]
    if len(told) < len(found):
        return None
    return find_contraction(
        front,
        [bottleneck.boundary_bytes for bottleneck in told],
        [point.is_split for point in points],
        [bottleneck.is_between_devices for bottleneck in told],
    )


def crossover_maps(conditions: Sequence[ConditionSeries]) -> tuple[CrossoverMap, ...]:
    """One for each objective, of the conditions whose links are known."""
    maps = (
        CrossoverMap(
            objective=objective,
            cells=tuple(cell for condition in conditions if (cell := _cell(condition, objective)) is not None),
        )
        for objective in OBJECTIVES
    )
    return tuple(one for one in maps if one.cells)


def regret_tables(plans: Sequence[str], conditions: Sequence[ConditionSeries]) -> tuple[RegretTable, ...]:
    """One for each objective, over the conditions in which some plan was measured."""
    tables = []
    for objective in OBJECTIVES:
        costs = np.array([[_cost_of(condition, plan, objective) for plan in plans] for condition in conditions])
        costs = costs.reshape(len(conditions), len(plans))
        told = [row for row, figures in enumerate(costs) if np.isfinite(figures).any()]
        if not told:
            continue
        table = regret_table(costs[told])
        tables.append(
            RegretTable(
                objective=objective,
                conditions=tuple(conditions[row].name for row in told),
                plans=tuple(
                    PlanRegret(
                        plan=plan,
                        regrets=tuple(_finite(float(regret)) for regret in table.regrets[:, column]),
                        worst=_finite(float(table.worst[column])),
                        mean=_finite(float(table.mean[column])),
                    )
                    for column, plan in enumerate(plans)
                ),
                minimax=plans[table.minimax] if math.isfinite(table.worst[table.minimax]) else "",
            )
        )
    return tuple(tables)


def cover(regrets: Sequence[RegretTable], n_plans: int) -> tuple[tuple[str, ...], float] | None:
    """The few plans to keep ready and their worst regret in any figure; None where some condition was not measured."""
    names = [row.plan for row in regrets[0].plans] if regrets else []
    worst = np.full((max((len(table.conditions) for table in regrets), default=0), len(names)), 0.0)
    for table in regrets:
        if len(table.conditions) != len(worst):
            return None
        rows = [[math.inf if value is None else value for value in row.regrets] for row in table.plans]
        worst = np.maximum(worst, np.array(rows).T)
    if not worst.size:
        return None
    found = best_cover(worst, n_plans)
    return (tuple(names[plan] for plan in found.plans), found.regret) if math.isfinite(found.regret) else None


def best_point(condition: ConditionSeries, objective: str) -> PlanPoint | None:
    """The plan that is best by one figure; None where nothing was measured."""
    return min(
        (point for point in condition.points if figure_of(point, objective) is not None),
        key=lambda point: _cost(point, objective),
        default=None,
    )


def figure_of(point: PlanPoint, objective: str) -> Estimate | None:
    """Its latency or its throughput."""
    return point.latency if objective == "latency" else point.throughput


def _estimate(runs: Sequence[Sequence[float]]) -> Estimate | None:
    if not runs:
        return None
    arrays = [np.asarray(run, dtype=np.float64) for run in runs]
    found: Estimated = estimate(arrays, median, n_draws=_n_draws(arrays))
    return Estimate(value=found.value, low=found.low, high=found.high)


def _n_draws(runs: Runs) -> int:
    return max(LEAST_DRAWS, min(N_DRAWS, MOST_DRAWN // max(sum(map(len, runs)), 1)))


def _latencies(samples: Sequence[Sample], median_seconds: float | None) -> list[float]:
    """Of lone requests; the run's median where its samples were left in the store."""
    found = [sample.latency_seconds for sample in samples if sample.scenario == "single_stream"]
    return found or ([] if median_seconds is None else [median_seconds])


def _cost_runs(point: PlanPoint) -> tuple[list[FloatArray], list[FloatArray]]:
    """Latencies, and seconds from sample to sample, of each run that tells both."""
    told = [run for run in point.runs if run.state == "done" and _tells_both(run)]
    return (
        [np.asarray(_latencies(run.samples, run.latency_seconds), dtype=np.float64) for run in told],
        [np.array([1.0 / run.throughput_per_second]) for run in told if run.throughput_per_second],
    )


def _tells_both(run: RunPoint) -> bool:
    return bool(run.throughput_per_second) and bool(_latencies(run.samples, run.latency_seconds))


def _costs(point: PlanPoint) -> tuple[float, float]:
    return _cost(point, "latency"), _cost(point, "throughput")


def _cost(point: PlanPoint, objective: str) -> float:
    """Seconds, in both: of a request, or from sample to sample; infinite where it is not known."""
    figure = figure_of(point, objective)
    if figure is None:
        return math.inf
    return figure.value if objective == "latency" else 1.0 / figure.value if figure.value > 0 else math.inf


def _cost_of(condition: ConditionSeries, plan: str, objective: str) -> float:
    return next((_cost(point, objective) for point in condition.points if point.plan == plan), math.inf)


def _cell(condition: ConditionSeries, objective: str) -> MapCell | None:
    best = best_point(condition, objective)
    if best is None or condition.round_trip_seconds is None or condition.bytes_per_second is None:
        return None
    others = replace(condition, points=tuple(point for point in condition.points if point is not best))
    second = best_point(others, objective)
    figure, other = figure_of(best, objective), figure_of(second, objective) if second else None
    by_cost: Callable[[Estimate, Estimate], bool] = (
        (lambda one, two: one.high < two.low) if objective == "latency" else (lambda one, two: one.low > two.high)
    )
    return MapCell(
        condition=condition.name,
        case_key=best.case_key,
        round_trip_seconds=condition.round_trip_seconds,
        bytes_per_second=condition.bytes_per_second,
        plan=best.plan,
        value=figure.value if figure else math.nan,
        runner_up=second.plan if second else "",
        margin=_cost(second, objective) / _cost(best, objective) - 1 if second else math.inf,
        is_sure=other is None or figure is None or by_cost(figure, other),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
