"""The few plans to keep ready: under each condition the best of them is run."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Literal

import numpy as np
import numpy.typing as npt

from partitioner.decisions.regret import checked_costs
from partitioner.front import FloatArray, IntArray

CoverCriterion = Literal["worst", "mean"]
MOST_EXACT = 200_000_000
"""Sets times conditions up to which every set is looked at: about a second."""
N_PRICINGS, PATIENCE = 200, 8
"""Of the bound for means: prices that are tried, and how many may be in vain before they are changed by less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """A set of plans and how well it covers the conditions."""

    plans: tuple[int, ...]
    """Ascending."""
    regret: float
    """Worst or mean over the conditions, of the best of the set in each."""
    bound: float
    """No set of so many plans has less; equals `regret` where the set is the best."""
    is_exact: bool
    """Whether it is proven to be the best set."""
    serving: tuple[int, ...]
    """Of each condition the plan of the set that is best there."""

    @property
    def gap(self) -> float:
        """How much a better set could save, in the unit of regrets."""
        return 0.0 if self.is_exact else self.regret - self.bound


def best_cover(
    regrets: npt.ArrayLike, n_plans: int, criterion: CoverCriterion = "worst", *, most_exact: int = MOST_EXACT
) -> Cover:
    """The set of `n_plans` plans, or fewer where more do not help, with the least worst or mean regret.

    Every set is looked at while that is cheap; beyond, plans are added one by one and exchanged while that helps, and a
    bound says how far from the best the set may be.

    Args:
        regrets: (n_conditions, n_plans) 0 or more; infinity where a plan is not possible.
        n_plans: 1 or more.
        criterion: What is to be small.
        most_exact: Sets times conditions up to which every set is looked at.

    Raises:
        ValueError: There are no conditions or plans, a regret is negative or NaN, or no plan is wanted.
    """
    table = checked_costs(regrets)
    if n_plans < 1:
        raise ValueError(f"A cover wants one plan at least; got {n_plans}.")
    kept = _undominated(table)
    size = min(n_plans, len(kept))
    narrow = table[:, kept]
    is_exact = comb(len(kept), size) * len(table) <= most_exact
    chosen = (
        _best_set(narrow, size, criterion)
        if is_exact
        else _exchanged(narrow, _added(narrow, size, criterion), criterion)
    )
    regret = _value(narrow[:, chosen].min(axis=1), criterion)
    bound = regret if is_exact else min(regret, _bound(narrow, size, criterion, regret))
    plans = sorted(int(kept[index]) for index in chosen)
    serving = np.array(plans)[np.argmin(table[:, plans], axis=1)]
    return Cover(
        plans=tuple(plans),
        regret=regret,
        bound=bound,
        is_exact=is_exact or regret <= bound,
        serving=tuple(serving.tolist()),
    )


def _value(regrets: FloatArray, criterion: CoverCriterion) -> float:
    return float(regrets.max() if criterion == "worst" else regrets.mean())


def _values(regrets: FloatArray, criterion: CoverCriterion) -> FloatArray:
    """(n_sets,) of (n_conditions, n_sets)."""
    found: FloatArray = regrets.max(axis=0) if criterion == "worst" else regrets.mean(axis=0)
    return found


def _undominated(table: FloatArray) -> IntArray:
    """Plans that no other one is at least as good as everywhere; of equal ones the first."""
    order = np.lexsort((np.arange(table.shape[1]), np.where(np.isfinite(table), table, 1e300).sum(axis=0)))
    kept: list[int] = []
    for index in order.tolist():
        if not kept or not np.any(np.all(table[:, kept] <= table[:, [index]], axis=0)):
            kept.append(index)
    return np.array(sorted(kept), dtype=np.int64)


def _best_set(table: FloatArray, size: int, criterion: CoverCriterion) -> list[int]:
    """The best of all sets; of equal ones the first. The last member is looked for all at once."""
    best, chosen = np.inf, list(range(size))
    for prefix, least in _prefixes(table, size - 1):
        first = prefix[-1] + 1 if prefix else 0
        if first < table.shape[1]:
            values = _values(np.minimum(least[:, None], table[:, first:]), criterion)
            index = int(np.argmin(values))
            if values[index] < best:
                best, chosen = float(values[index]), [*prefix, first + index]
    return chosen


