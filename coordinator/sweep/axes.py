"""Where a condition stands on a map: the delay, one way, and the rate of every link between devices. Pure."""

import math
from collections.abc import Iterable

from coordinator.config import ClusterConfig
from coordinator.sweep.applying import Applied
from coordinator.sweep.emulated import Extent
from partitioner.cluster import CLIENT, Cluster
from partitioner.search.robust.network import Direction, NetworkCondition

Axes = tuple[float | None, float | None]
"""Seconds, and bytes per second with infinity for no limit; None where links differ, or nobody says what they have."""


def asked_axes(condition: NetworkCondition, cluster: Cluster) -> Axes:
    """What a condition asks of probed links; None where it leaves one as probed, or scales it."""
    every = condition.every_link
    changes = [condition.links.get(pair, every).over(every) for pair in _between_devices(cluster)]
    return _common((change.delay_seconds, change.bytes_per_second) for change in changes)


def emulated_axes(applied: Applied) -> Axes:
    """What senders emulate under a condition, on average where that changes; None where a link is real."""
    return _common(_emulated(applied.config, pair) for pair in _between_devices(applied.cluster))


def _emulated(config: ClusterConfig, direction: Direction) -> Axes:
    emulation = config.link_emulation(*direction)
    if emulation is None:
        is_here = all(config.node_of[name].local for name in direction if name != CLIENT)
        return (0.0, math.inf) if is_here else (None, None)
    extent = Extent.of(emulation)
    return extent.mean_delay, extent.mean_rate or math.inf


def _between_devices(cluster: Cluster) -> list[Direction]:
    """Directions between devices; where there are none, all."""
    names = cluster.device_of
    return [pair for pair in cluster.link_of if pair[0] in names and pair[1] in names] or list(cluster.link_of)


def _common(places: Iterable[Axes]) -> Axes:
    """What all places share."""
    found = list(places)
    delays, rates = {delay for delay, _ in found}, {rate for _, rate in found}
    return (delays.pop() if len(delays) == 1 else None, rates.pop() if len(rates) == 1 else None)
