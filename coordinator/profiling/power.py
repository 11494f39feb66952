"""What a node draws by its own meter: while nothing is asked of it, and while segments are timed on it.

A meter counts what it counts, whoever uses it (`node_agent.host.energy`): `rapl` the processor packages of the whole
machine, `nvml` the graphics card. So each figure bears the name of its meter.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from coordinator.fleet import FleetNode
from node_agent.api import Node
from partitioner.cluster import Cluster, Device
from partitioner.profile import DevicePower, Profile

SPAN_SECONDS = 1.0
"""Of quiet before a profile, and least between two readings of the meter in it: each costs the node some time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    at: float
    joules: float


class PowerReader:
    """Follows the meter of one node through its profile. Used by one thread."""

    def __init__(
        self,
        client: Node,
        meter: str,
        *,
        span_seconds: float = SPAN_SECONDS,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """A reader of `meter`; without the name of one it asks and waits for nothing."""
        self._client = client
        self._meter = meter
        self._span_seconds = span_seconds
        self._clock = clock
        self._sleep = sleep
        self._idle_watts: float | None = None
        self._since: _Reading | None = None
        self._joules = 0.0
        self._seconds = 0.0

    @classmethod
    def of(cls, node: FleetNode, *, span_seconds: float = SPAN_SECONDS) -> "PowerReader":
        """The reader for a node; a paced one plays another device, of which this machine's meter says nothing."""
        meter = node.description.energy_meter
        return cls(node.client, "" if meter and node.is_paced else meter, span_seconds=span_seconds)

    def watch_quiet(self) -> None:
        """Reads what the node draws while it is left alone, which takes about a second; only the first time.

        Raises:
            NodeError: The node failed.
        """
        if self._meter and self._idle_watts is None:
            before = self._read()
            self._sleep(self._span_seconds)
            after = self._read()
            self._idle_watts = (after.joules - before.joules) / (after.at - before.at)

    def note(self, *, is_timing: bool) -> None:
        """Hears of each report of a profile: whether segments were timed since the one before, and nothing else.

        Raises:
            NodeError: The node failed.
        """
        if not self._meter:
            return
        if not is_timing:
            self._since = None
        elif self._since is None:
            self._since = self._read()
        elif self._clock() - self._since.at >= self._span_seconds:
            now = self._read()
            self._joules += now.joules - self._since.joules
            self._seconds += now.at - self._since.at
            self._since = now

    @property
    def power(self) -> DevicePower | None:
        """What was read; None without a meter, where timing was too short to tell, or where the meter stood still."""
        if self._idle_watts is None or not self._joules > 0:
            return None
        return DevicePower(
            meter=self._meter,
            idle_watts=self._idle_watts,
            active_watts=self._joules / self._seconds,
            seconds=self._seconds,
        )

    def _read(self) -> _Reading:
        joules = self._client.status().joules
        return _Reading(at=self._clock(), joules=joules)


def with_measured_power(cluster: Cluster, profile: Profile) -> Cluster:
    """The cluster with what meters read in place of what was given; a device without a reading stays as it is."""
    power_of = {device.device: device.power for device in profile.devices}
    return replace(cluster, devices=tuple(_with_power(device, power_of.get(device.name)) for device in cluster.devices))


def _with_power(device: Device, power: DevicePower | None) -> Device:
    if power is None:
        return device
    return replace(
        device, idle_watts=power.idle_watts, active_watts=power.active_watts, power_source=f"measured ({power.meter})"
    )
