"""Whether enough was timed: how narrow the interval of a median is, from order statistics alone."""

import math
from collections.abc import Sequence
from functools import lru_cache

CONFIDENCE = 0.95
FEWEST_SAMPLES = 6
"""With fewer, the least and the greatest do not enclose the median with 95 %: nothing can be said to be tight."""
_MOST_EXACT = 500
"""Samples up to which the ranks are exact; above, a normal approximation is at most one rank off."""
_NORMAL_QUANTILE = 1.959964


def median_of(ordered: Sequence[float]) -> float:
    """Median of ascending samples, at least one."""
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


@lru_cache(maxsize=4096)
def median_ranks(n_samples: int) -> tuple[int, int]:
    """0-based ranks between which the median lies with 95 %; the ends where there are too few samples.

    Source: Hahn and Meeker, "Statistical Intervals", section 5.2.
    """
    if n_samples > _MOST_EXACT:
        half = _NORMAL_QUANTILE * math.sqrt(n_samples) / 2
        return math.floor(n_samples / 2 - half) - 1, math.ceil(n_samples / 2 + half)
    quantile = _half_binomial_quantile(n_samples)
    return max(quantile - 1, 0), min(n_samples - quantile, n_samples - 1)


def _half_binomial_quantile(n_samples: int) -> int:
    """The least k with P(X ≤ k) of a fair coin's n tosses above the lower tail."""
    wanted, below = (1 - CONFIDENCE) / 2 * 2**n_samples, 0
    for count in range(n_samples + 1):
        below += math.comb(n_samples, count)
        if below >= wanted:
            return count
    return n_samples


def relative_half_width(ordered: Sequence[float]) -> float:
    """Half the 95 % interval of the median of ascending samples, over the median; infinite for too few samples."""
    if len(ordered) < FEWEST_SAMPLES:
        return math.inf
    low, high = median_ranks(len(ordered))
    return (ordered[high] - ordered[low]) / 2 / median_of(ordered)


def is_tight(ordered: Sequence[float], tolerance: float) -> bool:
    """Whether ascending samples tell their median within the tolerance; never where that is 0."""
    return tolerance > 0 and relative_half_width(ordered) <= tolerance
