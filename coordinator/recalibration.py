"""Live recalibration: stage times of running pipelines correct the profile that plans are predicted from.

What was seen is believed: a span that ran in a pipeline gets its live median. For every other span of the device the
best guess is the profile, times one robust factor: the median of live over predicted of its stages.

One factor, although the true ratio may differ between short and long spans: a pipeline adds fixed time to a stage
(waking threads, cold caches), which is much of a short span and little of a long one. A fixed part cannot be given to
each span of the profile, because the cost model sums those of single units, and would count it once for each unit; a
factor goes through its sums and fits unchanged. So the factor is taken where it matters for a plan, from stages that
are not short against the longest one seen (`SHORT_SHARE`). Short spans seen live have their own time anyway, and others
are off by a share of little. How far the ratios lie apart is told as the factor's interval; where they lie so far apart
that no factor describes them (`MOST_SPREAD`, as when stages disturb each other on a shared machine), none is applied.

Emulated (paced) stages correct nothing: they last as long as the profile says, so that they would confirm any profile.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from coordinator.measurement import DeviceFactor, Estimate, PlanMeasurement, StageMeasurement
from coordinator.statistics import quantile_estimate
from partitioner.cost import CostModel
from partitioner.plan import StageCost
from partitioner.profile import DeviceProfile, Profile, SegmentTiming, StageTrial

Regime = Literal["unloaded", "busy"]
"""Which live times count: those of single requests, which make the latency, or those of the full pipeline."""

FACTOR_BOUNDS = (1 / 3, 3.0)
"""Factors that are believed. Idle gaps alone were seen to double a stage's time; more is a fault, not a factor."""
TIGHT_WIDTH = 0.1
"""Interval over median of a single stage with which it may speak for its whole device."""
MOST_SPREAD = 2.0
"""High over low end of a factor's interval up to which the factor is applied."""
SHORT_SHARE = 0.1
"""Part of the longest stage's time below which a stage has no say in the factor."""

