"""Figures of the benchmark of predictions, from its points."""

from collections.abc import Sequence
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


def figures_of(points: Sequence[Point]) -> list[Figure]:
    """Errors before and after measure-and-correct, the floor of the noise, order, regret and hypervolume."""
    figures = [Figure(name="prediction_points", value=len(points), interval=(len(points),) * 2, unit="plans")]
    for quantity in ("stage", "transfer", "latency", "throughput"):
        after, before, noise = (summarise_errors(errors(points, quantity, source)) for source in SOURCES)
        if after is not None and before is not None:
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
    """Signed relative errors by plan, and stage."""
    return {name: signed_error(*pair) for name, pair in pairs(points, quantity, source).items()}


def pairs(points: Sequence[Point], quantity: str, source: str) -> dict[str, tuple[float, float]]:
    """Predicted and measured by plan, and stage; `noise`: the first measurement as a prediction of the second."""
    found: dict[str, tuple[float, float]] = {}
    for point in points:
        guess = point.measured if source == "noise" else getattr(point, source)
        truth = point.again if source == "noise" else point.measured
        if truth is None:
            continue
        name = f"{point.model}, {point.condition}, {point.plan}"
        if quantity == "stage":
            found |= {f"{name}, stage {i}": pair for i, pair in enumerate(zip(guess.stages, truth.stages, strict=True))}
        elif quantity != "transfer" or point.sent_bytes >= LEAST_TRANSFER_BYTES:
            found[name] = (getattr(guess, quantity), getattr(truth, quantity))
    return found


def error_figures(quantity: str, after: ErrorSummary, before: ErrorSummary, noise: ErrorSummary | None) -> list[Figure]:
    """Mean, 90th percentile and worst of absolute errors; those after correction are promised.

    No prediction can be expected to be nearer than the same plan comes to itself: where that floor is above the limit,
    it takes its place, and is told as the target.
    """
    name = f"prediction_{quantity}"
    floor, floor_median, floor_p90 = (noise.mape, noise.median, noise.p90) if noise else (0.0, 0.0, 0.0)
    span, worst = (after.median, after.p90), abs(after.worst)
    figures = [
        at_most(f"{name}_after_mape", after.mape, span, "share", max(LIMIT, floor)),
        at_most(f"{name}_after_median", after.median, span, "share", max(LIMIT, floor_median)),
        Figure(name=f"{name}_after_worst", value=worst, interval=(worst, worst), unit="share"),
        Figure(name=f"{name}_before_mape", value=before.mape, interval=(before.median, before.p90), unit="share"),
    ]
    if noise is not None:
        figures.append(
            Figure(name=f"{name}_noise_mape", value=noise.mape, interval=(noise.median, noise.p90), unit="share")
        )
    if quantity in ("latency", "throughput"):
        figures.append(at_most(f"{name}_after_p90", after.p90, (after.p90,) * 2, "share", max(LIMIT_P90, floor_p90)))
    return figures


def group_figures(groups: Sequence[Sequence[Point]]) -> list[Figure]:
    """Order, regret and hypervolume: the worst and the median over models and conditions."""
    series = [[point for point in group if point.is_split_series] for group in groups]
    series = [group for group in series if len(group) >= LEAST_SPLITS]
    figures = []
    for quantity in ("latency", "throughput"):
        agreements = [order(group, quantity) for group in series]
        taus, resolved = [one.tau or 0.0 for one in agreements], [one.resolved_tau or 0.0 for one in agreements]
        figures += least(f"prediction_{quantity}_resolved_tau", resolved, LEAST_TAU)
        figures += middle(f"prediction_{quantity}_tau", taus)
        floors = [regret_floor(group, quantity) for group in groups]
        regrets = [regret_of(group, quantity) for group in groups]
        figures += most(f"prediction_{quantity}_regret", regrets, max(MOST_REGRET, *floors))
        figures += middle(f"prediction_{quantity}_regret", regrets)
        figures.append(
            Figure(
                name=f"prediction_{quantity}_regret_noise_most",
                value=max(floors),
                interval=(min(floors), max(floors)),
                unit="share",
            )
        )
    return figures + least("prediction_hypervolume", [hypervolume(group) for group in groups], LEAST_HYPERVOLUME)


def order(group: Sequence[Point], quantity: str) -> RankAgreement:
    """Kendall's tau-b of a series of splits; resolved: of the pairs whose measured intervals do not overlap."""
    return rank_agreement(
        *columns(group, quantity), intervals=[getattr(point.measured, f"{quantity}_ends") for point in group]
    )


def regret_of(group: Sequence[Point], quantity: str) -> float:
    """Regret of the plan predicted best."""
    return regret_of_best(
        [wanted(point.after, quantity) for point in group], [wanted(point.measured, quantity) for point in group]
    )


def regret_floor(group: Sequence[Point], quantity: str) -> float:
    """Regret of the plan that was measured best in one round, in the others: the mean of all rounds."""

    def regret_of_round(number: int) -> float:
        others = [median_figures([*point.visits[:number], *point.visits[number + 1 :]]) for point in group]
        return regret_of_best(
            [wanted(point.visits[number], quantity) for point in group],
            [wanted(figures, quantity) for figures in others],
        )

    return fmean(regret_of_round(number) for number in range(len(group[0].visits)))


def regret_of_best(predicted: Sequence[tuple[float, float]], measured: Sequence[tuple[float, float]]) -> float:
    """Of plans that are equally good by the first of both numbers the one is run that is better by the second."""
    best = predicted.index(min(predicted))
    chosen = [float(index != best) for index in range(len(predicted))]
    return regret(chosen, [first for first, _ in measured])


def wanted(figures: Figures, quantity: str) -> tuple[float, float]:
    """Both figures of a front, minimised, that which is asked for first."""
    latency, period = both(figures)
    return (latency, period) if quantity == "latency" else (period, latency)


def columns(group: Sequence[Point], quantity: str) -> tuple[list[float], list[float]]:
    """Predicted and measured."""
    return [getattr(point.after, quantity) for point in group], [getattr(point.measured, quantity) for point in group]


def hypervolume(group: Sequence[Point]) -> float:
    """Share of the exhaustively measured front's hypervolume that the predicted front's plans have, as measured."""
    return hypervolume_share([both(point.after) for point in group], [both(point.measured) for point in group])


def both(figures: Figures) -> tuple[float, float]:
    """Latency and seconds from sample to sample, both minimised."""
    return figures.latency, 1 / figures.throughput


def least(name: str, values: Sequence[float], bound: float) -> list[Figure]:
    """The least of all groups, promised."""
    return [at_least(f"{name}_least", min(values), (min(values), max(values)), "", bound)] if values else []


def middle(name: str, values: Sequence[float]) -> list[Figure]:
    """The median of all groups, with the least and the most."""
    if not values:
        return []
    return [Figure(name=f"{name}_median", value=median(values), interval=(min(values), max(values)), unit="")]


def most(name: str, values: Sequence[float], bound: float) -> list[Figure]:
    """The most of all groups, promised."""
    return [at_most(f"{name}_most", max(values), (min(values), max(values)), "share", bound)] if values else []
