"""The tables of the page, made of values."""

from coordinator.measurement import PlanMeasurement, StageMeasurement
from coordinator.report import quantities
from coordinator.report.html_table import Cell, Column, Table, estimate, estimate_column, figure, noted, words
from coordinator.report.names import shorten, span_names, split_bytes, split_names
from coordinator.report.run import Run, is_same_plan, resource_label
from coordinator.report.text import describe_plan
from partitioner.accuracy import signed_error
from partitioner.cluster import Link
from partitioner.plan import Candidate

_L2_COLUMNS = (
    Column(head="L2 error", is_number=True),
    Column(head="predicted", is_number=True, copied=("predicted L2 error",)),
)
"""Of plans with codecs that change values."""


def measured_table(run: Run) -> Table:
    """Every measured plan, the chosen one first and marked."""
    is_coded = any(plan.output_error is not None for plan in run.measured_plans)
    columns = (
        Column(head="plan", copied=("plan", "stages")),
        estimate_column("latency p50 (ms)"),
        Column(head="predicted (ms)", is_number=True),
        Column(head="error", is_number=True, copied=("latency error",)),
        estimate_column("p90 (ms)"),
        estimate_column("p99 (ms)"),
        Column(head="samples", is_number=True),
        estimate_column("throughput (/s)"),
        Column(head="predicted (/s)", is_number=True),
        Column(head="error", is_number=True, copied=("throughput error",)),
        Column(head="window", is_number=True),
        Column(head="busiest"),
        Column(head="busy (ms)", is_number=True),
        Column(head="output error", is_number=True),
        *(_L2_COLUMNS if is_coded else ()),
        Column(head="failed", is_number=True),
    )
    rows = tuple(_measured_row(plan, is_coded=is_coded) for plan in run.measured_plans)
    caption = "Measured plans. Small figures are 95 % intervals; an error is predicted minus measured, over measured."
    if is_coded:
        caption += " L2 error: of the outputs, relative; predicted is the sum of what each codec brings alone."
    return Table(caption=caption, columns=columns, rows=rows, marked=frozenset({0}))


def front_table(run: Run) -> Table:
    """Every plan of the front, as predicted."""
    columns = (
        Column(head="plan", is_number=True),
        Column(head="mark"),
        Column(head="stages"),
        Column(head="split after"),
        Column(head="crossing"),
        Column(head="latency (ms)", is_number=True),
        Column(head="throughput (/s)", is_number=True),
        Column(head="busiest"),
        Column(head="busy (ms)", is_number=True),
        Column(head="window", is_number=True),
    )
    rows = tuple(_front_row(run, number, one) for number, one in enumerate(run.search.front))
    chosen = {i for i, one in enumerate(run.search.front) if is_same_plan(one.plan, run.chosen.plan)}
    return Table(caption="Plans of the front, predicted.", columns=columns, rows=rows, marked=frozenset(chosen))


def stage_table(run: Run) -> Table:
    """Stages of the chosen plan, predicted and, where there is a measurement, measured."""
    columns = (
        Column(head="stage", is_number=True),
        Column(head="device"),
        Column(head="units", copied=("units", "first and last")),
        Column(head="weights (MiB)", is_number=True),
        Column(head="memory (MiB)", is_number=True),
        Column(head="tensors sent", is_number=True),
        Column(head="codec"),
        Column(head="compute, predicted (ms)", is_number=True),
    )
    measured_columns = tuple(
        Column(head=head, is_number=True)
        for head in (
            "measured (ms)",
            "error",
            "queue (ms)",
            "decode (ms)",
            "encode (ms)",
            "link busy (ms)",
            "sent (KiB)",
            "predicted (KiB)",
        )
    )
    stages = run.measurement.stages if run.measurement else ()
    rows = [_stage_row(run, index) for index in range(len(run.chosen.plan.stages))]
    rows = [row + _measured_stage(stage) for row, stage in zip(rows, stages, strict=True)] if stages else rows
    clock = "; means of many requests, by the clock of each node" if stages else ", predicted"
    return Table(
        caption=f"Stages of the chosen plan, for one request{clock}.",
        columns=columns + (measured_columns if stages else ()),
        rows=tuple(rows),
    )


def link_table(run: Run) -> Table:
    """Every probed link."""
    columns = (
        Column(head="from"),
        Column(head="to"),
        Column(head="fixed (ms)", is_number=True),
        Column(head="rate (MiB/s)", is_number=True),
        Column(head="jitter (ms)", is_number=True),
        Column(head="emulation"),
    )
    rows = tuple(_link_row(link) for link in run.cluster.links)
    return Table(caption="Links as probed: a message takes fixed + bytes / rate.", columns=columns, rows=rows)


