"""Pareto fronts as free functions on arrays `(n_plans, n_objectives) float64`, all minimised."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


def is_dominated(points: npt.ArrayLike) -> BoolArray:
    """Which points another point dominates: no worse in every objective and better in one.

    Equal points do not dominate each other; `front_indices` keeps one of them.

    Args:
        points: (n_plans, n_objectives) float64, all minimised; infinity is worse than every number.

    Returns:
        (n_plans,) bool.

    Raises:
        ValueError: `points` is not two-dimensional or holds NaN.
    """
    array = _checked(points)
    if array.shape[1] == 2:
        return _is_dominated_2d(array)
    mask = np.zeros(len(array), dtype=np.bool_)
    for index, point in enumerate(array):
        mask[index] = np.any(np.all(array <= point, axis=1) & np.any(array < point, axis=1))
    return mask


def front_indices(points: npt.ArrayLike) -> IntArray:
    """Indices of the non-dominated points, sorted by the objectives in order; of equal points the first is kept.

    Raises:
        ValueError: `points` is not two-dimensional or holds NaN.
    """
    array = _checked(points)
    kept = np.flatnonzero(~is_dominated(array))
    _, first = np.unique(array[kept], axis=0, return_index=True)
    return kept[first].astype(np.int64)


def hypervolume_2d(points: npt.ArrayLike, reference: tuple[float, float]) -> float:
    """Area that the points dominate within `reference`; points that are not better than it in both add nothing.

    Source: Zitzler and Thiele, "Multiobjective optimization using evolutionary algorithms", PPSN 1998.

    Raises:
        ValueError: `points` is not (n_plans, 2) or holds NaN.
    """
    array = _checked_pairs(points)
    inside = array[np.all(array < np.asarray(reference), axis=1)]
    if not len(inside):
        return 0.0
    front = inside[front_indices(inside)]
    ceilings = np.concatenate([[reference[1]], front[:-1, 1]])
    return float(np.sum((reference[0] - front[:, 0]) * (ceilings - front[:, 1])))


def knee_index(points: npt.ArrayLike) -> int:
    """Index of the point that bulges most from the chord between the two extremes towards the ideal.

    Both objectives are first scaled to [0, 1] between the extremes. Where nothing bulges (fewer than three different
    points, or a front on or beyond its chord) it is the extreme that is least in the first objective.

    Source: Das, "On characterizing the 'knee' of the Pareto curve", Structural Optimization 18, 1999.

    Args:
        points: (n_plans, 2) float64, both minimised and finite; a front, in any order.

    Raises:
        ValueError: There are no points, or they are not (n_plans, 2) and finite.
    """
    array = _checked_pairs(points)
    if not len(array) or not np.all(np.isfinite(array)):
        raise ValueError(f"A knee wants at least one point and finite figures; got {len(array)} points.")
    front = front_indices(array)
    lows, highs = array[front].min(axis=0), array[front].max(axis=0)
    spans = np.where(highs > lows, highs - lows, 1.0)
    bulges = 1.0 - np.sum((array[front] - lows) / spans, axis=1)
    is_extreme = np.isin(np.arange(len(front)), [0, len(front) - 1])
    bulges[is_extreme] = 0.0
    return int(front[np.argmax(bulges)])


def _is_dominated_2d(points: FloatArray) -> BoolArray:
    order = np.lexsort((points[:, 1], points[:, 0]))
    first, second = points[order, 0], points[order, 1]
    group_start = np.searchsorted(first, first, side="left")
    least_so_far = np.minimum.accumulate(second) if len(second) else second
    is_beaten_before = (group_start > 0) & (least_so_far[group_start - 1] <= second)
    mask = np.zeros(len(points), dtype=np.bool_)
    mask[order] = is_beaten_before | (second[group_start] < second)
    return mask


def _checked(points: npt.ArrayLike) -> FloatArray:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2:
        raise ValueError(f"Points want the shape (n_plans, n_objectives); got {array.shape}.")
    if np.any(np.isnan(array)):
        raise ValueError("Points hold NaN, which no order can place.")
    return array


def _checked_pairs(points: npt.ArrayLike) -> FloatArray:
    array = _checked(points)
    if array.shape[1] != 2:
        raise ValueError(f"Points want two objectives; got {array.shape[1]}.")
    return array
