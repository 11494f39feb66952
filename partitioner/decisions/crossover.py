"""Which plan is best where: over delays and rates of the network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partitioner.decisions.regret import checked_costs
from partitioner.front import FloatArray, IntArray

CLOSE_ENOUGH = 0.02
"""Share by which a plan may exceed the best and still count as good, where plans are told in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateRange:
    """One plan over a range of rates, in bytes per second."""

    plan: int
    low: float
    """0 for the range of the lowest rates."""
    high: float
    """Infinity for that of the highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossoverMap:
    """The best plan of every delay and rate that was looked at."""

    delays: tuple[float, ...]
    """Seconds, ascending."""
    rates: tuple[float, ...]
    """Bytes per second, ascending."""
    best: tuple[tuple[int, ...], ...]
    """Plan of each delay and rate; -1 where nothing was looked at, or no plan is possible."""
    margins: tuple[tuple[float, ...], ...]
    """By how much the next best plan exceeds it; infinity where there is none, NaN where there is no best."""

    @property
    def winners(self) -> tuple[int, ...]:
        """Plans that are best somewhere, those of most places first."""
        won = np.array(self.best, dtype=np.int64).ravel()
        plans, counts = np.unique(won[won >= 0], return_counts=True)
        return tuple(plans[np.lexsort((plans, -counts))].tolist())


def crossover_map(delays: Sequence[float], rates: Sequence[float], costs: npt.ArrayLike) -> CrossoverMap:
    """The map of conditions that lie on a grid, or somewhere on it.

    Args:
        delays: (n_conditions,) seconds.
        rates: (n_conditions,) bytes per second.
        costs: (n_conditions, n_plans) float64, minimised; infinity where a plan is not possible. Of equal plans the
            first is taken.

    Raises:
        ValueError: The lengths differ, two conditions are at one place, or a figure is negative or NaN.
    """
    array = checked_costs(costs)
    places = list(zip(delays, rates, strict=True))
    if len(places) != len(array) or len(set(places)) != len(places):
        raise ValueError(
            f"{len(array)} rows of costs want as many different pairs of delay and rate; got {len(places)}."
        )
    rows, columns = sorted(set(delays)), sorted(set(rates))
    best = np.full((len(rows), len(columns)), -1, dtype=np.int64)
    margins = np.full(best.shape, np.nan)
    for (delay, rate), figures in zip(places, array, strict=True):
        cell = rows.index(delay), columns.index(rate)
        winner = int(np.argmin(figures))
        if np.isfinite(figures[winner]):
            best[cell], margins[cell] = winner, _margin(figures, winner)
    return CrossoverMap(
        delays=tuple(rows),
        rates=tuple(columns),
        best=tuple(tuple(row) for row in best.tolist()),
        margins=tuple(tuple(row) for row in margins.tolist()),
    )


def rate_ranges(
    rates: Sequence[float], costs: npt.ArrayLike, *, tolerance: float = CLOSE_ENOUGH
) -> tuple[RateRange, ...]:
    """As few plans as can be, one after another as the rate rises, of which each is good enough where it stands.

    Each plan is taken as far up as it goes, which gives the fewest. Where two plans meet, the rate at which they cost
    the same is interpolated: a sum of transfers is linear in 1 / rate.

    Args:
        rates: (n_rates,) bytes per second, ascending, all different.
        costs: (n_rates, n_plans) float64, minimised; infinity where a plan is not possible.
        tolerance: Share by which a plan may exceed the best.

    Raises:
        ValueError: The rates do not fit or do not rise, a figure is negative or NaN, or under a rate no plan is
            possible.
    """
    array = checked_costs(costs)
    steps = np.asarray(rates, dtype=np.float64)
    if steps.shape != array.shape[:1] or not np.all(np.diff(steps) > 0) or not np.all(steps > 0):
        raise ValueError(f"{len(array)} rows of costs want as many rising rates above 0; got {list(rates)}.")
    least = array.min(axis=1)
    if not np.all(np.isfinite(least)):
        raise ValueError("Under some rate no plan is possible: leave that condition out.")
    is_good = array <= (least * (1 + tolerance))[:, None]
    starts, plans = [0], []
    while starts[-1] < len(steps):
        ends = _reach(is_good[starts[-1] :]) + starts[-1]
        farthest = np.flatnonzero(ends == ends.max())
        span = slice(starts[-1], int(ends.max()))
        plans.append(int(farthest[np.argmin((array[span][:, farthest] / least[span, None]).mean(axis=0))]))
        starts.append(int(ends.max()))
    edges = [0.0, *(_meeting(steps, array, starts[i], plans[i - 1], plans[i]) for i in range(1, len(plans))), math.inf]
    return tuple(RateRange(plan=plan, low=edges[i], high=edges[i + 1]) for i, plan in enumerate(plans))


def crossing_rate(rates: tuple[float, float], one: tuple[float, float], other: tuple[float, float]) -> float | None:
    """The rate between two at which two plans, linear in 1 / rate, cost the same; None where they do not meet.

    Args:
        rates: Bytes per second.
        one: Costs of one plan at the two rates.
        other: Of the other.
    """
    before, after = one[0] - other[0], one[1] - other[1]
    if not (math.isfinite(before) and math.isfinite(after)) or before * after > 0 or before == after:
        return None
    share = before / (before - after)
    return 1 / ((1 - share) / rates[0] + share / rates[1])


def _reach(is_good: npt.NDArray[np.bool_]) -> IntArray:
    """(n_plans,) rows from the first on that a plan is good in, without a gap."""
    return np.where(is_good.all(axis=0), len(is_good), np.argmin(is_good, axis=0)).astype(np.int64)


def _meeting(rates: FloatArray, costs: FloatArray, start: int, below: int, above: int) -> float:
    """Where the plan of the lower rates gives way: between the last rate of its range and the first of the next."""
    low, high = float(rates[start - 1]), float(rates[start])
    pairs = [(float(costs[start - 1, plan]), float(costs[start, plan])) for plan in (below, above)]
    return crossing_rate((low, high), pairs[0], pairs[1]) or math.sqrt(low * high)


def _margin(figures: FloatArray, winner: int) -> float:
    others = np.delete(figures, winner)
    least = float(others.min(initial=np.inf))
    return math.inf if not figures[winner] > 0 else least / float(figures[winner]) - 1
