"""Two fronts side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partitioner.front import FloatArray, front_indices, is_dominated
from partitioner.hypervolume import hypervolume

REFERENCE_MARGIN = 0.1
"""The default reference lies so far beyond the worst of both fronts, as a part of their range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontComparison:
    """How two fronts stand to each other, the first before the second in every pair."""

    n_points: tuple[int, int]
    """Different non-dominated points of each."""
    reference: tuple[float, ...]
    hypervolumes: tuple[float, float]
    """Against `reference`."""
    union_hypervolume: float
    """Of both together."""
    coverage: tuple[float, float]
    """Part of the other front's points that this one dominates or equals, 0 … 1."""
    epsilon: tuple[float, float]
    """Least factor by which this front, made worse, would still dominate or equal all of the other: 1 and below where
    it already does, 1.02 where it misses by 2 %; infinity where no factor does (a figure of 0 that only the other has).
    """
    n_surviving: tuple[int, int]
    """Points that only this front brings into the front of both."""
    n_shared: int
    """Points of the front of both that both bring."""

    @property
    def hypervolume_ratio(self) -> float:
        """Of the first to the second; 1 where both are 0."""
        first, second = self.hypervolumes
        if second == 0:
            return 1.0 if first == 0 else float("inf")
        return first / second


def compare_fronts(
    first: npt.ArrayLike, second: npt.ArrayLike, *, reference: Sequence[float] | None = None
) -> FrontComparison:
    """Compares two sets of points by their fronts.

    Sources: Zitzler and Thiele, "Multiobjective evolutionary algorithms: a comparative case study and the strength
    Pareto approach", IEEE Transactions on Evolutionary Computation 3, 1999 (coverage); Zitzler et al., "Performance
    assessment of multiobjective optimizers: an analysis and review", the same 7, 2003 (epsilon).

    Args:
        first: (n_plans, n_objectives) float64, all minimised, 0 or more and finite; not empty.
        second: The same objectives.
        reference: Of the hypervolumes; where it is None, a little worse than the worst of both.

    Raises:
        ValueError: A front is empty, a figure is negative or not finite, or the objectives differ in number.
    """
    fronts = _front_of(first, "first"), _front_of(second, "second")
    if fronts[0].shape[1] != fronts[1].shape[1]:
        raise ValueError(f"The fronts have {fronts[0].shape[1]} and {fronts[1].shape[1]} objectives: wanted the same.")
    union = np.concatenate(fronts)
    corner = tuple(float(figure) for figure in (beyond(union) if reference is None else reference))
    survivors = [{tuple(point) for point in front[_survives(front, union)].tolist()} for front in fronts]
    one, two = fronts
    return FrontComparison(
        n_points=(len(one), len(two)),
        reference=corner,
        hypervolumes=(hypervolume(one, corner), hypervolume(two, corner)),
        union_hypervolume=hypervolume(union, corner),
        coverage=(coverage(one, two), coverage(two, one)),
        epsilon=(epsilon(one, two), epsilon(two, one)),
        n_surviving=(len(survivors[0] - survivors[1]), len(survivors[1] - survivors[0])),
        n_shared=len(survivors[0] & survivors[1]),
    )


def beyond(points: FloatArray) -> FloatArray:
    """(n_objectives,) reference a little worse than all points, also where they are all alike."""
    worst, best = points.max(axis=0), points.min(axis=0)
    room = np.where(worst > best, worst - best, np.where(worst > 0, worst, 1.0))
    reference: FloatArray = worst + REFERENCE_MARGIN * room
    return reference


def coverage(one: FloatArray, other: FloatArray) -> float:
    """Part of `other` that some point of `one` dominates or equals."""
    return float(np.mean(np.any(np.all(one[:, None] <= other[None], axis=2), axis=0)))


def epsilon(one: FloatArray, other: FloatArray) -> float:
    """Least factor f so that for every point of `other` a point of `one` is at most f times it in every objective."""
    is_zero = (one[:, None] == 0) & (other[None] == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(is_zero, 0.0, one[:, None] / other[None])
    return float(ratios.max(axis=2).min(axis=0).max())


def _front_of(points: npt.ArrayLike, which: str) -> FloatArray:
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or not array.size or not np.all(np.isfinite(array)) or np.any(array < 0):
        wanted = "points (n_plans, n_objectives), finite and 0 or more"
        raise ValueError(f"The {which} front wants {wanted}; got the shape {array.shape} or figures beyond.")
    return array[front_indices(array)]


def _survives(front: FloatArray, union: FloatArray) -> npt.NDArray[np.bool_]:
    return ~is_dominated(np.concatenate([front, union]))[: len(front)]