def _measured_row(plan: PlanMeasurement, *, is_coded: bool) -> tuple[Cell, ...]:
    latency, throughput, predicted = plan.latency_seconds, plan.throughput_per_second, plan.predicted
    return (
        noted(plan.label, describe_plan(plan.plan)),
        estimate(latency.p50, 1e3),
        figure(predicted.latency_seconds, quantities.milliseconds, 1e3),
        _error(predicted.latency_seconds, latency.p50.value),
        estimate(latency.p90, 1e3),
        estimate(latency.p99, 1e3),
        figure(latency.n_samples, _count),
        estimate(throughput),
        figure(predicted.throughput_per_second),
        _error(predicted.throughput_per_second, throughput.value),
        figure(plan.window, _count),
        words(resource_label(plan.bottleneck.resource)),
        figure(plan.bottleneck.busy_seconds, quantities.milliseconds, 1e3),
        figure(plan.max_relative_error, quantities.relative_error),
        *(_l2_cells(plan) if is_coded else ()),
        figure(plan.n_errors, _count),
    )


def _l2_cells(plan: PlanMeasurement) -> tuple[Cell, Cell]:
    predicted = None if plan.output_error is None else plan.predicted.output_error
    return figure(plan.output_error, quantities.relative_error), figure(predicted, quantities.relative_error)


def _front_row(run: Run, number: int, candidate: Candidate) -> tuple[Cell, ...]:
    cost, plan = candidate.cost, candidate.plan
    is_knee = run.knee is not None and is_same_plan(plan, run.knee.plan)
    marks = [name for name, holds in (("chosen", is_same_plan(plan, run.chosen.plan)), ("knee", is_knee)) if holds]
    return (
        figure(number, _count),
        words(", ".join(marks)),
        words(describe_plan(plan)),
        words(", ".join(split_names(run.graph, plan)) or "not split"),
        words(", ".join(quantities.n_bytes(size) for size in split_bytes(run.graph, plan)) or quantities.UNKNOWN),
        figure(cost.latency_seconds, quantities.milliseconds, 1e3),
        figure(cost.throughput_per_second),
        words(resource_label(cost.bottleneck_resource)),
        figure(cost.bottleneck_seconds, quantities.milliseconds, 1e3),
        figure(plan.window, _count),
    )


def _stage_row(run: Run, index: int) -> tuple[Cell, ...]:
    stage, cost = run.chosen.plan.stages[index], run.chosen.cost.stages[index]
    measured = run.measurement.stages if run.measurement else ()
    predicted_seconds = measured[index].predicted_compute_seconds if measured else cost.compute_seconds
    return (
        figure(index, _count),
        words(shorten("+".join(stage.devices))),
        noted(f"{stage.start}–{stage.stop - 1}", span_names(run.graph, stage)),
        figure(run.graph.weight_bytes(stage.start, stage.stop), _mebibytes, 2.0**-20),
        figure(cost.memory_bytes, _mebibytes, 2.0**-20),
        figure(len(run.graph.boundaries[stage.stop]), _count),
        words(stage.codec),
        figure(predicted_seconds, quantities.milliseconds, 1e3),
    )


def _measured_stage(stage: StageMeasurement) -> tuple[Cell, ...]:
    times = (stage.queue_seconds, stage.decode_seconds, stage.encode_seconds, stage.send_seconds)
    return (
        figure(stage.compute_seconds, quantities.milliseconds, 1e3),
        _error(stage.predicted_compute_seconds, stage.compute_seconds),
        *(figure(seconds, quantities.milliseconds, 1e3) for seconds in times),
        figure(stage.sent_bytes, _kibibytes, 2.0**-10),
        figure(stage.predicted_sent_bytes, _kibibytes, 2.0**-10),
    )


def _link_row(link: Link) -> tuple[Cell, ...]:
    return (
        words(link.source),
        words(link.target),
        figure(link.fixed_seconds, quantities.milliseconds, 1e3),
        figure(link.bytes_per_second, _mebibytes, 2.0**-20),
        figure(link.jitter_seconds, quantities.milliseconds, 1e3),
        words(link.emulation or "none"),
    )


def _error(predicted: float, measured: float) -> Cell:
    return figure(signed_error(predicted, measured), lambda value: quantities.percent(value, is_signed=True))


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _mebibytes(value: float) -> str:
    return quantities.number(value / 2**20)


def _kibibytes(value: float) -> str:
    return quantities.number(value / 2**10)
