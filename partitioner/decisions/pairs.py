"""Two plans, or two backends, measured in turn: what one takes more than the other, and whether that is chance."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partitioner.front import FloatArray

LEVEL = 0.05
"""A difference with a p-value up to this is called significant."""
MOST_EXACT = 14
"""Pairs up to which all assignments of signs are tried; from there on random ones are."""
N_RANDOM = 20_000
CLOSE = 1e-9
"""Sums that differ by less, relatively, are equal: rounding made the difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedComparison:
    """The second of two things over the first, pair by pair."""

    n_pairs: int
    ratio: float
    """Geometric mean of second over first: 1.05 where the second is 5 % larger."""
    low: float
    """95 % interval of the ratio; without a width for a single pair, which shows none."""
    high: float
    p_value: float
    """Of a permutation test: how often chance alone would show a difference as large, either way."""
    least_p_value: float
    """The least that so many pairs can give."""

    @property
    def is_significant(self) -> bool:
        """Whether chance alone would hardly show such a difference."""
        return self.p_value <= LEVEL

    @property
    def can_be_significant(self) -> bool:
        """Whether there are pairs enough for any difference to be."""
        return self.least_p_value <= LEVEL


def compare_pairs(first: npt.ArrayLike, second: npt.ArrayLike, *, seed: int = 0) -> PairedComparison:
    """Compares figures that were measured in pairs: in the same block, or repeat.

    If there were no difference, each pair might as well have come the other way round. The p-value is the share of all
    ways to turn pairs round (of 20,000 random ones beyond 14 pairs) whose mean logarithm of ratios is as far from 0 as
    what was seen. The interval is Student's, of the logarithms.

    Source: Fisher, "The design of experiments", 1935, section 21; Phipson and Smyth, "Permutation p-values should never
    be zero", Statistical Applications in Genetics and Molecular Biology 9, 2010.

    Args:
        first: (n_pairs,) figures, all above 0.
        second: (n_pairs,) of the same pairs.
        seed: Of random signs.

    Raises:
        ValueError: There are no pairs, the lengths differ, or a figure is not finite and above 0.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    is_usable = one.ndim == 1 and one.shape == other.shape and one.size
    if not is_usable or not all(np.all(np.isfinite(side) & (side > 0)) for side in (one, other)):
        raise ValueError(f"Pairs want two rows of as many figures above 0; got {one.tolist()} and {other.tolist()}.")
    logs = np.log(other / one)
    centre, half = float(logs.mean()), _half_width(logs)
    return PairedComparison(
        n_pairs=len(logs),
        ratio=math.exp(centre),
        low=math.exp(centre - half),
        high=math.exp(centre + half),
        p_value=_p_value(logs, seed),
        least_p_value=2.0 ** (1 - len(logs)) if len(logs) <= MOST_EXACT else 1 / (N_RANDOM + 1),
    )


def adjusted_p_values(p_values: Sequence[float]) -> tuple[float, ...]:
    """P-values of several comparisons made together, so that one false alarm among all is as rare as it says.

    Source: Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return tuple(adjusted)


def _p_value(logs: FloatArray, seed: int) -> float:
    seen = abs(float(logs.sum())) * (1 - CLOSE)
    if len(logs) <= MOST_EXACT:
        signs = 1.0 - 2.0 * (np.arange(2 ** len(logs))[:, None] >> np.arange(len(logs)) & 1)
        return float(np.mean(np.abs(signs @ logs) >= seen))
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), size=(N_RANDOM, len(logs)))
    return float((np.sum(np.abs(signs @ logs) >= seen) + 1) / (N_RANDOM + 1))


def _half_width(logs: FloatArray) -> float:
    if len(logs) < 2:
        return 0.0
    from scipy.special import stdtrit  # noqa: PLC0415  scipy loads slowly, and only here

    return float(stdtrit(len(logs) - 1, 0.975)) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
