"""How far predictions are from measurements: errors, agreement of order, and what choosing by prediction costs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partitioner.comparison import beyond
from partitioner.front import FloatArray, is_dominated
from partitioner.hypervolume import hypervolume

Interval = tuple[float, float]
"""Low and high end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorSummary:
    """Relative errors of several predictions; fractions, so that 0.05 is 5 %."""

    n: int
    mape: float
    """Mean of the absolute errors (MAPE, the percentage left to who prints it)."""
    median: float
    """Of the absolute errors."""
    p90: float
    """90th percentile of the absolute errors, interpolated between the two nearest."""
    worst: float
    """The largest error, with its sign: above 0 where the prediction was too high."""
    worst_name: str
    """What it is the error of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankAgreement:
    """Kendall's τ between two orders of the same plans: 1 for the same order, −1 for the reverse, 0 for no relation."""

    n: int
    """Plans."""
    tau: float | None
    """τ-b over all pairs; None where one side has no two different figures."""
    n_resolved: int
    """Pairs whose measured intervals do not overlap."""
    resolved_tau: float | None
    """τ-b over those pairs alone; None where there are none, or all of them are predicted alike."""


def signed_error(predicted: float, measured: float) -> float:
    """(predicted − measured) / measured; not a number where nothing was measured."""
    return (predicted - measured) / measured if measured > 0 else math.nan


def summarise_errors(errors: Mapping[str, float]) -> ErrorSummary | None:
    """Summary of signed relative errors by name; None of nothing. Of equally bad ones the first by name is the worst.

    `MAPE = Σ |p − m| / m / n`. Source: Hyndman and Koehler, "Another look at measures of forecast accuracy",
    International Journal of Forecasting 22, 2006.

    Raises:
        ValueError: An error is not finite; its name is told.
    """
    faulty = [name for name, error in errors.items() if not math.isfinite(error)]
    if faulty:
        raise ValueError(f"Errors want finite figures; got {errors[faulty[0]]} for {faulty[0]!r}: leave it out.")
    if not errors:
        return None
    sizes = np.abs(np.array(list(errors.values()), dtype=np.float64))
    worst = min(errors, key=lambda name: (-abs(errors[name]), name))
    return ErrorSummary(
        n=len(errors),
        mape=float(sizes.mean()),
        median=float(np.median(sizes)),
        p90=float(np.quantile(sizes, 0.9)),
        worst=errors[worst],
        worst_name=worst,
    )


def rank_agreement(
    predicted: Sequence[float], measured: Sequence[float], intervals: Sequence[Interval] | None = None
) -> RankAgreement:
    """Whether plans stand in the order that was predicted.

    With `a_ij` the sign of the difference of two predictions and `b_ij` that of two measurements,
    `τ-b = Σ a b / √(Σ a² · Σ b²)` over all pairs. Two plans whose measured intervals overlap stand in no order that
    could be missed; `resolved_tau` is the same sum without them.

    Source: Kendall, "The treatment of ties in ranking problems", Biometrika 33, 1945.

    Args:
        predicted: (n_plans,) figures.
        measured: (n_plans,) figures of the same plans.
        intervals: Low and high of each measured figure; exact where None.

    Raises:
        ValueError: The lengths differ, or a figure is not a number.
    """
    ends = [(value, value) for value in measured] if intervals is None else intervals
    if not len(predicted) == len(measured) == len(ends):
        raise ValueError(f"{len(predicted)} predictions, {len(measured)} measurements and {len(ends)} intervals.")
    guess, truth = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if np.isnan(guess).any() or np.isnan(truth).any():
        raise ValueError("An order wants figures; got NaN: leave that plan out.")
    low, high = np.asarray(ends, dtype=np.float64).reshape(-1, 2).T
    pairs = np.triu_indices(len(guess), 1)
    is_apart = ((high[:, None] < low[None]) | (high[None] < low[:, None]))[pairs]
    signs, true_signs = _signs(guess)[pairs], _signs(truth)[pairs]
    return RankAgreement(
        n=len(guess),
        tau=_correlation(signs, true_signs),
        n_resolved=int(is_apart.sum()),
        resolved_tau=_correlation(signs[is_apart], true_signs[is_apart]),
    )


def regret(predicted: Sequence[float], measured: Sequence[float], *, is_maximised: bool = False) -> float:
    """What it costs to run the plan that was predicted best instead of the one that was measured best.

    Minimised: `measured of the predicted best / least measured − 1`; maximised: `most measured / measured of the
    predicted best − 1`. Of plans predicted equally good, the worst measured counts.

    Raises:
        ValueError: There are no plans, the lengths differ, or a measured figure is not above 0.
    """
    guess, truth = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if not guess.size or guess.shape != truth.shape or not np.all(truth > 0):
        raise ValueError(f"Regret wants as many predictions as measurements above 0; got {predicted} and {measured}.")
    if is_maximised:
        return float(truth.max() / truth[guess == guess.max()].min()) - 1.0
    return float(truth[guess == guess.min()].max() / truth.min()) - 1.0


def hypervolume_share(
    predicted: npt.ArrayLike, measured: npt.ArrayLike, *, reference: Sequence[float] | None = None
) -> float:
    """Hypervolume of the measured points of the plans on the predicted front, over that of all measured points.

    Args:
        predicted: (n_plans, n_objectives) float64, all minimised.
        measured: The same plans and objectives.
        reference: A little worse than the worst measured point where None.

    Returns:
        0 … 1; 1 where nothing is better than the reference.

    Raises:
        ValueError: The shapes differ, there are no plans, or a figure is NaN.
    """
    guess, truth = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    if guess.shape != truth.shape or not truth.size:
        raise ValueError(f"Wanted the same plans and objectives; got the shapes {guess.shape} and {truth.shape}.")
    corner = tuple(beyond(truth).tolist() if reference is None else reference)
    whole = hypervolume(truth, corner)
    return hypervolume(truth[~is_dominated(guess)], corner) / whole if whole > 0 else 1.0


def _signs(values: FloatArray) -> FloatArray:
    """(n, n) float64: −1, 0 or 1 for how value i stands to value j; infinities of one sign are equal."""
    above = (values[:, None] > values[None]).astype(np.float64)
    return above - above.T


def _correlation(one: FloatArray, other: FloatArray) -> float | None:
    weight = float(np.sum(one**2)) * float(np.sum(other**2))
    return float(np.sum(one * other)) / math.sqrt(weight) if weight > 0 else None
