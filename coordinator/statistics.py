"""Figures with intervals, from raw samples. All intervals are 95 %."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from coordinator.errors import MeasurementError
from coordinator.measurement import Estimate, LatencySummary

CONFIDENCE = 0.95
LEAST_ROUNDS = 3
"""From one completion to the next, or once round all ways: fewer give a rate no interval."""


def quantile_estimate(samples: Sequence[float], quantile: float) -> Estimate:
    """Quantile with a distribution-free interval from order statistics.

    With too few samples for the quantile the interval ends at the extremes seen, and is then narrower than it says:
    show the number of samples beside it.

    Source: Hahn and Meeker, "Statistical Intervals", section 5.2.
    """
    from scipy.special import bdtr  # noqa: PLC0415  scipy loads slowly

    ordered = np.sort(np.asarray(samples, dtype=np.float64))
    n = len(ordered)
    below = bdtr(np.arange(n + 1), n, quantile)
    low, high = np.searchsorted(below, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) - [1, 0]
    return Estimate(
        value=float(np.quantile(ordered, quantile)),
        low=float(ordered[max(low, 0)]),
        high=float(ordered[min(high, n - 1)]),
    )


def robust_variation(samples: Sequence[float]) -> float:
    """Coefficient of variation (standard deviation over mean) from the 10th and 90th percentile.

    `(q90 − q10) / (2 · 1.2816 · median)` is the same for normal samples. What disturbs one sample in ten shows; single
    outliers, which the plain coefficient follows and which every machine has, do not.
    """
    low, median, high = np.quantile(np.asarray(samples, dtype=np.float64), (0.1, 0.5, 0.9))
    return float((high - low) / (2 * NormalDist().inv_cdf(0.9) * median))


def mean_estimate(samples: Sequence[float]) -> Estimate:
    """Mean with Student's interval; without a width for a single sample."""
    values = np.asarray(samples, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Estimate(value=mean, low=mean, high=mean)
    from scipy.special import stdtrit  # noqa: PLC0415  scipy loads slowly

    half = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1) / math.sqrt(len(values)))
    return Estimate(value=mean, low=mean - half, high=mean + half)


def latency_summary(samples: Sequence[float]) -> LatencySummary:
    """Summary of round trips in seconds."""
    return LatencySummary(
        mean=mean_estimate(samples),
        p50=quantile_estimate(samples, 0.5),
        p90=quantile_estimate(samples, 0.9),
        p99=quantile_estimate(samples, 0.99),
        n_samples=len(samples),
    )


def rate_estimate(completions: Sequence[float], n_ways: int = 1, n_windows: int = 8) -> Estimate:
    """Completions per second of a steady run, with the spread between equal runs of consecutive completions.

    Requests that go several ways in turn are completed in bunches: whole rounds of the ways are counted, each from and
    to the same place of a round. Fewer than `LEAST_ROUNDS` say nothing of the spread: any rate may be the true one.

    Args:
        completions: Ascending times of completion, seconds; the first only starts the clock.
        n_ways: That requests go in turn. Where they have not gone round once, every completion counts as a round.
        n_windows: Runs into which the rounds are cut for the interval.
    """
    n_each = n_ways if len(completions) > n_ways else 1
    times = np.asarray(completions, dtype=np.float64)[::n_each]
    n_rounds = len(times) - 1
    overall = float(n_each * n_rounds / (times[-1] - times[0]))
    if n_rounds < LEAST_ROUNDS:
        return Estimate(value=overall, low=0.0, high=math.inf)
    edges = np.linspace(0, n_rounds, min(n_windows, n_rounds) + 1).astype(int)
    seconds_each = np.diff(times[edges]) / np.diff(edges) / n_each
    spread = mean_estimate(seconds_each.tolist())
    return Estimate(value=overall, low=1 / spread.high, high=1 / spread.low if spread.low > 0 else math.inf)


def scaled(estimate: Estimate, factor: float) -> Estimate:
    """A figure in another unit."""
    return Estimate(value=estimate.value * factor, low=estimate.low * factor, high=estimate.high * factor)


def fit_line(samples: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """(fixed seconds, seconds per byte) of (bytes, seconds), neither of them negative.

    The medians per size are fitted by relative least squares; the fixed part is at most the smallest median.

    Raises:
        MeasurementError: Fewer than two sizes.
    """
    sizes = np.array(sorted({n_bytes for n_bytes, _ in samples}), dtype=np.float64)
    if len(sizes) < 2:
        raise MeasurementError(f"A line is fitted from at least two sizes, got {len(sizes)}: measure again.")
    from scipy.optimize import nnls  # noqa: PLC0415  scipy loads slowly

    medians = np.array([np.median([seconds for n_bytes, seconds in samples if n_bytes == size]) for size in sizes])
    weights = 1 / np.maximum(medians, 1e-9)
    # In units of the largest size both columns are alike, which keeps the solution accurate.
    columns = np.stack([np.ones_like(sizes), sizes / sizes[-1]], axis=1) * weights[:, None]
    (fixed, slope), _ = nnls(columns, medians * weights)
    return min(float(fixed), float(medians.min())), float(slope) / float(sizes[-1])
