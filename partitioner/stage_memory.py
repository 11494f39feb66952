"""How much memory units [start, stop) need on a device."""

import math

import numpy as np
import numpy.typing as npt

from partitioner.graph import Graph
from partitioner.profile import DeviceProfile

MEBIBYTE = 2**20

Int64Array = npt.NDArray[np.int64]


def stage_memory_bytes(graph: Graph, profile: DeviceProfile, queue_limit: int) -> Int64Array:
    """Memory of all spans on one device.

    `max(weights + activations, measured growth) + queue_limit · (received + sent) + base_memory`. Activations are the
    most bytes that are alive at once while a layer of the span runs. Growth is the most that was seen of the process,
    where the span was measured or tried as a stage.

    Returns:
        (n_units + 1, n_units + 1) int64 bytes at [start, stop]; 0 where start >= stop.
    """
    working = _weight_bytes(graph) + _activation_bytes(graph)
    growth = [(segment.start, segment.stop, segment.memory_bytes) for segment in profile.segments]
    growth += [(trial.start, trial.stop, trial.memory_bytes) for trial in profile.trials]
    for start, stop, n_bytes in growth:
        working[start, stop] = max(working[start, stop], n_bytes)
    boundary = np.array([graph.boundary_bytes(position) for position in range(graph.n_units + 1)], dtype=np.int64)
    total = working + queue_limit * (boundary[:, None] + boundary[None, :]) + profile.base_memory_bytes
    return np.triu(total, k=1)


def format_mebibytes(n_bytes: float) -> str:
    """`35 MiB`, rounded up, so that what lacks is never called nothing; `0.2 MiB` below one."""
    mebibytes = n_bytes / MEBIBYTE
    if 0 < mebibytes < 1:
        return f"{max(math.ceil(mebibytes * 1000) / 1000, 0.001):g} MiB"
    return f"{math.ceil(mebibytes):,} MiB"


def live_bytes(graph: Graph) -> Int64Array:
    """Most bytes of tensors that are alive at once while each unit runs, passing ones included.

    Returns:
        (n_units,) int64.
    """
    n_layers = len(graph.layers)
    born = dict.fromkeys(graph.inputs, 0)
    died: dict[str, int] = {}
    for layer in graph.layers:
        born.update(dict.fromkeys(layer.outputs, layer.index))
        died.update(dict.fromkeys((*layer.inputs, *layer.outputs), layer.index))
    died.update(dict.fromkeys(graph.outputs, n_layers - 1))
    changes = np.zeros(n_layers + 1, dtype=np.int64)
    for name, last in died.items():
        changes[born[name]] += graph.spec_of[name].n_bytes
        changes[last + 1] -= graph.spec_of[name].n_bytes
    by_layer = np.cumsum(changes)
    return np.array([by_layer[unit.start : unit.stop].max() for unit in graph.units], dtype=np.int64)


def _weight_bytes(graph: Graph) -> Int64Array:
    per_unit = [graph.weight_bytes(index, index + 1) for index in range(graph.n_units)]
    totals = np.concatenate([[0], np.cumsum(per_unit)]).astype(np.int64)
    return totals[None, :] - totals[:, None]


def _activation_bytes(graph: Graph) -> Int64Array:
    live = live_bytes(graph)
    peaks = np.zeros((graph.n_units + 1, graph.n_units + 1), dtype=np.int64)
    for start in range(graph.n_units):
        peaks[start, start + 1 :] = np.maximum.accumulate(live[start:])
    return peaks
