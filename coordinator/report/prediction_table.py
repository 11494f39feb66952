"""Predicted against measured on the page, one row for each plan; `tables` has that of the terminal."""

from collections.abc import Callable

from coordinator.measurement import Estimate, Measurement, PlanMeasurement, Prediction
from coordinator.report import quantities
from coordinator.report.html_table import Cell, Column, Table, estimate, estimate_column, figure, noted, words
from coordinator.report.text import describe_plan
from partitioner.accuracy import signed_error

_Field = tuple[Column, Callable[[PlanMeasurement], Cell]]
"""A column, and what stands there for a plan."""


def prediction_page_table(measurement: Measurement) -> Table:
    """Every measured plan, the chosen one first and marked; columns only for what there is."""
    plans = measurement.plans
    fields: list[_Field] = [
        (Column(head="plan", copied=("plan", "stages")), lambda plan: noted(plan.label, describe_plan(plan.plan)))
    ]
    if any(plan.is_paced for plan in plans):
        fields.append((Column(head="emulated"), _emulated))
    has_corrected = any(plan.corrected for plan in plans)
    fields += _quantity("latency (ms)", 1e3, _latency, _predicted_latency, has_corrected=has_corrected)
    fields += _quantity("throughput (/s)", 1.0, _throughput, _predicted_throughput, has_corrected=has_corrected)
    caption = "Predicted and measured. An error is predicted minus measured, over measured."
    if has_corrected:
        caption += " Corrected is the prediction after live stage times of the other plans corrected the model."
    return Table(
        caption=caption,
        columns=tuple(column for column, _ in fields),
        rows=tuple(tuple(cell(plan) for _, cell in fields) for plan in plans),
        marked=frozenset({0}),
    )


def _quantity(
    head: str,
    factor: float,
    measured: Callable[[PlanMeasurement], Estimate],
    of: Callable[[Prediction], float],
    *,
    has_corrected: bool,
) -> list[_Field]:
    def value(prediction: Prediction | None) -> Cell:
        return figure(of(prediction) if prediction else None, lambda one: quantities.number(one * factor), factor)

    def error(prediction: Prediction | None, plan: PlanMeasurement) -> Cell:
        found = signed_error(of(prediction), measured(plan).value) if prediction else None
        return figure(found, lambda one: quantities.percent(one, is_signed=True))

    fields: list[_Field] = [
        (estimate_column(head), lambda plan: estimate(measured(plan), factor)),
        (_number("predicted", f"{head} predicted"), lambda plan: value(plan.predicted)),
        (_number("error", f"{head} error"), lambda plan: error(plan.predicted, plan)),
    ]
    if has_corrected:
        fields += [
            (_number("corrected", f"{head} corrected"), lambda plan: value(plan.corrected)),
            (_number("error", f"{head} corrected error"), lambda plan: error(plan.corrected, plan)),
        ]
    return fields


def _number(head: str, copied: str) -> Column:
    return Column(head=head, is_number=True, copied=(copied,))


def _emulated(plan: PlanMeasurement) -> Cell:
    return words(", ".join(dict.fromkeys(stage.device for stage in plan.stages if stage.is_paced)) or "none")


def _latency(plan: PlanMeasurement) -> Estimate:
    return plan.latency_seconds.p50


def _throughput(plan: PlanMeasurement) -> Estimate:
    return plan.throughput_per_second


def _predicted_latency(prediction: Prediction) -> float:
    return prediction.latency_seconds


def _predicted_throughput(prediction: Prediction) -> float:
    return prediction.throughput_per_second
