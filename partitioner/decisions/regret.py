"""By how much each plan misses the best, over many network conditions."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partitioner.front import FloatArray
from partitioner.search.robust.judged import worst_regrets


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RegretTable:
    """Regrets of plans in one figure; 0.2 is 20 % above the best of the condition."""

    regrets: FloatArray
    """(n_conditions, n_plans); infinity where a plan is not possible."""
    worst: FloatArray
    """(n_plans,)"""
    mean: FloatArray
    """(n_plans,)"""
    minimax: int
    """The plan with the least worst regret; of equals that with the least mean, then the first."""
    least_mean: int
    """The plan with the least mean regret; of equals that with the least worst, then the first."""


def regret_table(costs: npt.ArrayLike, best: npt.ArrayLike | None = None) -> RegretTable:
    """Regrets from costs.

    Args:
        costs: (n_conditions, n_plans) float64, minimised, 0 or more; infinity where a plan is not possible.
        best: (n_conditions,) the best of each condition, where it may be a plan that is not among these; the least of
            each row where None.

    Raises:
        ValueError: There are no conditions or plans, a figure is negative or NaN, or under a condition no plan is
            possible or the best is not above 0.
    """
    array = checked_costs(costs)
    least = array.min(axis=1) if best is None else np.asarray(best, dtype=np.float64)
    if least.shape != array.shape[:1] or not np.all((least > 0) & np.isfinite(least)):
        raise ValueError(
            "Regrets want a possible plan that costs more than 0 under every condition: leave out the others."
        )
    regrets = array / least[:, None] - 1
    worst = worst_regrets(array[:, :, None], least[:, None])[:, 0]
    mean: FloatArray = regrets.mean(axis=0)
    return RegretTable(
        regrets=regrets,
        worst=worst,
        mean=mean,
        minimax=int(np.lexsort((mean, worst))[0]),
        least_mean=int(np.lexsort((worst, mean))[0]),
    )


def checked_costs(costs: npt.ArrayLike) -> FloatArray:
    """(n_conditions, n_plans) float64.

    Raises:
        ValueError: There are no conditions or plans, or a figure is negative or NaN.
    """
    array = np.asarray(costs, dtype=np.float64)
    if array.ndim != 2 or not array.size or not np.all(array >= 0):
        raise ValueError(f"Costs want the shape (n_conditions, n_plans) and figures of 0 or more; got {array.shape}.")
    return array
