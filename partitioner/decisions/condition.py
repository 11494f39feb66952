"""What to run under one network condition."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partitioner.front import FloatArray, front_indices, knee_index


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionDecision:
    """Choices among plans, by their indices. Of plans with equal figures the first is taken: put unsplit ones first."""

    front: tuple[int, ...]
    """Least in the first objective first; empty where no plan is possible."""
    knee: int | None
    """Where the front bends most."""
    best: tuple[int | None, ...]
    """The least in each objective; of equals the one that is least in the others."""
    within: int | None
    """The best under the bounds that were given: None without bounds, or where no plan keeps them."""


def decide(points: npt.ArrayLike, bounds: Sequence[float | None] | None = None) -> ConditionDecision:
    """Front, knee, extremes and the best plan under bounds.

    A bound on some objectives leaves the others: of two objectives the one without a bound picks among those within;
    where none or several are left, the knee of what is within does. That is `partitioner.choice` for plain figures.

    Args:
        points: (n_plans, n_objectives) float64, all minimised; infinity where a plan is not possible.
        bounds: The most of each objective, None for no bound; no bounds at all where it is None.

    Raises:
        ValueError: `points` is not two-dimensional or holds NaN, or there are not as many bounds as objectives.
    """
    array = np.asarray(points, dtype=np.float64)
    front = front_indices(array)
    front = front[np.isfinite(array[front]).all(axis=1)]
    n_objectives = array.shape[1]
    if bounds is not None and len(bounds) != n_objectives:
        raise ValueError(f"{n_objectives} objectives want as many bounds; got {len(bounds)}.")
    if not len(front):
        return ConditionDecision(front=(), knee=None, best=(None,) * n_objectives, within=None)
    return ConditionDecision(
        front=tuple(front.tolist()),
        knee=int(front[knee_index(array[front])]),
        best=tuple(_least(array, front, objective) for objective in range(n_objectives)),
        within=None if bounds is None else _best_within(array, front, bounds),
    )


def _least(array: FloatArray, front: npt.NDArray[np.int64], objective: int) -> int:
    others = [array[front, other] for other in reversed(range(array.shape[1])) if other != objective]
    return int(front[np.lexsort((*others, array[front, objective]))[0]])


def _best_within(array: FloatArray, front: npt.NDArray[np.int64], bounds: Sequence[float | None]) -> int | None:
    most = np.array([np.inf if bound is None else bound for bound in bounds])
    within = front[np.all(array[front] <= most, axis=1)]
    free = [objective for objective, bound in enumerate(bounds) if bound is None]
    if not len(within) or len(free) == len(bounds):
        return None
    if len(free) == 1:
        return _least(array, within, free[0])
    return int(within[knee_index(array[within])])
