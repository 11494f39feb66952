"""Measured times of a network's parts on each device."""

from dataclasses import dataclass
from typing import Literal

Source = Literal["profiler", "pipeline", "scaled"]
"""Where a time is from: timed alone, seen in a running pipeline, or timed alone and scaled by what pipelines showed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTiming:
    """One measured span of units on one device."""

    start: int
    stop: int
    seconds: float
    """Median of one run."""
    low_seconds: float
    high_seconds: float
    """95 % interval of the median."""
    n_samples: int
    session_seconds: float
    """Creating the session, once."""
    memory_bytes: int
    """Growth of the process while the session was made and run."""
    coefficient_of_variation: float = 0.0
    """Of single runs, robust: 1.4826 · median absolute deviation / median."""
    is_tight: bool = False
    """The interval was as narrow as was asked for, so that timing could end early."""
    is_cached: bool = False
    """Taken from the profile cache, not timed in this run."""
    source: Source = "profiler"

    @property
    def span(self) -> tuple[int, int]:
        """Units [start, stop)."""
        return self.start, self.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTrial:
    """A span of units run as a stage, alone, between the client and the client, through the data plane."""

    start: int
    stop: int
    compute_seconds: float
    """Median with one request in flight, by the node's clock."""
    low_seconds: float
    high_seconds: float
    """95 % interval of that median."""
    handover_seconds: float
    """What one request spends at the stage beside computing: round trip less compute less both hops as probed; 0 or
    more."""
    busy_seconds: float
    """From request to request under load: for how long one keeps the device busy."""
    n_samples: int
    memory_bytes: int = 0
    """Growth of the process, as of a segment; 0 where it was not seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePower:
    """What the meter of a node counted around its profile."""

    meter: str
    """`rapl`, `nvml`: what is counted, whoever uses it."""
    idle_watts: float
    """While nothing was asked of the node."""
    active_watts: float
    """While segments were timed."""
    seconds: float
    """For so long it was followed meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProfile:
    """All spans measured on one device. Units, prefixes, suffixes, the whole, and segments of plans alike."""

    device: str
    segments: tuple[SegmentTiming, ...]
    runtime: str
    """Runtime, version, provider, threads: what the times hold for."""
    emulation: str | None = None
    base_memory_bytes: int = 0
    """Resident memory of the idle agent."""
    unsupported_units: tuple[int, ...] = ()
    """Units that no stage on this device can have: its runtime refuses them, or their weights exceed its memory."""
    trials: tuple[StageTrial, ...] = ()
    """Spans tried as stages; of one span the last trial counts."""
    seconds: float = 0.0
    """What profiling took, all in all; the three are 0 in profiles of older versions."""
    session_seconds: float = 0.0
    """Thereof creating sessions."""
    sending_seconds: float = 0.0
    """Thereof bringing graphs and weights to the node."""
    power: DevicePower | None = None
    """None without a meter."""

    @property
    def n_tight(self) -> int:
        """Segments whose interval is as narrow as was asked for."""
        return sum(timing.is_tight for timing in self.segments)

    @property
    def n_cached(self) -> int:
        """Segments taken from the profile cache."""
        return sum(timing.is_cached for timing in self.segments)

    @property
    def noisiest(self) -> SegmentTiming | None:
        """The segment whose single runs vary most; None where none was measured."""
        return max(self.segments, key=lambda timing: timing.coefficient_of_variation, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What was measured, for one model and batch size."""

    model_sha256: str
    batch: int
    n_units: int
    devices: tuple[DeviceProfile, ...]
