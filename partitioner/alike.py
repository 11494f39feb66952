"""Devices that are of one kind, but were not measured equal to the last digit: two boards of the same type.

Only equal devices can bear a stage in turn without one of them holding up the others, so that those of one kind are
taken for as slow as the slowest of them, their links for as slow as theirs are at worst, in each of their figures.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from partitioner.cluster import CLIENT, Cluster, Device, Link
from partitioner.codec import CodecTable
from partitioner.cost import CostModel
from partitioner.profile import Profile

TIME_TOLERANCE = 0.1
"""Devices of one kind differ by no more in the median of their stage times."""
LINK_TOLERANCE = 0.3
"""Nor their links by more in the time of a message of median size, nor in how long it keeps others off the link:
probed times vary more."""

Kind = tuple[str, ...]
"""Names of devices of one kind."""


def find_kinds(
    cost_model: CostModel, *, time_tolerance: float = TIME_TOLERANCE, link_tolerance: float = LINK_TOLERANCE
) -> tuple[Kind, ...]:
    """Groups of two or more devices of one kind, each device in the first that it fits."""
    kinds: list[list[str]] = []
    for device in cost_model.cluster.devices:
        for kind in kinds:
            if all(
                _like_times(cost_model, device.name, other, time_tolerance)
                and _like_links(cost_model, device.name, other, link_tolerance)
                for other in kind
            ):
                kind.append(device.name)
                break
        else:
            kinds.append([device.name])
    return tuple(tuple(kind) for kind in kinds if len(kind) > 1)


def level_kinds(cost_model: CostModel, kinds: Sequence[Kind]) -> CostModel:
    """The same cost model with the devices of each kind as slow as the slowest one, and with its least memory."""
    kind_of = {name: kind for kind in kinds for name in kind}
    slowest_of = {name: max(kind, key=lambda each: _whole_seconds(cost_model, each)) for name, kind in kind_of.items()}
    return replace(
        cost_model,
        cluster=_level_cluster(cost_model.cluster, kind_of),
        profile=_level_profile(cost_model.profile, slowest_of),
        codecs=_level_codecs(cost_model.codecs, slowest_of),
    )


def _like_times(cost_model: CostModel, one: str, other: str, tolerance: float) -> bool:
    first, second = cost_model.stage_seconds_matrix(one), cost_model.stage_seconds_matrix(other)
    possible = np.isfinite(first)
    if not np.array_equal(possible, np.isfinite(second)) or _shares(cost_model, one) != _shares(cost_model, other):
        return False
    positive = possible & (first > 0) & (second > 0)
    ratio = float(np.median(first[positive] / second[positive])) if positive.any() else 1.0
    return max(ratio, 1 / ratio) <= 1 + tolerance


def _shares(cost_model: CostModel, name: str) -> dict[str, float]:
    return dict(cost_model.cluster.shares_of.get(name, ()))


def _like_links(cost_model: CostModel, one: str, other: str, tolerance: float) -> bool:
    """Whether exchanging the two leaves each link about as it was."""
    swapped = {one: other, other: one}
    places = [CLIENT, *(device.name for device in cost_model.cluster.devices if device.name != one)]
    pairs = [pair for place in places for pair in ((one, place), (place, one))]
    return all(
        _is_like_link(cost_model, pair, (swapped.get(pair[0], pair[0]), swapped.get(pair[1], pair[1])), tolerance)
        for pair in pairs
    )


def _is_like_link(cost_model: CostModel, pair: tuple[str, str], mirrored: tuple[str, str], tolerance: float) -> bool:
    cluster, n_bytes = cost_model.cluster, _median_bytes(cost_model)
    if cluster.media_of.get(pair) != cluster.media_of.get(mirrored):
        return False
    first, second = cluster.link_of.get(pair), cluster.link_of.get(mirrored)
    if first is None or second is None:
        return first is second
    alone = first.seconds(n_bytes), second.seconds(n_bytes)
    busy = first.busy_seconds(n_bytes), second.busy_seconds(n_bytes)
    return all(max(pair) <= min(pair) * (1 + tolerance) for pair in (alone, busy))


def _median_bytes(cost_model: CostModel) -> int:
    return int(np.median(cost_model.boundary_bytes))


def _whole_seconds(cost_model: CostModel, name: str) -> float:
    """Σ of all possible stages: devices of one kind rarely differ in which are possible."""
    seconds = cost_model.stage_seconds_matrix(name)
    return float(seconds[np.isfinite(seconds)].sum())


def _level_cluster(cluster: Cluster, kind_of: dict[str, Kind]) -> Cluster:
    def level_device(device: Device) -> Device:
        kind = [cluster.device_of[name] for name in kind_of.get(device.name, (device.name,))]
        watts = [each.active_watts for each in kind if each.active_watts is not None]
        return replace(
            device,
            memory_bytes=min(each.memory_bytes for each in kind),
            active_watts=max(watts) if len(watts) == len(kind) else device.active_watts,
        )

    def level_link(link: Link) -> Link:
        alike = [
            cluster.link_of[source, target]
            for source in kind_of.get(link.source, (link.source,))
            for target in kind_of.get(link.target, (link.target,))
            if (source, target) in cluster.link_of
        ]
        sustained = min(each.sustained_bytes_per_second for each in alike)
        return replace(
            link,
            fixed_seconds=max(each.fixed_seconds for each in alike),
            bytes_per_second=min(each.bytes_per_second for each in alike),
            busy_bytes_per_second=sustained if any(each.busy_bytes_per_second for each in alike) else 0.0,
            jitter_seconds=max(each.jitter_seconds for each in alike),
        )

    return replace(
        cluster,
        devices=tuple(map(level_device, cluster.devices)),
        links=tuple(map(level_link, cluster.links)),
    )


def _level_profile(profile: Profile, slowest_of: dict[str, str]) -> Profile:
    found = {device.device: device for device in profile.devices}
    return replace(
        profile,
        devices=tuple(
            replace(found[slowest_of.get(device.device, device.device)], device=device.device)
            for device in profile.devices
        ),
    )


def _level_codecs(codecs: CodecTable | None, slowest_of: dict[str, str]) -> CodecTable | None:
    if codecs is None:
        return None
    return replace(
        codecs,
        rates=tuple(
            replace(codecs.rate_of[slowest_of.get(rate.device, rate.device), rate.codec], device=rate.device)
            for rate in codecs.rates
        ),
    )
