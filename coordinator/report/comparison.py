"""How one figure stands to another: against a single device, against its prediction."""

import math
from dataclasses import dataclass

from coordinator.measurement import Estimate, PlanMeasurement
from coordinator.report.run import Run, is_same_plan
from partitioner.plan import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleDevice:
    """The whole model on one device, measured or, where `is_measured` is false, predicted."""

    device: str
    latency_seconds: Estimate
    throughput_per_second: Estimate
    is_measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The chosen plan over a single device."""

    device: str
    times: Estimate
    """Chosen over single; above 1 is more."""
    is_measured: bool

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 1 out."""
        return self.times.low > 1 or self.times.high < 1


def exactly(value: float) -> Estimate:
    """A figure without an interval: a prediction."""
    return Estimate(value=value, low=value, high=value)


def ratio_estimate(top: Estimate, bottom: Estimate) -> Estimate:
    """Ratio of two figures, with a 95 % interval out of those of its parts, independent of each other.

    Source: Zou and Donner, "Construction of confidence limits about effect measures", 2008 (MOVER on logarithms).
    """
    if not (top.value > 0 and bottom.value > 0):
        return Estimate(value=math.nan, low=math.nan, high=math.nan)
    value = top.value / bottom.value
    down = math.hypot(_log_ratio(top.value, top.low), _log_ratio(bottom.high, bottom.value))
    up = math.hypot(_log_ratio(top.high, top.value), _log_ratio(bottom.value, bottom.low))
    return Estimate(value=value, low=value * math.exp(-down), high=math.inf if math.isinf(up) else value * math.exp(up))


def single_devices(run: Run) -> tuple[SingleDevice, ...]:
    """The whole model on each device for which something is known: measurements, otherwise predictions."""
    if run.measurement is not None and run.measurement.baselines:
        return tuple(_measured_single(baseline) for baseline in run.measurement.baselines)
    return tuple(
        SingleDevice(
            device=candidate.plan.stages[0].device,
            latency_seconds=exactly(candidate.cost.latency_seconds),
            throughput_per_second=exactly(candidate.cost.throughput_per_second),
            is_measured=False,
        )
        for candidate in unsplit_candidates(run)
    )


def unsplit_candidates(run: Run) -> tuple[Candidate, ...]:
    """Candidates of the search that leave the model whole, the first for each device."""
    found: dict[str, Candidate] = {}
    for candidate in (*run.search.front, *run.search.dominated, run.chosen):
        if not candidate.plan.is_split:
            found.setdefault(candidate.plan.stages[0].device, candidate)
    return tuple(found.values())


def throughput_comparison(run: Run) -> Comparison | None:
    """Throughput of the chosen plan over that of the single device with the most; None where nothing is known."""
    singles = single_devices(run)
    if not singles:
        return None
    best = max(singles, key=lambda single: single.throughput_per_second.value)
    return _compare(run, best, best.throughput_per_second, is_latency=False)


def latency_comparison(run: Run) -> Comparison | None:
    """Latency of the chosen plan over that of the single device with the least; None where nothing is known."""
    singles = single_devices(run)
    if not singles:
        return None
    best = min(singles, key=lambda single: single.latency_seconds.value)
    return _compare(run, best, best.latency_seconds, is_latency=True)


def best_measured_split(run: Run) -> PlanMeasurement | None:
    """The measured plan with most throughput among those that split, the chosen one left out."""
    splits = [
        plan for plan in run.measured_plans if plan.plan.is_split and not is_same_plan(plan.plan, run.chosen.plan)
    ]
    return max(splits, key=lambda plan: plan.throughput_per_second.value, default=None)


def _compare(run: Run, best: SingleDevice, single: Estimate, *, is_latency: bool) -> Comparison:
    cost, measurement = run.chosen.cost, run.measurement
    if measurement is not None and best.is_measured:
        own = measurement.latency_seconds.p50 if is_latency else measurement.throughput_per_second
    else:
        own = exactly(cost.latency_seconds if is_latency else cost.throughput_per_second)
    return Comparison(device=best.device, times=ratio_estimate(own, single), is_measured=best.is_measured)


def _measured_single(baseline: PlanMeasurement) -> SingleDevice:
    return SingleDevice(
        device=baseline.plan.stages[0].device,
        latency_seconds=baseline.latency_seconds.p50,
        throughput_per_second=baseline.throughput_per_second,
        is_measured=True,
    )


def _log_ratio(top: float, bottom: float) -> float:
    """log(top / bottom), at least 0; infinite where the bottom has no logarithm."""
    if bottom <= 0 or math.isinf(top):
        return math.inf
    return max(math.log(top / bottom), 0.0) if top > 0 else 0.0