def _prefixes(table: FloatArray, size: int) -> Iterator[tuple[tuple[int, ...], FloatArray]]:
    for prefix in combinations(range(table.shape[1]), size):
        yield prefix, table[:, prefix].min(axis=1, initial=np.inf)


def _added(table: FloatArray, size: int, criterion: CoverCriterion) -> list[int]:
    """Plans added one by one: each the one that helps most, by the criterion and then by the mean."""
    chosen: list[int] = []
    least = np.full(len(table), np.inf)
    while len(chosen) < size:
        after = np.minimum(least[:, None], table)
        helps = np.lexsort((_values(_limited(after), "mean"), _values(after, criterion)))
        fresh = next((index for index in helps.tolist() if index not in chosen), None)
        if fresh is None:
            break
        chosen.append(fresh)
        least = after[:, fresh]
    return chosen


def _exchanged(table: FloatArray, chosen: list[int], criterion: CoverCriterion) -> list[int]:
    """The set after exchanging single plans as long as that helps."""
    value = _value(table[:, chosen].min(axis=1), criterion)
    is_better = True
    while is_better:
        is_better = False
        for place in range(len(chosen)):
            others = [*chosen[:place], *chosen[place + 1 :]]
            least = table[:, others].min(axis=1, initial=np.inf)
            values = _values(np.minimum(least[:, None], table), criterion)
            index = int(np.argmin(values))
            if values[index] < value:
                value, chosen, is_better = float(values[index]), [*others, index], True
    return chosen


def _bound(table: FloatArray, size: int, criterion: CoverCriterion, known: float) -> float:
    return _worst_bound(table, size) if criterion == "worst" else _mean_bound(table, size, known)


def _worst_bound(table: FloatArray, size: int) -> float:
    """If more than `size` conditions have no good plan in common, no set of that size is good for all of them.

    Source of the idea: Hochbaum and Shmoys, "A best possible heuristic for the k-center problem", 1985.
    """
    levels = np.unique(table)
    low, high = -1, len(levels) - 1
    while high - low > 1:
        middle = (low + high) // 2
        if _n_apart(table <= levels[middle]) > size:
            low = middle
        else:
            high = middle
    return max(float(levels[low + 1]), float(table.min(axis=1).max()))


def _n_apart(is_good: npt.NDArray[np.bool_]) -> int:
    """Conditions found, one by one from those of fewest good plans, of which no two have a good plan in common."""
    left, n_found = np.ones(len(is_good), dtype=np.bool_), 0
    counts = is_good.sum(axis=1)
    for index in np.argsort(counts, kind="stable"):
        if left[index]:
            n_found += 1
            left &= ~is_good[:, is_good[index]].any(axis=1)
            left[index] = False
    return n_found


def _mean_bound(table: FloatArray, size: int, known: float) -> float:
    """Every condition pays a price to be served, and of what plans would serve below it only the best `size` count.

    Whatever the prices are, no set costs less than that; they are raised where nobody serves, and lowered where several
    do.

    Source: Cornuejols, Fisher and Nemhauser, "Location of bank accounts to optimize float", Management Science 23,
    1977.

    Args:
        table: (n_conditions, n_plans) regrets.
        size: Plans of a set.
        known: Mean regret of some set.
    """
    limited = _limited(table)
    known = known if np.isfinite(known) else float(limited.max())
    two = np.sort(limited, axis=1)[:, :2]
    prices, bound, step, n_idle = two[:, -1].copy(), 0.0, 1.0, 0
    for _ in range(N_PRICINGS):
        saved = np.minimum(limited - prices[:, None], 0.0).sum(axis=0)
        served = np.argsort(saved, kind="stable")[:size]
        value = float(prices.sum() + saved[served].sum()) / len(table)
        n_idle = 0 if value > bound else n_idle + 1
        bound = max(bound, value)
        lacking = 1.0 - np.sum(limited[:, served] < prices[:, None], axis=1)
        if not lacking.any() or bound >= known:
            break
        if n_idle > PATIENCE:
            step, n_idle = step / 2, 0
        prices += step * (known - value) * len(table) / float(lacking @ lacking) * lacking
    return bound


def _limited(table: FloatArray) -> FloatArray:
    """Infinities as the largest finite regret of their condition, or 0."""
    highest = np.where(np.isfinite(table), table, 0.0).max(axis=1, keepdims=True)
    found: FloatArray = np.minimum(table, highest)
    return found
