"""The points of the front's picture as plain numbers, the same for the page and for paper."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from coordinator.measurement import Estimate, PlanMeasurement
from coordinator.report import quantities
from coordinator.report.comparison import unsplit_candidates
from coordinator.report.names import shorten
from coordinator.report.run import Run, is_same_plan
from partitioner.front import is_dominated
from partitioner.plan import Candidate, Plan

FAR_TIMES = 4.0
"""A device alone this many times worse than every plan of the front is named beside the first view, not shown in it."""


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
    def far_devices(self) -> frozenset[str]:
        """Devices that are so slow alone that showing them would squeeze all else into a corner."""
        near = (*self.front, self.chosen)
        longest = FAR_TIMES * max(point.latency_seconds for point in near)
        least = min(point.throughput_per_second for point in near) / FAR_TIMES
        return frozenset(
            point.plan.stages[0].device
            for point in self.singles
            if point.latency_seconds > longest or point.throughput_per_second < least
        )

    @property
    def main_latencies(self) -> tuple[float, ...]:
        """Latencies that the first view must hold, ends of intervals included; seconds."""
        ends = (end for point in self._main_measured for end in _ends(point.latency_seconds))
        return _finite((*(point.latency_seconds for point in self._main_predicted), *ends))

    @property
    def main_throughputs(self) -> tuple[float, ...]:
        """Throughputs that the first view must hold, ends of intervals included; per second."""
        ends = (end for point in self._main_measured for end in _ends(point.throughput_per_second))
        return _finite((*(point.throughput_per_second for point in self._main_predicted), *ends))

    @property
    def _main_predicted(self) -> tuple[PredictedPoint, ...]:
        return (*self.front, self.chosen, *(point for point in self.singles if not self._is_far(point.plan)))

    @property
    def _main_measured(self) -> tuple[MeasuredPoint, ...]:
        return (*self.measured, *(point for point in self.measured_singles if not self._is_far(point.plan)))

    def _is_far(self, plan: Plan) -> bool:
        return plan.stages[0].device in self.far_devices


def outside_text(points: FrontPoints) -> str:
    """Says of each device that the first view leaves out where it would be; empty where none is."""
    measured = {point.plan.stages[0].device: point for point in points.measured_singles}
    parts = []
    for single in points.singles:
        device = single.plan.stages[0].device
        if device not in points.far_devices:
            continue
        found = measured.get(device)
        latency = found.latency_seconds.value if found else single.latency_seconds
        throughput = found.throughput_per_second.value if found else single.throughput_per_second
        parts.append(f"{shorten(device, 20)} alone: {quantities.seconds(latency)}, {quantities.rate(throughput)} ↘")
    return "\n".join(parts)


def front_points(run: Run) -> FrontPoints:
    """All points of a run; none is dropped. Plans that are on the front for other objectives stand with the rest."""
    every = tuple(_point(f"front {i}", one) for i, one in enumerate(run.search.front))
    beaten = is_dominated([(point.latency_seconds, -point.throughput_per_second) for point in every])
    front = tuple(point for point, is_beaten in zip(every, beaten, strict=True) if not is_beaten)
    others = tuple(point for point, is_beaten in zip(every, beaten, strict=True) if is_beaten)
    measured_singles = run.measurement.baselines if run.measurement else ()
    measured = (run.measurement, *run.measurement.front) if run.measurement else ()
    return FrontPoints(
        front=front,
        dominated=(*others, *(_point("dominated", candidate) for candidate in run.search.dominated)),
        chosen=_named(every, run.chosen, "chosen"),
        knee=None if run.knee is None else _named(every, run.knee, "knee"),
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
