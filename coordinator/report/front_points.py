"""The points of the front's picture as plain numbers, the same for the page and for paper."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from coordinator.measurement import Estimate, PlanMeasurement
from coordinator.report.comparison import unsplit_candidates
from coordinator.report.run import Run, is_same_plan
from partitioner.plan import Candidate, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedPoint:
    """Where the cost model puts a plan."""

    label: str
    plan: Plan
    latency_seconds: float
    throughput_per_second: float
    candidate: Candidate | None
    """With the whole prediction, where the search gave one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPoint:
    """Where a plan was found, joined to where it was predicted."""

    label: str
    plan: Plan
    latency_seconds: Estimate
    """Median round trip."""
    throughput_per_second: Estimate
    predicted_latency_seconds: float
    predicted_throughput_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPoints:
    """Everything that is drawn."""

    front: tuple[PredictedPoint, ...]
    dominated: tuple[PredictedPoint, ...]
    chosen: PredictedPoint
    knee: PredictedPoint | None
    singles: tuple[PredictedPoint, ...]
    """The whole model on one device each."""
    measured: tuple[MeasuredPoint, ...]
    """Plans that split, and the chosen one."""
    measured_singles: tuple[MeasuredPoint, ...]

    @property
    def main_latencies(self) -> tuple[float, ...]:
        """Latencies that the first view must hold, ends of intervals included; seconds."""
        measured = self.measured + self.measured_singles
        ends = (end for point in measured for end in _ends(point.latency_seconds))
        return _finite((*(point.latency_seconds for point in self._main_predicted), *ends))

    @property
    def main_throughputs(self) -> tuple[float, ...]:
        """Throughputs that the first view must hold, ends of intervals included; per second."""
        measured = self.measured + self.measured_singles
        ends = (end for point in measured for end in _ends(point.throughput_per_second))
        return _finite((*(point.throughput_per_second for point in self._main_predicted), *ends))

    @property
    def _main_predicted(self) -> tuple[PredictedPoint, ...]:
        return (*self.front, self.chosen, *self.singles)


def front_points(run: Run) -> FrontPoints:
    """All points of a run; none is dropped."""
    n_front = len(run.search.front)
    front = tuple(_point(f"plan {i} of {n_front}", one) for i, one in enumerate(run.search.front, start=1))
    measured_singles = run.measurement.baselines if run.measurement else ()
    measured = (run.measurement, *run.measurement.front) if run.measurement else ()
    return FrontPoints(
        front=front,
        dominated=tuple(_point("dominated", candidate) for candidate in run.search.dominated),
        chosen=_named(front, run.chosen, "chosen"),
        knee=None if run.knee is None else _named(front, run.knee, "knee"),
        singles=_singles(run),
        measured=tuple(_measured(plan) for plan in measured),
        measured_singles=tuple(_measured(plan) for plan in measured_singles),
    )


def _singles(run: Run) -> tuple[PredictedPoint, ...]:
    """One for each device: the measured baseline's prediction first, otherwise the search's."""
    found: dict[str, PredictedPoint] = {}
    for baseline in run.measurement.baselines if run.measurement else ():
        device = baseline.plan.stages[0].device
        found[device] = PredictedPoint(
            label=f"whole model on {device}",
            plan=baseline.plan,
            latency_seconds=baseline.predicted.latency_seconds,
            throughput_per_second=baseline.predicted.throughput_per_second,
            candidate=None,
        )
    for candidate in unsplit_candidates(run):
        device = candidate.plan.stages[0].device
        found.setdefault(device, _point(f"whole model on {device}", candidate))
    return tuple(found.values())


def _named(front: tuple[PredictedPoint, ...], candidate: Candidate, name: str) -> PredictedPoint:
    place = next((point.label for point in front if is_same_plan(point.plan, candidate.plan)), None)
    return _point(f"{name} ({place})" if place else name, candidate)


def _point(label: str, candidate: Candidate) -> PredictedPoint:
    return PredictedPoint(
        label=label,
        plan=candidate.plan,
        latency_seconds=candidate.cost.latency_seconds,
        throughput_per_second=candidate.cost.throughput_per_second,
        candidate=candidate,
    )


def _measured(measured: PlanMeasurement) -> MeasuredPoint:
    return MeasuredPoint(
        label=measured.label,
        plan=measured.plan,
        latency_seconds=measured.latency_seconds.p50,
        throughput_per_second=measured.throughput_per_second,
        predicted_latency_seconds=measured.predicted.latency_seconds,
        predicted_throughput_per_second=measured.predicted.throughput_per_second,
    )


def _ends(estimate: Estimate) -> tuple[float, float, float]:
    return (estimate.low, estimate.value, estimate.high)


def _finite(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(value for value in values if math.isfinite(value) and value > 0)
