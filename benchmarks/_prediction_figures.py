"""Figures of the benchmark of predictions, from its points."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean, median

from benchmarks._figures import Figure, at_least, at_most
from benchmarks._prediction_points import Figures, Point, median_figures
from partitioner.accuracy import (
    ErrorSummary,
    RankAgreement,
    hypervolume_share,
    rank_agreement,
    regret,
    signed_error,
    summarise_errors,
)

LEAST_TRANSFER_BYTES = 64 << 10
LIMIT, LIMIT_P90 = 0.05, 0.12
LEAST_TAU, MOST_REGRET, LEAST_HYPERVOLUME = 0.9, 0.03, 0.97
LEAST_SPLITS = 10
SOURCES = ("after", "before", "noise")
SIDES = {"least": (min, at_least, ""), "most": (max, at_most, "share")}

Group = Sequence[Point]
"""All plans of one model under one condition."""
Score = Callable[[Sequence[Figures], Sequence[Figures]], float]
"""How well guesses fit what was measured of the same plans."""


def figures_of(points: Sequence[Point]) -> list[Figure]:
    """Errors before and after measure-and-correct, the floor of the noise, order, regret and hypervolume."""
    figures = [Figure(name="prediction_points", value=len(points), interval=(len(points),) * 2, unit="plans")]
    for quantity in ("stage", "transfer", "latency", "throughput"):
        after, before, noise = (summarise_errors(errors(points, quantity, source)) for source in SOURCES)
        if after is not None and before is not None and noise is not None:
            figures += error_figures(quantity, after, before, noise)
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in points:
        groups.setdefault((point.model, point.condition), []).append(point)
    return figures + group_figures(list(groups.values()))


def worst_lines(points: Sequence[Point]) -> list[str]:
    """Which plan each quantity is worst predicted of."""
    summaries = {
        q: summarise_errors(errors(points, q, "after")) for q in ("stage", "transfer", "latency", "throughput")
    }
    return [
        f"worst {quantity}: {summary.worst_name} ({summary.worst:+.1%})"
        for quantity, summary in summaries.items()
        if summary
    ]


def errors(points: Sequence[Point], quantity: str, source: str) -> dict[str, float]:
    """Signed relative errors by plan, and stage.

    `noise`: the first round as a prediction of the last, by so much nearer as all rounds of a plan would be to all of
    another measurement; a round has a part of the visits.
    """
    scale = math.sqrt(len(points[0].rounds)) if source == "noise" else 1.0
    return {name: signed_error(*pair) / scale for name, pair in pairs(points, quantity, source).items()}


def pairs(points: Sequence[Point], quantity: str, source: str) -> dict[str, tuple[float, float]]:
    """Predicted and measured by plan, and stage; `noise`: measured in the first round and in the last."""
    found: dict[str, tuple[float, float]] = {}
    for point in points:
        guess = point.rounds[0] if source == "noise" else getattr(point, source)
        truth = point.rounds[-1] if source == "noise" else point.measured
        name = f"{point.model}, {point.condition}, {point.plan}"
        if quantity == "stage":
            found |= {f"{name}, stage {i}": pair for i, pair in enumerate(zip(guess.stages, truth.stages, strict=True))}
        elif quantity != "transfer" or point.sent_bytes >= LEAST_TRANSFER_BYTES:
            found[name] = (getattr(guess, quantity), getattr(truth, quantity))
    return found


def error_figures(quantity: str, after: ErrorSummary, before: ErrorSummary, noise: ErrorSummary) -> list[Figure]:
    """Mean, 90th percentile and worst of absolute errors; those after correction are promised.

    No prediction can be expected to be nearer than the same plan comes to itself: where that floor is above the limit,
    it takes its place, and is told as the target.
    """
    name = f"prediction_{quantity}"
    span, worst = (after.median, after.p90), abs(after.worst)
    figures = [
        at_most(f"{name}_after_mape", after.mape, span, "share", max(LIMIT, noise.mape)),
        at_most(f"{name}_after_median", after.median, span, "share", max(LIMIT, noise.median)),
        Figure(name=f"{name}_after_worst", value=worst, interval=(worst, worst), unit="share"),
        Figure(name=f"{name}_before_mape", value=before.mape, interval=(before.median, before.p90), unit="share"),
        Figure(name=f"{name}_noise_mape", value=noise.mape, interval=(noise.median, noise.p90), unit="share"),
    ]
    if quantity in ("latency", "throughput"):
        figures.append(at_most(f"{name}_after_p90", after.p90, (after.p90,) * 2, "share", max(LIMIT_P90, noise.p90)))
    return figures


def group_figures(groups: Sequence[Group]) -> list[Figure]:
    """Order, regret and hypervolume, the worst and the median over models and conditions.

    No prediction can be expected to choose better than one round of measurements does for the others: where that floor
    is beyond the bound, it takes its place, and is told as the target.
    """
    series = [[point for point in group if point.is_split_series] for group in groups]
    series = [group for group in series if len(group) >= LEAST_SPLITS]
    figures = []
    for quantity in ("latency", "throughput"):
        name = f"prediction_{quantity}"
        figures += extreme(
            f"{name}_resolved_tau", series, partial(resolved_order, quantity=quantity), LEAST_TAU, "least"
        )
        figures += middle(f"{name}_tau", [predicted(group, partial(order, quantity=quantity)) for group in series])
        figures += extreme(f"{name}_regret", groups, partial(regret_of_best, quantity=quantity), MOST_REGRET, "most")
    return figures + extreme("prediction_hypervolume", groups, hypervolume, LEAST_HYPERVOLUME, "least")


def predicted(group: Group, score: Score) -> float:
    """The score of the predictions."""
    return score([point.after for point in group], [point.measured for point in group])


def floor(group: Group, score: Score) -> float:
    """The score of one round of measurements, as predictions of the others: the mean of all rounds."""

    def score_of_round(number: int) -> float:
        others = [median_figures([*point.rounds[:number], *point.rounds[number + 1 :]]) for point in group]
        return score([point.rounds[number] for point in group], others)

    return fmean(score_of_round(number) for number in range(len(group[0].rounds)))


def order(guesses: Sequence[Figures], truths: Sequence[Figures], quantity: str) -> float:
    """Kendall's tau-b."""
    return agreement(guesses, truths, quantity).tau or 0.0


