"""The search problem as arrays."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from partitioner.cost import CostModel
from partitioner.front import BoolArray, FloatArray, IntArray

LATENCY, BOTTLENECK = "latency_seconds", "bottleneck_seconds"
MEMORY, ENERGY, WIRE, ERROR = "memory_bytes", "energy_joules", "wire_bytes", "output_error"
QUANTITIES = (LATENCY, BOTTLENECK, MEMORY, ENERGY, WIRE, ERROR)
"""What a plan is judged by, all minimised: each may be an objective, a bound, or both. Fields of a `CostEstimate`."""
TWO_OBJECTIVES = (LATENCY, BOTTLENECK)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Quantity:
    """How one quantity of a plan comes about: from its stages and hops, as their sum or as the largest of them."""

    name: str
    is_peak: bool
    """Whether the largest counts, not the sum."""
    stage: FloatArray
    """(n_devices, n_units + 1, n_units + 1) at [device, start, stop]; of possible stages only."""
    hop: FloatArray
    """(n_devices + 1, n_devices + 1, n_units + 1) at [source, target, position]; of possible hops only."""
    media: FloatArray | None = None
    """(n_media, n_devices + 1, n_devices + 1, n_units + 1) what a hop adds to each shared medium: sums that count for
    the largest, too."""
    processors: FloatArray | None = None
    """(n_processors, n_devices) times how much of `stage` a stage adds to each shared processor: sums as those of
    media."""

    @property
    def is_shared(self) -> bool:
        """Whether there are such sums."""
        return self.media is not None or self.processors is not None


@dataclass(frozen=True, eq=False, kw_only=True)
class SearchProblem:
    """Everything that an engine needs, as arrays. Devices have indices 0 … n_devices - 1; the client comes last.

    Each device bears at most one stage. A problem can be widened by choices that look like more of the same, so that
    engines need not know of them: `gates.with_codecs` puts a pair of split point and codec in the place of a position,
    `crews.with_replicas` adds groups of identical devices that bear a stage in turn. Immutable: shared freely between
    threads.
    """

    device_names: tuple[str, ...]
    stage_seconds: FloatArray
    """(n_devices, n_units + 1, n_units + 1) at [device, start, stop]; infinity where no stage can be."""
    stage_memory_bytes: FloatArray
    """(n_devices, n_units + 1, n_units + 1), like `stage_seconds`."""
    device_memory_bytes: FloatArray
    """(n_devices,)"""
    boundary_bytes: FloatArray
    """(n_units + 1,) crossing each position."""
    link_fixed_seconds: FloatArray
    """(n_devices + 1, n_devices + 1) at [source, target]; infinity where they cannot talk."""
    link_bytes_per_second: FloatArray
    """(n_devices + 1, n_devices + 1); read only where they can talk."""
    is_position_allowed: BoolArray
    """(n_units + 1,); the two ends always are."""
    max_stages: int
    """1 … n_devices."""
    pinned_first: int | None = None
    pinned_last: int | None = None
    objectives: tuple[str, ...] = TWO_OBJECTIVES
    """Of `QUANTITIES`, in the order of the columns of `evaluate`."""
    bounds: Mapping[str, float] = field(default_factory=dict)
    """The most of some `QUANTITIES`."""
    device_watts: FloatArray | None = None
    """(n_devices,) drawn while a stage computes; None where that is not known of all."""
    boundary_errors: FloatArray | None = None
    """(n_units + 1,) relative output error that crossing each position brings; None where codecs are not chosen."""
    gate_positions: IntArray | None = None
    """(n_units + 1,) split point of each position, where positions are pairs of split point and codec."""
    gate_codecs: tuple[str, ...] | None = None
    """(n_units + 1,) codec of each position, where positions are pairs of split point and codec."""
    stage_busy_seconds: FloatArray | None = None
    """Like `stage_seconds`: for how long a request keeps the device busy; None: as long as the stage takes."""
    link_busy_bytes_per_second: FloatArray | None = None
    """Like `link_bytes_per_second`: what links sustain; None: the same."""
    link_media: BoolArray | None = None
    """(n_media, n_devices + 1, n_devices + 1) which links are in each shared medium; None: every link is by itself."""
    processor_weights: FloatArray | None = None
    """(n_processors, n_devices) part of each shared processor that a device keeps busy while it is; None: none is
    shared."""
    crews: tuple[tuple[int, ...], ...] | None = None
    """(n_devices,) members of each device, by the index of the device that each is alone; None: all are alone."""
    cost_model: CostModel | None = None
    """What the arrays were made from; turns encoded plans into candidates."""

    @property
    def n_devices(self) -> int:
        """Number of devices, the client not counted."""
        return len(self.device_names)

    @property
    def n_units(self) -> int:
        """Number of units; positions are 0 … n_units."""
        return len(self.boundary_bytes) - 1

    @cached_property
    def crew_sizes(self) -> IntArray:
        """(n_devices + 1,) members of each device, and 1 for the client."""
        return np.array([*(len(crew) for crew in self.crews or ((0,),) * self.n_devices), 1], dtype=np.int64)

    @cached_property
    def is_member(self) -> BoolArray:
        """(n_devices, n_devices) whether a device is part of a crew, at [crew, device]; crews are part of nothing."""
        found = np.eye(self.n_devices, dtype=np.bool_)
        for crew, members in enumerate(self.crews or ()):
            found[crew] = np.isin(np.arange(self.n_devices), members)
        return found

    @cached_property
    def positions(self) -> IntArray:
        """(n_positions,) allowed ones, both ends included, ascending."""
        return np.flatnonzero(self.is_position_allowed).astype(np.int64)

    @cached_property
    def allowed_seconds(self) -> FloatArray:
        """`stage_seconds`, infinity also where memory, a bound of the bottleneck, or a position forbids the stage."""
        most_memory = np.minimum(self.device_memory_bytes, self.bounds.get(MEMORY, np.inf))
        is_allowed = self.stage_memory_bytes <= most_memory[:, None, None]
        is_allowed &= self.is_position_allowed[:, None] & self.is_position_allowed[None, :]
        if self.stage_busy_seconds is not None:
            is_allowed &= np.isfinite(self.stage_busy_seconds)
        if BOTTLENECK in self.bounds:
            is_allowed &= self.device_seconds / self.crew_sizes[:-1, None, None] <= self.bounds[BOTTLENECK]
        return np.where(is_allowed, self.stage_seconds, np.inf)

    @property
    def device_seconds(self) -> FloatArray:
        """`stage_busy_seconds`, or what stands for it: for how long a request keeps a device that is alone busy."""
        return self.stage_seconds if self.stage_busy_seconds is None else self.stage_busy_seconds

    @cached_property
    def work_seconds(self) -> FloatArray:
        """For how long a request keeps each member of a crew busy; infinity where `allowed_seconds` is."""
        seconds = self.allowed_seconds
        if self.stage_busy_seconds is not None:
            seconds = np.where(np.isfinite(seconds), self.stage_busy_seconds, np.inf)
        return seconds if self.crews is None else seconds / self.crew_sizes[:-1, None, None]

    @cached_property
    def transfer_seconds(self) -> FloatArray:
        """(n_devices + 1, n_devices + 1, n_units + 1) `bytes / rate` at [source, target, position], or infinity."""
        return self._sending_seconds(self.link_bytes_per_second)

    def _sending_seconds(self, bytes_per_second: FloatArray) -> FloatArray:
        can_talk = np.isfinite(self.link_fixed_seconds)
        rate = np.where(can_talk, bytes_per_second, 1.0)
        seconds = self.boundary_bytes[None, None, :] / rate[:, :, None]
        return np.where(can_talk[:, :, None], seconds, np.inf)

    @cached_property
    def busy_seconds(self) -> FloatArray:
        """`bytes / rate` at the rate that links sustain, by the links that take turns.

        Infinity where there is no link or a bound of the bottleneck forbids it. Like `transfer_seconds`.
        """
        sizes = self.crew_sizes
        busy = self._sustained_seconds
        if self.crews is not None:
            busy = busy / np.lcm(sizes[:, None], sizes[None, :])[:, :, None]
        return np.where(busy <= self.bounds[BOTTLENECK], busy, np.inf) if BOTTLENECK in self.bounds else busy

    @property
    def _sustained_seconds(self) -> FloatArray:
        rate = self.link_busy_bytes_per_second
        return self.transfer_seconds if rate is None else self._sending_seconds(rate)

    @cached_property
    def media_seconds(self) -> FloatArray | None:
        """(n_media, n_devices + 1, n_devices + 1, n_units + 1) for how long a hop keeps each shared medium busy.

        Replicas take turns on links, but all of them cross the medium. None where every link is by itself.
        """
        if self.link_media is None:
            return None
        crosses = self.link_media & np.isfinite(self.link_fixed_seconds)
        return np.where(crosses[:, :, :, None], self._sustained_seconds, 0.0)

    @cached_property
    def hop_seconds(self) -> FloatArray:
        """(n_devices + 1, n_devices + 1, n_units + 1) `fixed + bytes / rate` at [source, target, position]."""
        seconds = self.link_fixed_seconds[:, :, None] + self.transfer_seconds
        return np.where(np.isfinite(self.busy_seconds), seconds, np.inf) if self.bounds else seconds

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """Of the objectives, in their order, then of the others that are bounded; latency tells what is possible."""
        names = dict.fromkeys((*self.objectives, *self.bounds, LATENCY))
        return tuple(self.quantity(name) for name in names)

    @property
    def shares_resources(self) -> bool:
        """Whether what plans are judged by sums up shared media or processors, which engine `exact` cannot."""
        return any(quantity.is_shared for quantity in self.quantities)

    def quantity(self, name: str) -> Quantity:
        """How one of `QUANTITIES` comes about.

        Raises:
            KeyError: There is no such quantity, or what it wants is not known of this problem.
        """
        stages, hops = self.allowed_seconds.shape, self.link_fixed_seconds.shape + self.boundary_bytes.shape
        nothing = np.broadcast_to(0.0, stages), np.broadcast_to(0.0, hops)
        tables: dict[str, Callable[[], tuple[FloatArray, FloatArray]]] = {
            LATENCY: lambda: (self.allowed_seconds, self.hop_seconds),
            BOTTLENECK: lambda: (self.work_seconds, self.busy_seconds),
            MEMORY: lambda: (self.stage_memory_bytes, nothing[1]),
            WIRE: lambda: (nothing[0], np.broadcast_to(self.boundary_bytes, hops)),
        }
        if self.device_watts is not None:
            watts, seconds = self.device_watts[:, None, None], self.device_seconds
            tables[ENERGY] = lambda: (watts * np.where(np.isfinite(seconds), seconds, 0.0), nothing[1])
        if self.boundary_errors is not None:
            errors = self.boundary_errors
            tables[ERROR] = lambda: (nothing[0], np.broadcast_to(errors, hops))
        stage, hop = tables[name]()
        found = Quantity(name=name, is_peak=name in (BOTTLENECK, MEMORY), stage=stage, hop=hop)
        if name != BOTTLENECK:
            return found
        return replace(found, media=self.media_seconds, processors=self.processor_weights)

    def describe_choices(self) -> str:
        """`3 devices and 53 split points`, with crews and codecs where they are chosen, for certificates."""
        n_single = int(np.sum(self.crew_sizes == 1)) - 1
        crews = "" if self.crews is None else f", {self.n_devices - n_single} crews of identical ones"
        if self.gate_positions is None:
            return f"{n_single} devices{crews} and {len(self.positions) - 2} split points"
        n_points = len(np.unique(self.gate_positions[self.positions])) - 2
        return f"{n_single} devices{crews} and {n_points} split points with {len(self.positions) - 2} choices of codec"

    def parts(self, *, without: Collection[str] = ()) -> dict[str, object]:
        """Fields by name: all that decides what plans cost and which are allowed, so without the cost model."""
        return {
            entry.name: getattr(self, entry.name)
            for entry in fields(self)
            if entry.name != "cost_model" and entry.name not in without
        }

    def with_links(
        self,
        fixed_seconds: FloatArray,
        bytes_per_second: FloatArray,
        busy_bytes_per_second: FloatArray | None = None,
    ) -> "SearchProblem":
        """The same problem on other links, without a cost model; it shares the tables of stages.

        Args:
            fixed_seconds: (n_devices + 1, n_devices + 1) as `link_fixed_seconds`.
            bytes_per_second: (n_devices + 1, n_devices + 1) as `link_bytes_per_second`.
            busy_bytes_per_second: (n_devices + 1, n_devices + 1) as `link_busy_bytes_per_second`.
        """
        other = replace(
            self,
            link_fixed_seconds=fixed_seconds,
            link_bytes_per_second=bytes_per_second,
            link_busy_bytes_per_second=busy_bytes_per_second,
            cost_model=None,
        )
        # They depend on no link, are the largest of all tables, and would be made and kept once for each set of links.
        vars(other).update(allowed_seconds=self.allowed_seconds, work_seconds=self.work_seconds)
        return other

    def with_device_memory(self, device_memory_bytes: FloatArray) -> "SearchProblem":
        """The same problem on devices with other memories."""
        return replace(self, device_memory_bytes=device_memory_bytes)
