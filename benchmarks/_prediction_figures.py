"""Figures of the benchmark of predictions, from its points."""

from collections.abc import Sequence

from benchmarks._figures import Figure, at_least, at_most
from benchmarks._prediction_points import Figures, Point
from partitioner.accuracy import ErrorSummary, hypervolume_share, rank_agreement, regret, signed_error, summarise_errors

LEAST_TRANSFER_BYTES = 64 << 10
LIMIT, LIMIT_P90 = 0.05, 0.12
LEAST_TAU, MOST_REGRET, LEAST_HYPERVOLUME = 0.9, 0.03, 0.97
LEAST_SPLITS = 10


def figures_of(points: Sequence[Point]) -> list[Figure]:
    """Errors before and after measure-and-correct, the floor of the noise, order, regret and hypervolume."""
    figures = [Figure(name="prediction_points", value=len(points), interval=(len(points),) * 2, unit="plans")]
    for quantity in ("stage", "transfer", "latency", "throughput"):
        for source in ("after", "before", "noise"):
            summary = summarise_errors(errors(points, quantity, source))
            if summary is not None:
                figures += error_figures(quantity, source, summary)
    groups = {(point.model, point.condition): [] for point in points}
    for point in points:
        groups[point.model, point.condition].append(point)
    return figures + group_figures(list(groups.values()))


def errors(points: Sequence[Point], quantity: str, source: str) -> dict[str, float]:
    """Signed relative errors by plan; `noise`: of the first measurement as a prediction of the second."""
    found = {}
    for point in points:
        guess = point.measured if source == "noise" else getattr(point, source)
        truth = point.again if source == "noise" else point.measured
        if truth is None:
            continue
        name = f"{point.model}, {point.condition}, {point.plan}"
        if quantity == "stage":
            pairs = zip(guess.stages, truth.stages, strict=True)
            found |= {f"{name}, stage {i}": signed_error(a, b) for i, (a, b) in enumerate(pairs)}
        elif quantity != "transfer" or point.sent_bytes >= LEAST_TRANSFER_BYTES:
            found[name] = signed_error(getattr(guess, quantity), getattr(truth, quantity))
    return found


def error_figures(quantity: str, source: str, summary: ErrorSummary) -> list[Figure]:
    """Mean, 90th percentile and worst of absolute errors; only those after correction are promised."""
    name, span = f"prediction_{quantity}_{source}", (summary.median, summary.p90)
    if source != "after":
        return [
            Figure(name=f"{name}_mape", value=summary.mape, interval=span, unit="share"),
            Figure(name=f"{name}_p90", value=summary.p90, interval=(summary.p90,) * 2, unit="share"),
        ]
    worst = abs(summary.worst)
    figures = [
        at_most(f"{name}_median", summary.median, span, "share", LIMIT),
        at_most(f"{name}_mape", summary.mape, span, "share", LIMIT),
        Figure(name=f"{name}_worst ({summary.worst_name})", value=worst, interval=(worst, worst), unit="share"),
    ]
    if quantity in ("latency", "throughput"):
        figures.append(at_most(f"{name}_p90", summary.p90, (summary.p90,) * 2, "share", LIMIT_P90))
    return figures


def group_figures(groups: Sequence[Sequence[Point]]) -> list[Figure]:
    """Order, regret and hypervolume: the worst and the median over models and conditions."""
    series = [[point for point in group if point.is_split_series] for group in groups]
    series = [group for group in series if len(group) >= LEAST_SPLITS]
    figures = []
    for quantity in ("latency", "throughput"):
        figures += least(f"prediction_{quantity}_tau", [tau(group, quantity) for group in series], LEAST_TAU)
        figures += most(f"prediction_{quantity}_regret", [cost(group, quantity) for group in groups], MOST_REGRET)
    return figures + least("prediction_hypervolume", [hypervolume(group) for group in groups], LEAST_HYPERVOLUME)


def tau(group: Sequence[Point], quantity: str) -> float:
    """Kendall's tau-b of a series of splits."""
    found = rank_agreement(*columns(group, quantity)).tau
    return 0.0 if found is None else found


def cost(group: Sequence[Point], quantity: str) -> float:
    """Regret of the plan predicted best."""
    return regret(*columns(group, quantity), is_maximised=quantity == "throughput")


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


def most(name: str, values: Sequence[float], bound: float) -> list[Figure]:
    """The most of all groups, promised."""
    return [at_most(f"{name}_most", max(values), (min(values), max(values)), "share", bound)] if values else []
