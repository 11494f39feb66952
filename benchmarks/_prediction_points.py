"""What is known of one plan under one condition: twice predicted, measured in several rounds."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from coordinator.loadgen import Record
from coordinator.statistics import Estimate, quantile_estimate
from partitioner.plan import CostEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one plan; seconds, samples per second."""

    latency: float
    throughput: float
    transfer: float
    """All of the latency that is not computing."""
    stages: tuple[float, ...]
    """Computing of each stage, one request in flight."""
    latency_ends: tuple[float, float]
    throughput_ends: tuple[float, float]
    """95 % intervals within the run; without width where predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One plan of a model under a condition."""

    model: str
    condition: str
    plan: str
    n_stages: int
    is_split_series: bool
    """One of the two-stage plans on the same two nodes, which differ in the split point only."""
    sent_bytes: int
    before: Figures
    """Predicted from the profile."""
    after: Figures
    """Predicted after measure-and-correct."""
    measured: Figures
    """Of all visits."""
    rounds: tuple[Figures, ...]
    """Measured in each round."""


def predicted_figures(cost: CostEstimate) -> Figures:
    """What a cost model says."""
    stages = tuple(stage.compute_seconds for stage in cost.stages)
    return Figures(
        latency=cost.latency_seconds,
        throughput=cost.throughput_per_second,
        transfer=cost.latency_seconds - sum(stages),
        stages=stages,
        latency_ends=(cost.latency_seconds,) * 2,
        throughput_ends=(cost.throughput_per_second,) * 2,
    )


def measured_figures(lone: Sequence[Record], rates: Sequence[Estimate]) -> Figures:
    """Medians of requests that ran one by one, and of samples per second with the window full."""
    latency = quantile_estimate([record.latency_seconds for record in lone], 0.5)
    stages = tuple(
        median(trace.compute_seconds for trace in traces)
        for traces in zip(*(record.trace for record in lone), strict=True)
    )
    return Figures(
        latency=latency.value,
        throughput=median(rate.value for rate in rates),
        transfer=latency.value - sum(stages),
        stages=stages,
        latency_ends=(latency.low, latency.high),
        throughput_ends=(median(rate.low for rate in rates), median(rate.high for rate in rates)),
    )


def median_figures(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure over several rounds of one plan."""

    def middles(rows: Iterable[Sequence[float]]) -> tuple[float, ...]:
        return tuple(map(median, zip(*rows, strict=True)))

    low, high = middles(one.latency_ends for one in rounds)
    least, most = middles(one.throughput_ends for one in rounds)
    return Figures(
        latency=median(one.latency for one in rounds),
        throughput=median(one.throughput for one in rounds),
        transfer=median(one.transfer for one in rounds),
        stages=middles(one.stages for one in rounds),
        latency_ends=(low, high),
        throughput_ends=(least, most),
    )


def write_points(points: Sequence[Point], path: Path) -> None:
    """A CSV with one row for each plan."""
    sources = ("before", "after", "measured", "first_round", "last_round")
    names = ("latency", "throughput", "transfer", "stages")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["model", "condition", "plan", "sent_bytes", *(f"{source}_{name}" for source in sources for name in names)]
        )
        for point in points:
            row: list[object] = [point.model, point.condition, point.plan, point.sent_bytes]
            for figures in (point.before, point.after, point.measured, point.rounds[0], point.rounds[-1]):
                row += [_text(getattr(figures, name)) for name in names]
            writer.writerow(row)


def _text(value: float | tuple[float, ...]) -> str:
    return " ".join(f"{part:.6g}" for part in (value if isinstance(value, tuple) else (value,)))
