"""The few figures that stand at the top."""

from dataclasses import dataclass

from coordinator.report import quantities
from coordinator.report.comparison import Comparison, latency_comparison, throughput_comparison
from coordinator.report.names import printable
from coordinator.report.run import Run
from coordinator.report.text import error_text

ENOUGH_FOR_P99 = 1000
"""Samples below which a 99th percentile is no headline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigure:
    """One figure, its name, and one line that says how far to trust it."""

    name: str
    value: str
    note: str


def key_figures(run: Run) -> tuple[KeyFigure, ...]:
    """Latency, throughput, speed-up, and, where it was measured, how wrong prediction and outputs are."""
    speed_up = _speed_up(throughput_comparison(run), latency_comparison(run), is_split=run.chosen.plan.is_split)
    if run.measurement is None:
        cost = run.chosen.cost
        return (
            KeyFigure(name="latency", value=quantities.seconds(cost.latency_seconds), note="predicted, not measured"),
            KeyFigure(name="throughput", value=quantities.rate(cost.throughput_per_second), note="predicted"),
            speed_up,
        )
    return (*_measured(run), speed_up, *_trust(run))


def _measured(run: Run) -> tuple[KeyFigure, ...]:
    if run.measurement is None:
        return ()
    latency, throughput = run.measurement.latency_seconds, run.measurement.throughput_per_second
    name, tail = ("p99", latency.p99) if latency.n_samples >= ENOUGH_FOR_P99 else ("p90", latency.p90)
    return (
        KeyFigure(
            name="latency, median",
            value=quantities.seconds(latency.p50.value),
            note=f"{quantities.interval(latency.p50, quantities.seconds)}; {name} {quantities.seconds(tail.value)}, "
            f"n = {latency.n_samples:,}",
        ),
        KeyFigure(
            name="throughput",
            value=quantities.rate(throughput.value),
            note=f"{quantities.interval(throughput)} /s, window {run.measurement.window}",
        ),
    )


def _speed_up(throughput: Comparison | None, latency: Comparison | None, *, is_split: bool) -> KeyFigure:
    if not is_split:
        return KeyFigure(name="split", value="none", note="one device holds the whole model")
    if throughput is None or latency is None:
        return KeyFigure(name="speed-up", value=quantities.UNKNOWN, note="no single device to compare with")
    source = f"{quantities.interval(throughput.times)}; " if throughput.is_measured else "predicted; "
    return KeyFigure(
        name="speed-up in throughput",
        value=quantities.ratio(throughput.times.value),
        note=f"{source}over {printable(throughput.device)} alone; latency {quantities.ratio(latency.times.value)}",
    )


def _trust(run: Run) -> tuple[KeyFigure, ...]:
    measured = run.measurement
    if measured is None:
        return ()
    latency, throughput = measured.latency_seconds.p50.value, measured.throughput_per_second.value
    return (
        KeyFigure(
            name="prediction error",
            value=error_text(measured.predicted.latency_seconds, latency),
            note=f"of the latency; throughput {error_text(measured.predicted.throughput_per_second, throughput)}",
        ),
        KeyFigure(
            name="output error, largest",
            value=quantities.relative_error(measured.max_relative_error),
            note=f"relative to the whole model, {measured.n_requests:,} requests, {measured.n_errors:,} failed",
        ),
    )
