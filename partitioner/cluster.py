"""Machines and the links between them, as the cost model needs them."""

from dataclasses import dataclass
from functools import cached_property

from partitioner.media import SharedMedium
from partitioner.processors import SharedProcessor

CLIENT = "client"
"""Name of the end that sends inputs and takes results: the coordinator, seen as a place on the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What one machine can bear."""

    name: str
    memory_bytes: int
    """For weights, activations and the runtime together."""
    emulation: str | None = None
    """How the device is emulated, in words; None for a real one."""
    active_watts: float | None = None
    """Drawn while a stage computes; None where it is not known."""
    idle_watts: float | None = None
    """Drawn while it does not."""
    power_source: str = "given"
    """Where watts come from: `given` in the description of the cluster, or `measured (rapl)` by a meter, which is named
    because meters count unlike things."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One direction between two places: a lone message takes `fixed_seconds + bytes / bytes_per_second`."""

    source: str
    target: str
    """Device names, or `CLIENT`."""
    fixed_seconds: float
    bytes_per_second: float
    busy_bytes_per_second: float = 0.0
    """What it sustains, message after message; 0: as `bytes_per_second`."""
    jitter_seconds: float = 0.0
    emulation: str | None = None
    """How the link is emulated, in words; None for a real one."""

    def seconds(self, n_bytes: int) -> float:
        """Time from first byte sent to last byte received."""
        return self.fixed_seconds + n_bytes / self.bytes_per_second

    def busy_seconds(self, n_bytes: int) -> float:
        """Time for which the message keeps other messages off the link."""
        return n_bytes / self.sustained_bytes_per_second

    @property
    def sustained_bytes_per_second(self) -> float:
        """At which messages follow one another."""
        return self.busy_bytes_per_second or self.bytes_per_second


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Devices and probed links. A pair without a link cannot talk."""

    name: str
    devices: tuple[Device, ...]
    links: tuple[Link, ...]
    media: tuple[SharedMedium, ...] = ()
    """What links share; a link may be in several."""
    processors: tuple[SharedProcessor, ...] = ()
    """What devices share; one may be on several, where cores of some are among those of others."""

    @cached_property
    def link_of(self) -> dict[tuple[str, str], Link]:
        """Link of each (source, target)."""
        return {(link.source, link.target): link for link in self.links}

    @cached_property
    def device_of(self) -> dict[str, Device]:
        """Device of each name."""
        return {device.name: device for device in self.devices}

    @cached_property
    def media_of(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """Names of the media of each (source, target) that is in some, in the order of `media`."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for medium in self.media:
            for pair in dict.fromkeys(medium.links):
                found[pair] = (*found.get(pair, ()), medium.name)
        return found

    @cached_property
    def shares_of(self) -> dict[str, tuple[tuple[str, float], ...]]:
        """(processor, weight) … of each device that is on some, in the order of `processors`."""
        found: dict[str, tuple[tuple[str, float], ...]] = {}
        for processor in self.processors:
            for device, weight in processor.shares:
                found[device] = (*found.get(device, ()), (processor.name, weight))
        return found
