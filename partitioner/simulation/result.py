"""What a simulation found."""

from dataclasses import dataclass

import numpy as np

from partitioner.front import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceLoad:
    """How busy a device, medium or processor was."""

    name: str
    """`device:NAME`, `link:SOURCE->TARGET`, `medium:NAME` for links that share one, or `processor:NAME`
    for devices that do."""
    busy_share: float
    """Part of the measured time, 0 … 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLoad:
    """How many requests waited at a place; the one that is served there is not counted."""

    name: str
    """`client` (not yet sent), `stage I in`, `stage I out`."""
    mean: float
    """Over the measured time."""
    peak: int
    """Since the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SimulationResult:
    """Figures of the measured requests; those of the warm-up are left out."""

    batch: int
    """Samples per request."""
    latency_seconds: FloatArray
    """(n_requests,) float64 from arrival at the client to the result there, in the order of arrival. Read-only."""
    seconds: float
    """Simulated time that was measured."""
    mean_in_system: float
    """Requests between arrival and result, on average over time."""
    resources: tuple[ResourceLoad, ...]
    """Each once, in the order of the flow."""
    queues: tuple[QueueLoad, ...]
    """In the order of the flow."""

    @property
    def throughput_per_second(self) -> float:
        """Samples per second."""
        return self.batch * len(self.latency_seconds) / self.seconds

    @property
    def bottleneck(self) -> ResourceLoad:
        """The busiest resource; of equals the first in the flow."""
        return max(self.resources, key=lambda load: load.busy_share)

    @property
    def max_queue(self) -> QueueLoad:
        """The longest queue; of equals the first in the flow."""
        return max(self.queues, key=lambda load: load.peak)

    @property
    def mean_latency_seconds(self) -> float:
        """Of all measured requests."""
        return float(self.latency_seconds.mean())

    def latency_percentile(self, percent: float) -> float:
        """Seconds that `percent` of the requests do not exceed, as numpy interpolates them.

        Raises:
            ValueError: `percent` is not within 0 … 100.
        """
        return float(np.percentile(self.latency_seconds, percent))
