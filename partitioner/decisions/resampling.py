"""Bootstrap of figures that were measured in several runs.

Samples of one run share what was so while it ran (temperature, neighbours, the state of the network), so that they tell
little of the next run: runs are drawn first, then samples in each. Runs of one repeat were measured near each other in
time; plans are therefore drawn together, so that what slowed a whole repeat down does not count as noise between plans.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from partitioner.front import FloatArray

Runs = Sequence[FloatArray]
"""Samples of each run, in the order of the repeats; runs may have different numbers of samples."""
Statistic = Callable[[FloatArray], FloatArray]
"""From (…, n_samples) to (…): what one run says."""
CONFIDENCE = 0.95
N_DRAWS = 2000
MOST_CELLS = 1 << 22
"""Samples that are drawn at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """A figure with its 95 % interval, and what it rests on."""

    value: float
    low: float
    high: float
    n_runs: int
    """With a single run the interval tells the noise within it, and nothing of the next run."""
    n_samples: int


def median(samples: FloatArray) -> FloatArray:
    """Median along the last axis."""
    found: FloatArray = np.median(samples, axis=-1)
    return found


def mean(samples: FloatArray) -> FloatArray:
    """Mean along the last axis."""
    found: FloatArray = np.mean(samples, axis=-1)
    return found


def figure_of(runs: Runs, statistic: Statistic = median) -> float:
    """Mean over the runs of what each says: a long run counts no more than a short one.

    Raises:
        ValueError: There is no run, one has no samples, or a sample is not finite.
    """
    _check(runs)
    return float(np.mean([float(statistic(np.asarray(run, dtype=np.float64))) for run in runs]))


def estimate(runs: Runs, statistic: Statistic = median, *, n_draws: int = N_DRAWS, seed: int = 0) -> Estimated:
    """A figure with a bootstrap interval, wide enough for few runs.

    Raises:
        ValueError: There is no run, one has no samples, or a sample is not finite.
    """
    value = figure_of(runs, statistic)
    draws = joint_draws([[runs]], [statistic], n_draws=n_draws, seed=seed)[:, 0, 0]
    low, high = interval_of(value, draws, len(runs))
    is_signed = any(np.any(np.asarray(run) < 0) for run in runs)
    n_samples = sum(len(run) for run in runs)
    return Estimated(
        value=value, low=low if is_signed else max(low, 0.0), high=high, n_runs=len(runs), n_samples=n_samples
    )


def interval_of(value: float, draws: FloatArray, n_runs: int) -> tuple[float, float]:
    """The 95 % interval of a figure from what was drawn for it.

    Percentiles of the draws, taken away from the value by as much as Student's distribution for so many runs is wider
    than the normal one: three runs know little of their own spread.

    Source: Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69, 2015.
    """
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, (tail, 1 - tail))
    factor = _student_factor(n_runs)
    return min(value, value - (value - float(low)) * factor), max(value, value + (float(high) - value) * factor)


def joint_draws(
    plans: Sequence[Sequence[Runs]], statistics: Sequence[Statistic], *, n_draws: int = N_DRAWS, seed: int = 0
) -> FloatArray:
    """Figures of several plans as they might have been, drawn together.

    In each draw all figures of all plans take the same repeats, as far as plans have as many. A mean of n runs drawn
    with replacement varies by (n − 1) / n too little; the draws are spread by the root of that.

    Source: Davison and Hinkley, "Bootstrap methods and their application", 1997, section 3.8 (runs, then samples).

    Args:
        plans: Of each plan the runs of each figure; all figures of a plan come from the same runs.
        statistics: One for each figure.
        n_draws: How often.
        seed: Of the draws.

    Returns:
        (n_draws, n_plans, n_figures) float64.

    Raises:
        ValueError: A plan has no runs or another number of figures, or its figures differ in runs; or a sample is not
            finite.
    """
    for figures in plans:
        if len(figures) != len(statistics) or len({len(runs) for runs in figures}) != 1:
            raise ValueError(
                f"Every plan wants {len(statistics)} figures of the same runs; got {list(map(len, figures))}."
            )
        for runs in figures:
            _check(runs)
    most = max((len(figures[0]) for figures in plans), default=0)
    turns = np.random.default_rng([seed, 0]).random((n_draws, most))
    draws = np.empty((n_draws, len(plans), len(statistics)))
    for index, figures in enumerate(plans):
        n_runs = len(figures[0])
        chosen = np.minimum((turns[:, :n_runs] * n_runs).astype(np.int64), n_runs - 1)
        spread = math.sqrt(n_runs / (n_runs - 1)) if n_runs > 1 else 1.0
        for column, (runs, statistic) in enumerate(zip(figures, statistics, strict=True)):
            random = np.random.default_rng([seed, 1, index, column])
            value = figure_of(runs, statistic)
            draws[:, index, column] = value + spread * (_drawn(runs, statistic, chosen, random) - value)
    return draws


def _drawn(runs: Runs, statistic: Statistic, chosen: np.ndarray, random: np.random.Generator) -> FloatArray:
    """(n_draws,) mean over the chosen runs (n_draws, n_runs), the samples of each drawn anew."""
    said = np.empty(chosen.shape)
    for index, run in enumerate(runs):
        samples = np.asarray(run, dtype=np.float64)
        places = np.argwhere(chosen == index)
        rows = max(1, MOST_CELLS // len(samples))
        for first in range(0, len(places), rows):
            part = places[first : first + rows]
            said[part[:, 0], part[:, 1]] = statistic(
                samples[random.integers(len(samples), size=(len(part), len(samples)))]
            )
    found: FloatArray = said.mean(axis=1)
    return found


def _student_factor(n_runs: int) -> float:
    """Student's distribution over the normal one, at the end of the interval."""
    if n_runs < 2:
        return 1.0
    from scipy.special import ndtri, stdtrit  # noqa: PLC0415  scipy loads slowly, and only here

    tail = (1 + CONFIDENCE) / 2
    return float(stdtrit(n_runs - 1, tail) / ndtri(tail))


def _check(runs: Runs) -> None:
    if not len(runs) or not all(len(run) for run in runs):
        raise ValueError(f"A figure wants runs with samples; got runs of {[len(run) for run in runs]} samples.")
    if not all(np.all(np.isfinite(run)) for run in runs):
        raise ValueError("A figure wants finite samples: leave out the run that has none.")
