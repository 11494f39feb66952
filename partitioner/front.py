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
    return _is_dominated_by_sweep(array)


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
    """Index of the point that bulges most from the plane through the extremes towards the ideal.

    All objectives are first scaled to [0, 1] over the front. The extremes are the points least in one objective each;
    where they span no plane that faces the ideal, one of equal weights through the nearest of them takes its place
    (with two objectives both are the chord). Where nothing bulges (a front on or beyond its plane) it is the point that
    is least in the first objective.

    Source: Das, "On characterizing the 'knee' of the Pareto curve", Structural Optimization 18, 1999.

    Args:
        points: (n_plans, n_objectives) float64, all minimised and finite; a front, in any order.

    Raises:
        ValueError: There are no points or objectives, or they are not finite.
    """
    array = _checked(points)
    if not array.size or not np.all(np.isfinite(array)):
        raise ValueError(f"A knee wants at least one point and finite figures; got the shape {array.shape}.")
    front = front_indices(array)
    lows, highs = array[front].min(axis=0), array[front].max(axis=0)
    scaled = (array[front] - lows) / np.where(highs > lows, highs - lows, 1.0)
    extremes = _extremes(scaled)
    bulges = 1.0 - np.sum(scaled * _facing_normal(scaled[extremes]), axis=1)
    bulges[extremes] = 0.0
    return int(front[np.argmax(bulges)])


def _extremes(scaled: FloatArray) -> IntArray:
    """(n_objectives,) indices of the points least in each objective; of equals, that with the least sum."""
    sums = scaled.sum(axis=1)
    return np.array([np.lexsort((sums, column))[0] for column in scaled.T], dtype=np.int64)


def _facing_normal(extremes: FloatArray) -> FloatArray:
    """(n_objectives,) normal n of the plane n · x = 1: see `knee_index`."""
    ones = np.ones(extremes.shape[1])
    if len(extremes) > 2 and np.linalg.matrix_rank(extremes) == len(extremes):
        normal = np.asarray(np.linalg.solve(extremes, ones), dtype=np.float64)
        if np.all(normal > 0):
            return normal
    nearest = float(extremes.sum(axis=1).min())
    return ones / nearest if nearest > 0 else ones


def _is_dominated_2d(points: FloatArray) -> BoolArray:
    order = np.lexsort((points[:, 1], points[:, 0]))
    first, second = points[order, 0], points[order, 1]
    group_start = np.searchsorted(first, first, side="left")
    least_so_far = np.minimum.accumulate(second) if len(second) else second
    is_beaten_before = (group_start > 0) & (least_so_far[group_start - 1] <= second)
    mask = np.zeros(len(points), dtype=np.bool_)
    mask[order] = is_beaten_before | (second[group_start] < second)
    return mask


def _is_dominated_by_sweep(points: FloatArray) -> BoolArray:
    """In lexicographic order only what comes before can dominate, and some of it that is not dominated itself does."""
    order = np.lexsort(points.T[::-1])
    ordered = points[order]
    is_new = np.ones(len(points), dtype=np.bool_)
    is_new[1:] = np.any(ordered[1:] != ordered[:-1], axis=1)
    kept = np.empty((points.shape[1], len(points)))
    is_beaten = np.zeros(len(points), dtype=np.bool_)
    n_kept = 0
    for index in np.flatnonzero(is_new):
        is_below = np.ones(n_kept, dtype=np.bool_)
        for column, figure in zip(kept[1:, :n_kept], ordered[index, 1:], strict=True):
            is_below &= column <= figure
        is_beaten[index] = is_below.any()
        if not is_beaten[index]:
            kept[:, n_kept] = ordered[index]
            n_kept += 1
    mask = np.zeros(len(points), dtype=np.bool_)
    mask[order] = is_beaten[is_new][np.cumsum(is_new) - 1]
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
