"""A choice of split points, devices and window, and what it is predicted to cost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Units [start, stop) on one device."""

    device: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Stages in the order in which data flows; together they cover all units."""

    model_sha256: str
    batch: int
    stages: tuple[Stage, ...]
    window: int
    """Requests in flight."""

    @property
    def is_split(self) -> bool:
        """Whether more than one device works."""
        return len(self.stages) > 1

    def describe(self) -> str:
        """One line for people: `pi-1[0:12] → server[12:54]`."""
        return " → ".join(f"{stage.device}[{stage.start}:{stage.stop}]" for stage in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """Predicted cost of one stage for one request."""

    device: str
    seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HopCost:
    """Predicted cost of one hop for one request."""

    source: str
    target: str
    n_bytes: int
    seconds: float
    busy_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """Predicted cost of a plan."""

    latency_seconds: float
    """Unloaded: input hop + stages + hops between + output hop."""
    bottleneck_seconds: float
    """Busy time of the busiest resource for one request (of `batch` samples)."""
    bottleneck_resource: str
    """`device:NAME` or `link:SOURCE->TARGET`."""
    throughput_per_second: float
    """Samples per second with the plan's window."""
    stages: tuple[StageCost, ...]
    hops: tuple[HopCost, ...]
    """n_stages + 1, from the client and back to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A plan with its predicted cost: one point of a front."""

    plan: Plan
    cost: CostEstimate
