"""Hypervolume of a front with any number of objectives, exactly, with numpy alone.

Two objectives are summed, three are swept, more are reduced to fewer by the scheme of WFG: the volume of a front is
the sum of what each point adds to those after it, and what the others take of that is a smaller front again.

Sources: Fonseca, Paquete and López-Ibáñez, "An improved dimension-sweep algorithm for the hypervolume indicator",
CEC 2006; While, Bradstreet and Barone, "A fast way of calculating exact hypervolumes", IEEE Transactions on
Evolutionary Computation 16, 2012.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import inf

import numpy as np
import numpy.typing as npt

from partitioner.front import FloatArray, front_indices, hypervolume_2d


def hypervolume(points: npt.ArrayLike, reference: Sequence[float]) -> float:
    """Volume that the points dominate within `reference`; points that are not better than it in all add nothing.

    Time for n points of a front: O(n log n) for two objectives, O(n²) at worst for three, and more by up to a factor
    of n for each objective above.

    Args:
        points: (n_plans, n_objectives) float64, all minimised.
        reference: One finite figure for each objective.

    Raises:
        ValueError: The shapes do not fit, `points` holds NaN, or the reference is not finite.
    """
    array, corner = np.asarray(points, dtype=np.float64), np.asarray(reference, dtype=np.float64)
    if array.ndim != 2 or not array.shape[1] or array.shape[1:] != corner.shape:
        raise ValueError(f"Points of shape {array.shape} and a reference of shape {corner.shape} do not fit.")
    if not np.all(np.isfinite(corner)):
        raise ValueError(f"A reference wants finite figures; got {corner.tolist()}.")
    inside = array[front_indices(array)]
    return _volume(inside[np.all(inside < corner, axis=1)], corner)


def _volume(front: FloatArray, corner: FloatArray) -> float:
    """Of a front that lies inside; in three objectives points that are dominated are allowed."""
    if not len(front):
        return 0.0
    if len(front) == 1:
        return float(np.prod(corner - front[0]))
    match front.shape[1]:
        case 1:
            return float(corner[0] - front[0, 0])
        case 2:
            return hypervolume_2d(front, (float(corner[0]), float(corner[1])))
        case 3:
            return _swept(front, corner)
    return _reduced(front, corner)


def _reduced(front: FloatArray, corner: FloatArray) -> float:
    """By one objective less for each point. In descending order of the last, what follows limits in the others only."""
    ordered = front[np.argsort(-front[:, -1], kind="stable")]
    total = 0.0
    for index, point in enumerate(ordered):
        others = np.maximum(ordered[index + 1 :, :-1], point[:-1])
        taken = _volume(others if others.shape[1] == 3 else others[front_indices(others)], corner[:-1])
        total += (corner[-1] - point[-1]) * (float(np.prod(corner[:-1] - point[:-1])) - taken)
    return total


def _swept(front: FloatArray, corner: FloatArray) -> float:
    """Of three objectives: the area under the staircase of the first two grows while the third rises."""
    volume, area, height = 0.0, 0.0, float(corner[2])
    stair_x, stair_y = [-inf, float(corner[0])], [float(corner[1]), -inf]
    for x, y, z in front[np.argsort(front[:, 2], kind="stable")].tolist():
        volume += area * (z - height) if area else 0.0
        height = z
        left = bisect_right(stair_x, x) - 1
        if stair_y[left] <= y:
            continue
        stop = left + 1
        while stair_y[stop] >= y:
            stop += 1
        edges = [x, *stair_x[left + 1 : stop + 1]]
        area += sum((edges[i + 1] - edges[i]) * (stair_y[left + i] - y) for i in range(len(edges) - 1))
        stair_x[left + 1 : stop], stair_y[left + 1 : stop] = [x], [y]
    return volume + area * (float(corner[2]) - height)
