"""From a sweep's values to what is drawn."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from coordinator.measurement import Estimate
from coordinator.report.names import printable
from coordinator.report.sweep import judging, wording
from coordinator.report.sweep.bottlenecks import plan_bottleneck
from coordinator.report.sweep.forecast import forecast_series, forecast_setting
from coordinator.report.sweep.names import setting_names, slugs
from coordinator.report.sweep.series import ConditionSeries, PlanPoint, RunPoint, Setting, SettingSeries, SweepSeries
from coordinator.results.values import Case, Run, Sweep
from coordinator.sweep.predicted import PredictedSweep
from partitioner.codec import NO_CODEC


def read_sweep(sweep: Sweep, runs: Iterable[Run], forecasts: Sequence[PredictedSweep] = ()) -> SweepSeries:
    """All cases of a sweep with their runs, then what was predicted.

    Cases without runs are there, too, unless all of a setting lack them and it was predicted.
    """
    by_case: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.repeat, run.attempt)):
        by_case[run.case_key].append(run)
    cases: dict[Setting, list[Case]] = defaultdict(list)
    for case in sweep.cases:
        cases[setting_of(case)].append(case)
    predicted = {_key(forecast_setting(found)): found for found in forecasts}
    measured = [
        setting
        for setting, own in cases.items()
        if any(case.key in by_case for case in own) or _key(setting) not in predicted
    ]
    known = {_key(setting) for setting in cases}
    found = [forecast for key, forecast in predicted.items() if key in known]
    names = setting_names(tuple(dict.fromkeys([*measured, *map(forecast_setting, found)])))
    titles = [*map(names.__getitem__, measured), *(f"{names[forecast_setting(one)]}, predicted" for one in found)]
    files = dict(zip(titles, slugs(titles), strict=True))
    return SweepSeries(
        name=sweep.name,
        created_at=sweep.created_at,
        seed=sweep.seed,
        versions=sweep.versions,
        spec=sweep.spec,
        settings=(
            *(
                _setting(setting, title, files[title], [*_compared(sweep.cases, setting)], by_case)
                for setting, title in zip(measured, titles, strict=False)
            ),
            *(
                forecast_series(one, name=title, slug=files[title])
                for one, title in zip(found, titles[len(measured) :], strict=True)
            ),
        ),
        n_planned=sweep.n_planned,
    )


def _key(setting: Setting) -> tuple[str, str, int, str]:
    """What a prediction is of: it looks at all nodes of a cluster, cases at some."""
    return setting.model, setting.cluster, setting.batch, setting.data_plane


def _compared(cases: Iterable[Case], setting: Setting) -> Iterator[Case]:
    """Cases whose plans a setting's nodes can bear: its own, and those of settings that share these nodes."""
    for case in cases:
        devices = {device for stage in case.plan.stages for device in stage.devices}
        if _key(setting_of(case)) == _key(setting) and devices <= {*setting.nodes}:
            yield case


def setting_of(case: Case) -> Setting:
    """Where a case is compared."""
    return Setting(
        model=case.model,
        cluster=case.cluster,
        nodes=case.nodes,
        batch=case.plan.batch,
        data_plane=case.data_plane,
    )


def plan_name(case: Case) -> str:
    """Label of a plan, with its codec where it has one."""
    label = printable(case.plan_label)
    return label if case.codec == NO_CODEC or not case.plan.is_split else f"{label}, {printable(case.codec)}"


def _setting(
    setting: Setting, name: str, slug: str, cases: Sequence[Case], by_case: Mapping[str, Sequence[Run]]
) -> SettingSeries:
    points = [_point(case, by_case.get(case.key, ()), is_lent=setting_of(case) != setting) for case in cases]
    is_predicted = not any(point.latency or point.throughput for point in points)
    if is_predicted:
        points = [_as_predicted(point) for point in points]
    conditions = tuple(
        judging.judged(_condition(found, [point for point in points if point.condition == found], by_case))
        for found in dict.fromkeys(point.condition for point in points)
    )
    order = {plan_name(case): _place(case) for case in cases}
    plans = tuple(sorted(order, key=lambda plan: order[plan]))
    maps = judging.crossover_maps(conditions)
    regrets = judging.regret_tables(plans, conditions)
    return SettingSeries(
        setting=setting,
        name=name,
        slug=slug,
        plans=plans,
        conditions=conditions,
        maps=maps,
        regrets=regrets,
        recommendation=wording.recommendation(conditions, regrets, is_predicted=is_predicted),
        is_predicted=is_predicted,
    )


def _place(case: Case) -> tuple[object, ...]:
    """Along the network: first the plans that do not split, then by their split points."""
    stages = case.plan.stages
    return case.plan.is_split, len(stages), tuple(stage.stop for stage in stages[:-1]), plan_name(case)


def _point(case: Case, runs: Sequence[Run], *, is_lent: bool) -> PlanPoint:
    done = [run for run in runs if run.state == "done"]
    predicted = next((run for run in runs if run.predicted_latency_seconds is not None), None)
    return PlanPoint(
        case_key=case.key,
        plan=plan_name(case),
        stages=printable(case.plan.describe()),
        is_split=case.plan.is_split,
        condition=case.condition,
        latency=judging.latency_estimate(done),
        throughput=judging.throughput_estimate(done),
        predicted_latency_seconds=predicted.predicted_latency_seconds if predicted else None,
        predicted_throughput_per_second=predicted.predicted_throughput_per_second if predicted else None,
        runs=tuple(_run_point(run, case.plan.batch) for run in runs),
        bottleneck=plan_bottleneck(done, case.plan.batch),
        is_lent=is_lent,
    )


def _run_point(run: Run, batch: int) -> RunPoint:
    return RunPoint(
        repeat=run.repeat,
        attempt=run.attempt,
        position=run.position,
        state=run.state,
        reason=printable(run.reason),
        began_at=run.began_at,
        latency_seconds=run.figures.get("latency_seconds"),
        throughput_per_second=run.figures.get("throughput_per_second"),
        figures=run.figures,
        links=run.links,
        environment=run.environment,
        bottleneck=plan_bottleneck([run], batch),
        samples=run.samples,
    )


def _as_predicted(point: PlanPoint) -> PlanPoint:
    """The cost model's figures in the place of measured ones."""
    latency, throughput = point.predicted_latency_seconds, point.predicted_throughput_per_second
    return replace(
        point,
        latency=None if latency is None else Estimate(value=latency, low=latency, high=latency),
        throughput=None if throughput is None else Estimate(value=throughput, low=throughput, high=throughput),
    )


def _condition(name: str, points: Sequence[PlanPoint], by_case: Mapping[str, Sequence[Run]]) -> ConditionSeries:
    links = [link for point in points for run in by_case.get(point.case_key, ()) for link in run.links]
    asked_times = [link.asked_round_trip_seconds for link in links if link.asked_round_trip_seconds is not None]
    asked_rates = [link.asked_bytes_per_second for link in links if link.asked_bytes_per_second is not None]
    found_times = sorted(link.round_trip_seconds for link in links if link.round_trip_seconds is not None)
    found_rates = sorted(link.bytes_per_second for link in links if link.bytes_per_second is not None)
    return ConditionSeries(
        name=name,
        round_trip_seconds=max(asked_times, default=_middle(found_times)),
        bytes_per_second=min(asked_rates, default=_middle(found_rates)),
        points=tuple(points),
    )


def _middle(ordered: Sequence[float]) -> float | None:
    return ordered[len(ordered) // 2] if ordered else None
