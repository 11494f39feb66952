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
    source: Source = "profiler"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What was measured, for one model and batch size."""

    model_sha256: str
    batch: int
    n_units: int
    devices: tuple[DeviceProfile, ...]
