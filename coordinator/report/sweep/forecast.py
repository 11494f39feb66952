"""From a predicted sweep to what is drawn of any setting."""

import math
from collections.abc import Iterator

from coordinator.measurement import Estimate
from coordinator.report.names import printable
from coordinator.report.sweep.judging import regret_tables
from coordinator.report.sweep.series import (
    ConditionSeries,
    CrossoverMap,
    MapCell,
    PlanPoint,
    Recommendation,
    Setting,
    SettingSeries,
)
from coordinator.sweep.predicted import OBJECTIVES, Objective, PredictedCondition, PredictedSweep
from coordinator.sweep.words import advice, recommendation
from partitioner.plan import Plan

MOST_CONDITIONS = 24
"""Conditions that are drawn; of more every so many-th. Decisions, and maps, are of all."""


def forecast_setting(found: PredictedSweep) -> Setting:
    """Where it is compared."""
    return Setting(
        model=found.model,
        cluster=found.cluster,
        nodes=found.devices,
        batch=found.batch,
        data_plane=found.data_plane,
    )


def forecast_series(found: PredictedSweep, *, name: str, slug: str) -> SettingSeries:
    """All of it: the candidates and the front under each condition that is drawn, maps, regrets and advice."""
    stride = math.ceil(len(found.conditions) / MOST_CONDITIONS)
    conditions = tuple(_condition(found, index) for index in range(0, len(found.conditions), stride or 1))
    plans = tuple(dict.fromkeys(_label(found, index) for index in range(len(found.plans))))
    drawn = {point.plan for condition in conditions for point in condition.points}
    shown = tuple(plan for plan in plans if plan in drawn)
    return SettingSeries(
        setting=forecast_setting(found),
        name=name,
        slug=slug,
        plans=shown,
        conditions=conditions,
        maps=tuple(one for objective in OBJECTIVES if (one := _map(found, objective)).cells),
        regrets=regret_tables(shown, conditions),
        recommendation=_recommendation(found),
        is_predicted=True,
        forecast=found,
    )


def _label(found: PredictedSweep, index: int) -> str:
    return printable(found.plans[index].label)


def _condition(found: PredictedSweep, index: int) -> ConditionSeries:
    condition = found.conditions[index]
    area = math.prod(found.reference)
    share = condition.hypervolume / area if condition.plans and area else None
    return ConditionSeries(
        name=condition.name,
        round_trip_seconds=None if condition.delay_seconds is None else 2 * condition.delay_seconds,
        bytes_per_second=_finite(condition.bytes_per_second),
        points=tuple(_points(found, index)),
        hypervolume=None if share is None else _exactly(share),
        contraction=condition.contraction,
    )


def _points(found: PredictedSweep, index: int) -> Iterator[PlanPoint]:
    """The candidates that are possible under a condition, then what else is on its front."""
    condition = found.conditions[index]
    costs = {
        plan: (latency, rate)
        for plan, latency, rate in zip(
            found.candidates, found.latency_seconds[index], found.throughput_per_second[index], strict=True
        )
        if math.isfinite(latency)
    } | {
        plan: (latency, rate)
        for plan, latency, rate in zip(
            condition.plans, condition.latency_seconds, condition.throughput_per_second, strict=True
        )
    }
    for plan, (latency, rate) in costs.items():
        stages = found.plans[plan].stages
        described = Plan(model_sha256=found.model_sha256, batch=found.batch, stages=stages, window=1).describe()
        yield PlanPoint(
            case_key=f"predicted-{index}-{plan}",
            plan=_label(found, plan),
            stages=printable(described),
            is_split=len(stages) > 1,
            condition=condition.name,
            latency=_exactly(latency),
            throughput=_exactly(rate),
            predicted_latency_seconds=latency,
            predicted_throughput_per_second=rate,
            runs=(),
            is_on_front=plan in condition.plans,
            is_knee=plan == condition.knee,
        )


def _map(found: PredictedSweep, objective: Objective) -> CrossoverMap:
    cells = (_cell(found, index, condition, objective) for index, condition in enumerate(found.conditions))
    return CrossoverMap(objective=objective, cells=tuple(cell for cell in cells if cell is not None))


def _cell(found: PredictedSweep, index: int, condition: PredictedCondition, objective: Objective) -> MapCell | None:
    """The best plan of the front, beside the best of the other candidates; None where the links are not known."""
    rate = _finite(condition.bytes_per_second)
    if not condition.plans or condition.delay_seconds is None or rate is None:
        return None
    is_latency = objective == "latency"
    figures = condition.latency_seconds if is_latency else condition.throughput_per_second
    best = (min if is_latency else max)(range(len(figures)), key=lambda place: figures[place])
    plan, value = condition.plans[best], figures[best]
    rows = found.latency_seconds[index] if is_latency else found.throughput_per_second[index]
    others = [(figure, other) for figure, other in zip(rows, found.candidates, strict=True) if other != plan]
    second = (min if is_latency else max)(others, default=None)
    return MapCell(
        condition=condition.name,
        case_key=f"predicted-{index}-{plan}",
        round_trip_seconds=2 * condition.delay_seconds,
        bytes_per_second=rate,
        plan=_label(found, plan),
        value=value,
        runner_up=_label(found, second[1]) if second else "",
        margin=_margin(value, second[0], is_latency=is_latency) if second else math.inf,
        is_sure=True,
    )


def _margin(best: float, other: float, *, is_latency: bool) -> float:
    if is_latency:
        return other / best - 1
    return best / other - 1 if other > 0 else math.inf


def _recommendation(found: PredictedSweep) -> Recommendation:
    chosen = [found.plans[index] for index in found.minimax]
    is_one = len(set(found.minimax)) == 1 and all(math.isfinite(regret) for regret in chosen[0].worst_regret)
    headline = (
        f"As predicted, {advice(chosen[0].kind, chosen[0].label, chosen[0].stages)}."
        if is_one
        else "As predicted, what to run depends on the network, or on what is wanted."
    )
    reasons = tuple(sentence[:1].upper() + sentence[1:] for sentence in recommendation(found))
    return Recommendation(headline=headline, reasons=reasons, plan=chosen[0].label if is_one else "")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _exactly(value: float) -> Estimate:
    return Estimate(value=value, low=value, high=value)
