"""Measured times of a network's parts on each device."""

from dataclasses import dataclass


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
    """Units that the device's runtime refuses, so that no stage with one of them can be there."""
    trials: tuple[StageTrial, ...] = ()
    """Spans tried as stages; of one span the last trial counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What was measured, for one model and batch size."""

    model_sha256: str
    batch: int
    n_units: int
    devices: tuple[DeviceProfile, ...]
