"""A choice of split points, devices and window, and what it is predicted to cost."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from partitioner.codec import NO_CODEC

ROUNDING = 1e-9
"""Share by which parts of a processor may exceed the whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Units [start, stop) on one device, or on several that take turns."""

    device: str
    start: int
    stop: int
    replicas: tuple[str, ...] = ()
    """Further devices that bear the same stage; requests go round."""
    codec: str = NO_CODEC
    """In which the stage sends its boundary; the last stage sends as it is."""

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices that bear the stage."""
        return (self.device, *self.replicas)

    def describe(self) -> str:
        """`pi-1+pi-2[0:12]`."""
        return f"{'+'.join(self.devices)}[{self.start}:{self.stop}]"


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
        return len(self.stages) > 1 or any(stage.replicas for stage in self.stages)

    @property
    def n_ways(self) -> int:
        """Ways that requests may go, one after the other: more than one where several devices bear a stage in turn."""
        return math.lcm(*(len(stage.devices) for stage in self.stages))

    def describe(self) -> str:
        """One line for people: `pi-1[0:12] → server[12:54]`; a codec stands between, ` →int8→ `."""
        parts = [
            stage.describe() + (" → " if stage.codec == NO_CODEC else f" →{stage.codec}→ ") for stage in self.stages
        ]
        return "".join(parts).removesuffix(" → ")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedCost:
    """For how long one request keeps busy what links, or devices, share: a medium, or a processor."""

    name: str
    busy_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """Predicted cost of one stage for one request."""

    device: str
    seconds: float
    """From taking a lone request to handing its result on: handover, decoding, computing, encoding; of the slowest
    replica."""
    memory_bytes: int
    """On each device that bears it."""
    n_replicas: int = 1
    """Devices that take turns."""
    joules: float | None = None
    """What a device draws while one request keeps it busy; None where its power is not known."""
    power_source: str = ""
    """Where that power comes from, as in `Device.power_source`; empty where it is not known."""
    compute_seconds: float = 0.0
    """Computing alone, of the slowest replica; 0 becomes `seconds`, as where the two were not told apart."""
    busy_seconds: float = 0.0
    """Busy time of each device that bears it, per request of the pipeline; 0 becomes `seconds / n_replicas`."""
    decode_seconds: float = 0.0
    """Part of `seconds`, and of what keeps a device busy: decoding what comes in a codec, on the slowest replica."""
    encode_seconds: float = 0.0
    """As it: encoding what is sent in one."""
    processors: tuple[SharedCost, ...] = ()
    """Those that its devices share with others, each busy for the part of it that they use."""

    def __post_init__(self) -> None:
        fallbacks = {"compute_seconds": self.seconds, "busy_seconds": self.seconds / max(self.n_replicas, 1)}
        for name, seconds in fallbacks.items():
            object.__setattr__(self, name, getattr(self, name) or seconds)

    @property
    def coding_seconds(self) -> float:
        """Decoding and encoding."""
        return self.decode_seconds + self.encode_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class HopCost:
    """Predicted cost of one hop for one request."""

    source: str
    target: str
    n_bytes: int
    seconds: float
    busy_seconds: float
    """Per request of the pipeline: replicas share the requests out over their links."""
    output_error: float = 0.0
    """Relative L2 error of the outputs that the codec brings, 0 without one."""
    media: tuple[SharedCost, ...] = ()
    """Those that the hop crosses. Every request crosses them, whichever replica it goes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostEstimate:
    """Predicted cost of a plan."""

    latency_seconds: float
    """Unloaded: input hop + stages + hops between + output hop."""
    bottleneck_seconds: float
    """Busy time of the busiest resource for one request (of `batch` samples)."""
    bottleneck_resource: str
    """`device:NAME`, `link:SOURCE->TARGET`, `medium:NAME` or `processor:NAME`."""
    throughput_per_second: float
    """Samples per second with the plan's window."""
    stages: tuple[StageCost, ...]
    hops: tuple[HopCost, ...]
    """n_stages + 1, from the client and back to it."""

    @property
    def sample_seconds(self) -> float:
        """Seconds from sample to sample at the plan's window and batch: 1 / throughput."""
        return 1.0 / self.throughput_per_second

    @property
    def media(self) -> tuple[SharedCost, ...]:
        """Shared media that the plan uses, each with the sum over its hops, in the order of the flow."""
        return _summed(medium for hop in self.hops for medium in hop.media)

    @property
    def processors(self) -> tuple[SharedCost, ...]:
        """Shared processors that the plan uses, each with the sum over its stages, in the order of the flow."""
        return _summed(processor for stage in self.stages for processor in stage.processors)

    @property
    def contending_stages(self) -> frozenset[int]:
        """Stages on a processor that cannot bear all of its stages at a time: under load they stretch each other."""
        wanted: dict[str, float] = defaultdict(float)
        for stage in self.stages:
            for processor in stage.processors:
                wanted[processor.name] += processor.busy_seconds / stage.busy_seconds
        return frozenset(
            index
            for index, stage in enumerate(self.stages)
            if any(wanted[processor.name] > 1 + ROUNDING for processor in stage.processors)
        )

    @property
    def stretch_seconds(self) -> float:
        """By how much longer a request takes under load, at most, since stages that contend take turns."""
        total = {processor.name: processor.busy_seconds for processor in self.processors}
        return math.fsum(
            max(total[processor.name] - processor.busy_seconds for processor in self.stages[index].processors)
            for index in self.contending_stages
        )

    @property
    def memory_bytes(self) -> int:
        """Of the device that bears most."""
        return max(stage.memory_bytes for stage in self.stages)

    @property
    def wire_bytes(self) -> int:
        """Sent by all hops for one request."""
        return sum(hop.n_bytes for hop in self.hops)

    @property
    def energy_joules(self) -> float | None:
        """What the devices draw while they work on one request, idle draw not counted; None where not known."""
        joules = [stage.joules for stage in self.stages if stage.joules is not None]
        return sum(joules) if len(joules) == len(self.stages) else None

    @property
    def output_error(self) -> float:
        """Relative L2 error of the outputs: the sum of what each codec brings alone."""
        return sum(hop.output_error for hop in self.hops)


def _summed(costs: Iterable[SharedCost]) -> tuple[SharedCost, ...]:
    busy: dict[str, float] = {}
    for cost in costs:
        busy[cost.name] = busy.get(cost.name, 0.0) + cost.busy_seconds
    return tuple(SharedCost(name=name, busy_seconds=seconds) for name, seconds in busy.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A plan with its predicted cost: one point of a front."""

    plan: Plan
    cost: CostEstimate
