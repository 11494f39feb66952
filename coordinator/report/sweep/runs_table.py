"""The table of all attempts, for spreadsheets."""

from coordinator.report.html_table import Cell, Column, Table, figure, words
from coordinator.report.sweep.series import PlanPoint, RunPoint, SettingSeries, SweepSeries
from coordinator.results.values import LinkFound

_HEADS = (
    *("case", "model", "cluster", "condition", "plan", "batch", "data plane", "repeat", "attempt", "position"),
    *("state", "reason", "began at", "latency (s)", "throughput (/s)", "loaded latency (s)"),
    *("bottleneck", "boundary (B)", "link's bound (/s)"),
    *("round trip found (s)", "round trip asked (s)", "rate found (B/s)", "rate asked (B/s)", "samples"),
)


def runs_table(series: SweepSeries) -> Table:
    """Every attempt, with how it ended and what its slowest link was found to be."""
    return Table(
        caption="All attempts.",
        columns=tuple(Column(head=head) for head in _HEADS),
        rows=tuple(_row(setting, point, run) for setting, point in series.cases for run in point.runs),
    )


def _row(setting: SettingSeries, point: PlanPoint, run: RunPoint) -> tuple[Cell, ...]:
    own, slow, thin, held = setting.setting, _slowest(run.links), _thinnest(run.links), run.bottleneck
    return (
        *map(words, (point.case_key, own.model, own.cluster, point.condition, point.plan, str(own.batch))),
        *map(words, (own.data_plane, str(run.repeat), str(run.attempt), str(run.position), run.state, run.reason)),
        words(run.began_at),
        figure(run.latency_seconds),
        figure(run.throughput_per_second),
        figure(run.figures.get("loaded_latency_seconds")),
        words(held.resource if held else ""),
        figure(held.boundary_bytes if held else None),
        figure(held.bytes_bound if held else None),
        figure(slow.round_trip_seconds if slow else None),
        figure(slow.asked_round_trip_seconds if slow else None),
        figure(thin.bytes_per_second if thin else None),
        figure(thin.asked_bytes_per_second if thin else None),
        words(str(len(run.samples))),
    )


def _slowest(links: tuple[LinkFound, ...]) -> LinkFound | None:
    told = [link for link in links if link.round_trip_seconds is not None]
    return max(told, key=lambda link: link.round_trip_seconds or 0.0, default=None)


def _thinnest(links: tuple[LinkFound, ...]) -> LinkFound | None:
    told = [link for link in links if link.bytes_per_second is not None]
    return min(told, key=lambda link: link.bytes_per_second or 0.0, default=None)
