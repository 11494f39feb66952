"""Predicted against measured as plain numbers, the same for the page and for paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.measurement import Estimate, Measurement, PlanMeasurement, PredictionQuality, StageMeasurement
from coordinator.prediction_quality import distinct_plans, prediction_quality
from coordinator.report.axes import AxisScale, scale_for
from partitioner.accuracy import signed_error

BANDS = (0.10, 0.05)
"""Relative errors that are shaded, the wider one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionMark:
    """One quantity of one measured plan, in the unit of its panel."""

    plan: PlanMeasurement
    is_chosen: bool
    measured: Estimate
    predicted: float
    corrected: float | None
    """By the model corrected with the other plans' live stage times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionPanel:
    """One quantity of all measured plans."""

    quantity: str
    unit: str
    marks: tuple[PredictionMark, ...]

    @property
    def scale(self) -> AxisScale:
        """Of both axes, so that the line of identity is their diagonal."""
        values = [
            value
            for mark in self.marks
            for value in (mark.measured.low, mark.measured.value, mark.measured.high, mark.predicted, mark.corrected)
        ]
        return scale_for([value for value in values if value is not None and math.isfinite(value) and value > 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResidual:
    """How far one stage of one measured plan was from its prediction, one request in flight."""

    plan: PlanMeasurement
    stage: StageMeasurement
    measured_seconds: float
    error: float
    """(predicted − measured) / measured."""
    corrected_error: float | None

    @property
    def place(self) -> str:
        """`pi-1[0:9]`."""
        return f"{self.stage.device}[{self.stage.start}:{self.stage.stop}]"


def panels(measurement: Measurement) -> tuple[PredictionPanel, PredictionPanel]:
    """Latency in ms and throughput per second of every measured plan; one that stands twice is there once."""
    plans = distinct_plans(measurement.plans)
    return (
        PredictionPanel(
            quantity="latency", unit="ms", marks=tuple(_latency(plan, is_chosen=i == 0) for i, plan in enumerate(plans))
        ),
        PredictionPanel(
            quantity="throughput",
            unit="samples/s",
            marks=tuple(_throughput(plan, is_chosen=i == 0) for i, plan in enumerate(plans)),
        ),
    )


def residuals(measurement: Measurement) -> tuple[StageResidual, ...]:
    """Every stage of every measured plan, by device and then by span."""
    found = [_residual(plan, stage) for plan in distinct_plans(measurement.plans) for stage in plan.stages]
    devices = list(
        dict.fromkeys(stage.device for plan in (*measurement.baselines, *measurement.plans) for stage in plan.stages)
    )
    return tuple(sorted(found, key=lambda one: (devices.index(one.stage.device), one.stage.start, one.stage.stop)))


def quality_of(measurement: Measurement) -> PredictionQuality:
    """The measurement's own; for one of an older version what its figures tell, without devices and warnings."""
    return measurement.prediction or prediction_quality(measurement.plans, (), ())


def has_paced(marks: Sequence[PredictionMark]) -> bool:
    """Whether a plan has an emulated device."""
    return any(mark.plan.is_paced for mark in marks)


def _latency(plan: PlanMeasurement, *, is_chosen: bool) -> PredictionMark:
    median = plan.latency_seconds.p50
    return PredictionMark(
        plan=plan,
        is_chosen=is_chosen,
        measured=Estimate(value=median.value * 1e3, low=median.low * 1e3, high=median.high * 1e3),
        predicted=plan.predicted.latency_seconds * 1e3,
        corrected=plan.corrected.latency_seconds * 1e3 if plan.corrected else None,
    )


def _throughput(plan: PlanMeasurement, *, is_chosen: bool) -> PredictionMark:
    return PredictionMark(
        plan=plan,
        is_chosen=is_chosen,
        measured=plan.throughput_per_second,
        predicted=plan.predicted.throughput_per_second,
        corrected=plan.corrected.throughput_per_second if plan.corrected else None,
    )


def _residual(plan: PlanMeasurement, stage: StageMeasurement) -> StageResidual:
    live = stage.unloaded_compute_seconds
    measured = stage.compute_seconds if live is None else live.value
    corrected = stage.corrected_compute_seconds
    return StageResidual(
        plan=plan,
        stage=stage,
        measured_seconds=measured,
        error=signed_error(stage.predicted_compute_seconds, measured),
        corrected_error=None if corrected is None else signed_error(corrected, measured),
    )