StageKey = tuple[str, int, int]
"""Device, start, stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSpan:
    """One span on one device, seen in running pipelines."""

    device: str
    start: int
    stop: int
    live: Estimate
    """Median over requests; over plans the median of those."""
    predicted_seconds: float
    n_samples: int
    cost: StageCost
    """The whole prediction."""

    @property
    def ratio(self) -> float:
        """Live over predicted."""
        return self.live.value / self.predicted_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """What live stage times made of a profile."""

    profile: Profile
    factors: tuple[DeviceFactor, ...]
    """Of each device that was seen."""


def recalibrate(cost_model: CostModel, measured: Iterable[PlanMeasurement], regime: Regime) -> Recalibration:
    """The model's profile, corrected by the live stage times of measured plans.

    A device without live stages keeps its profile as it is; one with too few for a factor changes only where it was
    seen.

    Raises:
        PlanError: A measured plan does not fit the model.
    """
    spans = live_spans(cost_model, measured, regime)
    devices = {span.device: [one for one in spans if one.device == span.device] for span in spans}
    factors = {name: device_factor(name, seen) for name, seen in devices.items()}
    profile = cost_model.profile
    corrected = tuple(
        _corrected_device(device, devices[device.device], factors[device.device].factor, regime)
        if device.device in devices
        else device
        for device in profile.devices
    )
    return Recalibration(profile=replace(profile, devices=corrected), factors=tuple(factors.values()))


def live_profile(cost_model: CostModel, measured: Sequence[PlanMeasurement]) -> Profile:
    """The profile to predict from: where stages were tried, computing by unloaded and occupation by busy live times.

    Elsewhere one time stands for both, and it is that of the full pipeline.

    Raises:
        PlanError: A measured plan does not fit the model.
    """
    unloaded, busy = (recalibrate(cost_model, measured, regime).profile for regime in ("unloaded", "busy"))
    devices = tuple(
        _combined(one, other) if one.trials else other
        for one, other in zip(unloaded.devices, busy.devices, strict=True)
    )
    return replace(busy, devices=devices)


def _combined(unloaded: DeviceProfile, busy: DeviceProfile) -> DeviceProfile:
    trials = tuple(
        replace(one, busy_seconds=other.busy_seconds) for one, other in zip(unloaded.trials, busy.trials, strict=True)
    )
    return replace(unloaded, trials=trials)


def live_spans(cost_model: CostModel, measured: Iterable[PlanMeasurement], regime: Regime) -> tuple[LiveSpan, ...]:
    """Each span that ran unpaced, once, by device and place.

    Raises:
        PlanError: A measured plan does not fit the model.
    """
    seen: dict[StageKey, list[LiveSpan]] = {}
    for plan in measured:
        cost = cost_model.predict(plan.plan)
        for stage in plan.stages:
            is_stretched = stage.stage in cost.contending_stages
            span = _live_span(plan, stage, cost.stages[stage.stage], regime, is_stretched=is_stretched)
            if span is not None:
                seen.setdefault((span.device, span.start, span.stop), []).append(span)
    return tuple(_together(seen[key]) for key in sorted(seen))


def device_factor(device: str, seen: Sequence[LiveSpan]) -> DeviceFactor:
    """Median of live over predicted of the stages that are not short, clipped to `FACTOR_BOUNDS`."""
    longest = max(span.predicted_seconds for span in seen)
    telling = [span for span in seen if span.predicted_seconds >= SHORT_SHARE * longest]
    if len(telling) > 1:
        found = quantile_estimate([span.ratio for span in telling], 0.5)
    else:
        only = telling[0]
        ends = (end / only.predicted_seconds for end in (only.live.value, only.live.low, only.live.high))
        found = Estimate(**dict(zip(("value", "low", "high"), ends, strict=True)))
    is_tight = found.high - found.low <= TIGHT_WIDTH * found.value
    is_known = found.high <= MOST_SPREAD * found.low if len(telling) > 1 else is_tight
    clipped = min(max(found.value, FACTOR_BOUNDS[0]), FACTOR_BOUNDS[1])
    return DeviceFactor(
        device=device,
        factor=clipped if is_known else None,
        low=found.low,
        high=found.high,
        n_stages=len(seen),
        is_clipped=is_known and clipped != found.value,
    )


def _live_span(
    plan: PlanMeasurement, stage: StageMeasurement, cost: StageCost, regime: Regime, *, is_stretched: bool
) -> LiveSpan | None:
    """Others on the same processor stretch a stage under load, which is not its own time: that is the unloaded one."""
    loaded, unloaded = stage.compute_median_seconds, stage.unloaded_compute_seconds
    loaded = unloaded if is_stretched else loaded
    if loaded is None or unloaded is None or stage.is_paced or not min(loaded.value, unloaded.value) > 0:
        return None
    n_unloaded = plan.latency_seconds.n_samples
    return LiveSpan(
        device=stage.device,
        start=stage.start,
        stop=stage.stop,
        live=unloaded if regime == "unloaded" else _busy_estimate(loaded, unloaded, cost),
        predicted_seconds=_predicted_seconds(cost, regime),
        n_samples=n_unloaded if regime == "unloaded" else plan.n_requests - plan.n_errors - n_unloaded,
        cost=cost,
    )


def _busy_estimate(loaded: Estimate, unloaded: Estimate, cost: StageCost) -> Estimate:
    """For how long a request keeps the device busy: computing under load, and what handling messages takes beside it.

    Computing is longer under load where handling takes its processor meanwhile; so much of it is seen already.
    """
    handling = _uncoded_busy_seconds(cost) - cost.compute_seconds
    unseen = max(0.0, handling - max(0.0, loaded.value - unloaded.value))
    return Estimate(value=loaded.value + unseen, low=loaded.low + unseen, high=loaded.high + unseen)


def _predicted_seconds(stage: StageCost, regime: Regime) -> float:
    return stage.compute_seconds if regime == "unloaded" else _uncoded_busy_seconds(stage)


def _uncoded_busy_seconds(stage: StageCost) -> float:
    """For how long a request keeps one device busy beside coding, which spans of the profile leave out."""
    return stage.busy_seconds * stage.n_replicas - stage.coding_seconds


def _together(same: Sequence[LiveSpan]) -> LiveSpan:
    """One span that was seen in several plans."""
    live = Estimate(
        value=median(span.live.value for span in same),
        low=median(span.live.low for span in same),
        high=median(span.live.high for span in same),
    )
    return replace(same[0], live=live, n_samples=sum(span.n_samples for span in same))


def _corrected_device(
    device: DeviceProfile, seen: Sequence[LiveSpan], factor: float | None, regime: Regime
) -> DeviceProfile:
    """Where stages were tried on the device, spans seen live become trials: segments were timed otherwise."""
    if device.trials:
        tried = {(trial.start, trial.stop): trial for trial in device.trials}
        scaled_trials = {span: _scaled_trial(trial, factor or 1.0, regime) for span, trial in tried.items()}
        lived = {(s.start, s.stop): _live_trial(s, tried.get((s.start, s.stop)), regime) for s in seen}
        trials = scaled_trials | lived
        segments_scaled = tuple(one if factor is None else _scaled(one, factor) for one in device.segments)
        return replace(device, segments=segments_scaled, trials=tuple(trials[span] for span in sorted(trials)))
    # The last time of a span counts, where it was measured again.
    segments: Mapping[tuple[int, int], SegmentTiming] = {(one.start, one.stop): one for one in device.segments}
    scaled = {span: one if factor is None else _scaled(one, factor) for span, one in segments.items()}
    live = {(span.start, span.stop): _as_timing(span, segments.get((span.start, span.stop))) for span in seen}
    merged = scaled | live
    return replace(device, segments=tuple(merged[span] for span in sorted(merged)))


def _scaled_trial(trial: StageTrial, factor: float, regime: Regime) -> StageTrial:
    return replace(
        trial,
        compute_seconds=trial.compute_seconds * factor,
        low_seconds=trial.low_seconds * factor,
        high_seconds=trial.high_seconds * factor,
        busy_seconds=trial.busy_seconds * (factor if regime == "busy" else 1.0),
    )


def _live_trial(span: LiveSpan, tried: StageTrial | None, regime: Regime) -> StageTrial:
    cost = span.cost
    trial = tried or StageTrial(
        start=span.start,
        stop=span.stop,
        compute_seconds=cost.compute_seconds,
        low_seconds=cost.compute_seconds,
        high_seconds=cost.compute_seconds,
        handover_seconds=max(0.0, cost.seconds - cost.coding_seconds - cost.compute_seconds),
        busy_seconds=_uncoded_busy_seconds(cost),
        n_samples=span.n_samples,
    )
    if regime == "busy":
        return replace(trial, busy_seconds=span.live.value)
    return replace(
        trial,
        compute_seconds=span.live.value,
        low_seconds=span.live.low,
        high_seconds=span.live.high,
        n_samples=span.n_samples,
    )


def _scaled(timing: SegmentTiming, factor: float) -> SegmentTiming:
    return replace(
        timing,
        seconds=timing.seconds * factor,
        low_seconds=timing.low_seconds * factor,
        high_seconds=timing.high_seconds * factor,
        source="scaled",
    )


def _as_timing(span: LiveSpan, profiled: SegmentTiming | None) -> SegmentTiming:
    """The live time of a span; what only a profiler sees is kept, or 0 where it never timed the span."""
    return SegmentTiming(
        start=span.start,
        stop=span.stop,
        seconds=span.live.value,
        low_seconds=span.live.low,
        high_seconds=span.live.high,
        n_samples=span.n_samples,
        session_seconds=profiled.session_seconds if profiled else 0.0,
        memory_bytes=profiled.memory_bytes if profiled else 0,
        source="pipeline",
    )