def resolved_order(guesses: Sequence[Figures], truths: Sequence[Figures], quantity: str) -> float:
    """The same of the pairs whose measured intervals do not overlap."""
    return agreement(guesses, truths, quantity).resolved_tau or 0.0


def agreement(guesses: Sequence[Figures], truths: Sequence[Figures], quantity: str) -> RankAgreement:
    """Of the order by one quantity."""
    guess, truth = ([getattr(figures, quantity) for figures in one] for one in (guesses, truths))
    return rank_agreement(guess, truth, intervals=[getattr(figures, f"{quantity}_ends") for figures in truths])


def regret_of_best(guesses: Sequence[Figures], truths: Sequence[Figures], quantity: str) -> float:
    """Regret of the best guess; of plans that are equally good by the quantity, that which is better by the other."""
    wishes = [wanted(figures, quantity) for figures in guesses]
    best = wishes.index(min(wishes))
    chosen = [float(index != best) for index in range(len(wishes))]
    return regret(chosen, [wanted(figures, quantity)[0] for figures in truths])


def hypervolume(guesses: Sequence[Figures], truths: Sequence[Figures]) -> float:
    """Share of the exhaustively measured front's hypervolume that the guessed front's plans have, as measured."""
    return hypervolume_share(*([both(figures) for figures in one] for one in (guesses, truths)))


def wanted(figures: Figures, quantity: str) -> tuple[float, float]:
    """Both figures of a front, minimised, that which is asked for first."""
    latency, period = both(figures)
    return (latency, period) if quantity == "latency" else (period, latency)


def both(figures: Figures) -> tuple[float, float]:
    """Latency and seconds from sample to sample, both minimised."""
    return figures.latency, 1 / figures.throughput


def extreme(name: str, groups: Sequence[Group], score: Score, bound: float, side: str) -> list[Figure]:
    """The `least` or the `most` score of all groups, promised, and that of the floors."""
    if not groups:
        return []
    of_all, bounded, unit = SIDES[side]
    values, floors = ([of(group, score) for group in groups] for of in (predicted, floor))
    return [
        bounded(f"{name}_{side}", of_all(values), ends(values), unit, of_all([bound, *floors])),
        *middle(name, values),
        Figure(name=f"{name}_noise_{side}", value=of_all(floors), interval=ends(floors), unit=unit),
    ]


def middle(name: str, values: Sequence[float]) -> list[Figure]:
    """The median of all groups, with the least and the most."""
    if not values:
        return []
    return [Figure(name=f"{name}_median", value=median(values), interval=ends(values), unit="")]


def ends(values: Sequence[float]) -> tuple[float, float]:
    """The least and the most."""
    return min(values), max(values)
