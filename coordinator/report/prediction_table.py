"""Predicted against measured, one row for each plan: for the page and for the terminal."""

import rich.table
from rich.text import Text

from coordinator.measurement import Measurement, PlanMeasurement
from coordinator.report import quantities
from coordinator.report.html_table import Cell, Column, Table, estimate, estimate_column, figure, noted, words
from coordinator.report.names import printable
from coordinator.report.prediction_points import measured_plans
from coordinator.report.prediction_text import accuracy_sentences
from coordinator.report.table_style import plain_table
from coordinator.report.text import describe_plan, error_text
from partitioner.accuracy import signed_error


def prediction_page_table(measurement: Measurement) -> Table:
    """Every measured plan, the chosen one first and marked."""
    quantity_columns = [
        column
        for what in ("latency (ms)", "throughput (/s)")
        for column in (
            estimate_column(f"{what} measured"),
            Column(head=f"{what} predicted", is_number=True),
            Column(head="error", is_number=True, copied=(f"{what} error",)),
            Column(head="corrected", is_number=True, copied=(f"{what} corrected",)),
            Column(head="error", is_number=True, copied=(f"{what} corrected error",)),
        )
    ]
    return Table(
        caption="Predicted and measured. An error is predicted minus measured, over measured; corrected is the "
        "prediction after live stage times of the other plans corrected the model.",
        columns=(Column(head="plan", copied=("plan", "stages")), Column(head="emulated devices"), *quantity_columns),
        rows=tuple(_page_row(plan) for plan in measured_plans(measurement)),
        marked=frozenset({0}),
    )


def prediction_table(measurement: Measurement) -> rich.table.Table:
    """A line for each plan: latency and throughput predicted, measured, error, and the error after correction."""
    table = plain_table("Predicted and measured, with error; then the error corrected by the other plans' stage times")
    table.add_column("plan", overflow="fold")
    for what in ("latency", "throughput"):
        table.add_column(f"{what}\npredicted", justify="right", no_wrap=True)
        table.add_column("\nmeasured", justify="right", no_wrap=True)
        table.add_column("\nerror", justify="right", no_wrap=True)
        table.add_column("\ncorrected", justify="right", no_wrap=True)
    for index, plan in enumerate(measured_plans(measurement)):
        table.add_row(*_terminal_row(plan), style="bold" if index == 0 else "")
    table.caption = Text("\n".join(accuracy_sentences(measurement)))
    return table


def _page_row(plan: PlanMeasurement) -> tuple[Cell, ...]:
    latency, throughput, after = plan.latency_seconds.p50, plan.throughput_per_second, plan.corrected
    paced = dict.fromkeys(stage.device for stage in plan.stages if stage.is_paced)
    return (
        noted(plan.label, describe_plan(plan.plan)),
        words(", ".join(paced) or "none"),
        estimate(latency, 1e3),
        *_predicted(plan.predicted.latency_seconds, after.latency_seconds if after else None, latency.value, 1e3),
        estimate(throughput),
        *_predicted(
            plan.predicted.throughput_per_second, after.throughput_per_second if after else None, throughput.value, 1.0
        ),
    )


def _predicted(before: float, after: float | None, measured: float, factor: float) -> tuple[Cell, ...]:
    def show(value: float) -> str:
        return quantities.number(value * factor)

    return (
        figure(before, show, factor),
        _error(signed_error(before, measured)),
        figure(after, show, factor),
        _error(None if after is None else signed_error(after, measured)),
    )


def _error(value: float | None) -> Cell:
    return figure(value, lambda error: quantities.percent(error, is_signed=True))


def _terminal_row(plan: PlanMeasurement) -> tuple[Text, ...]:
    latency, throughput = plan.latency_seconds.p50.value, plan.throughput_per_second.value
    before, after = plan.predicted, plan.corrected
    return (
        Text.assemble(printable(plan.label), (" (emulated)" if plan.is_paced else "", "dim")),
        Text(quantities.seconds(before.latency_seconds)),
        Text(quantities.seconds(latency)),
        Text(error_text(before.latency_seconds, latency)),
        Text(error_text(after.latency_seconds, latency) if after else quantities.UNKNOWN),
        Text(quantities.rate(before.throughput_per_second)),
        Text(quantities.rate(throughput)),
        Text(error_text(before.throughput_per_second, throughput)),
        Text(error_text(after.throughput_per_second, throughput) if after else quantities.UNKNOWN),
    )
