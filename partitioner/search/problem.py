"""The search problem as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from partitioner.cluster import CLIENT, Cluster
from partitioner.cost import CostModel
from partitioner.errors import PlanError
from partitioner.front import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False, kw_only=True)
class SearchProblem:
    """Everything that an engine needs, as arrays. Devices have indices 0 … n_devices - 1; the client comes last.

    Each device bears at most one stage. Immutable: shared freely between threads.
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
    def positions(self) -> IntArray:
        """(n_positions,) allowed ones, both ends included, ascending."""
        return np.flatnonzero(self.is_position_allowed).astype(np.int64)

    @cached_property
    def allowed_seconds(self) -> FloatArray:
        """`stage_seconds` with infinity also where the device lacks memory or a position is forbidden."""
        fits = self.stage_memory_bytes <= self.device_memory_bytes[:, None, None]
        between = self.is_position_allowed[:, None] & self.is_position_allowed[None, :]
        return np.where(fits & between, self.stage_seconds, np.inf)

    @cached_property
    def busy_seconds(self) -> FloatArray:
        """(n_devices + 1, n_devices + 1, n_units + 1) `bytes / rate` at [source, target, position], or infinity."""
        can_talk = np.isfinite(self.link_fixed_seconds)
        rate = np.where(can_talk, self.link_bytes_per_second, 1.0)
        busy = self.boundary_bytes[None, None, :] / rate[:, :, None]
        return np.where(can_talk[:, :, None], busy, np.inf)

    @cached_property
    def hop_seconds(self) -> FloatArray:
        """(n_devices + 1, n_devices + 1, n_units + 1) `fixed + bytes / rate` at [source, target, position]."""
        return self.link_fixed_seconds[:, :, None] + self.busy_seconds

    def with_device_memory(self, device_memory_bytes: FloatArray) -> "SearchProblem":
        """The same problem on devices with other memories."""
        return replace(self, device_memory_bytes=device_memory_bytes)


def build_problem(
    cost_model: CostModel,
    *,
    pinned_first: str | None = None,
    pinned_last: str | None = None,
    max_stages: int | None = None,
    positions: Sequence[int] | None = None,
) -> SearchProblem:
    """The problem of splitting a cost model's graph over its cluster.

    Args:
        cost_model: What plans cost.
        pinned_first: Device that must bear the first stage.
        pinned_last: Device that must bear the last stage.
        max_stages: Most stages of a plan; the number of devices where it is None.
        positions: Where the graph may be split, 1 … n_units - 1; anywhere where it is None.

    Raises:
        PlanError: A pinned device is unknown, or a position or `max_stages` is out of range.
    """
    cluster = cost_model.cluster
    names = tuple(device.name for device in cluster.devices)
    fixed, rate = _link_arrays(cluster, names)
    return SearchProblem(
        device_names=names,
        stage_seconds=np.stack([cost_model.stage_seconds_matrix(name) for name in names]),
        stage_memory_bytes=np.stack([cost_model.stage_memory_matrix(name) for name in names]).astype(np.float64),
        device_memory_bytes=np.array([device.memory_bytes for device in cluster.devices], dtype=np.float64),
        boundary_bytes=np.array(cost_model.boundary_bytes, dtype=np.float64),
        link_fixed_seconds=fixed,
        link_bytes_per_second=rate,
        is_position_allowed=_allowed_positions(cost_model.graph.n_units, positions),
        max_stages=_checked_max_stages(len(names), max_stages),
        pinned_first=_device_index(names, pinned_first),
        pinned_last=_device_index(names, pinned_last),
        cost_model=cost_model,
    )


def _link_arrays(cluster: Cluster, names: tuple[str, ...]) -> tuple[FloatArray, FloatArray]:
    index_of = {name: index for index, name in enumerate((*names, CLIENT))}
    fixed = np.full((len(index_of), len(index_of)), np.inf)
    rate = np.ones_like(fixed)
    for link in cluster.links:
        pair = index_of[link.source], index_of[link.target]
        fixed[pair], rate[pair] = link.fixed_seconds, link.bytes_per_second
    return fixed, rate


def _allowed_positions(n_units: int, positions: Sequence[int] | None) -> BoolArray:
    allowed = np.full(n_units + 1, positions is None)
    allowed[[0, n_units]] = True
    wrong = [position for position in positions or () if not 0 < position < n_units]
    if wrong:
        raise PlanError(f"Positions {wrong} are no split points: wanted 1 … {n_units - 1}.")
    allowed[list(positions or ())] = True
    return allowed


def _checked_max_stages(n_devices: int, max_stages: int | None) -> int:
    if max_stages is not None and max_stages < 1:
        raise PlanError(f"max_stages is {max_stages}: wanted 1 or more.")
    return min(n_devices, max_stages or n_devices)


def _device_index(names: tuple[str, ...], name: str | None) -> int | None:
    if name is None:
        return None
    if name not in names:
        raise PlanError(f"Pinned device {name!r} is unknown: the cluster has {', '.join(names)}.")
    return names.index(name)
