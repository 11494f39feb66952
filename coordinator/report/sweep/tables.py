"""Tables of a sweep as values: the same for the page, CSV and LaTeX."""

from collections.abc import Sequence

from coordinator.measurement import Estimate
from coordinator.report import quantities
from coordinator.report.html_table import Cell, Column, Table, estimate, estimate_column, figure, words
from coordinator.report.names import printable
from coordinator.report.run import resource_label
from coordinator.report.sweep.judging import best_point
from coordinator.report.sweep.names import short_plan
from coordinator.report.sweep.series import ConditionSeries, PlanPoint, RegretTable, SettingSeries, SweepSeries
from coordinator.report.sweep.styles import network_words
from coordinator.report.text import error_text

DARKEST = 1.0
"""Regret from which a cell is as dark as can be."""
CERTAIN = 0.995
"""Front probability that is not told."""
_MISSING = Cell(text=quantities.UNKNOWN, raw=("", "", ""))
_MISSING_ONE = Cell(text=quantities.UNKNOWN, raw=("",))


def case_target(case_key: str) -> str:
    """Id of the raw samples of a case, in the page."""
    return f"case-{case_key}"


def conditions_table(setting: SettingSeries) -> Table:
    """Per condition: network, front, knee, and the best plan by each figure."""
    columns = (
        Column(head="condition", copied=("condition", "round trip (s)", "rate (B/s)")),
        Column(head="front"),
        Column(head="knee"),
        _best_column("least latency", "latency (ms)"),
        _best_column("most throughput", "throughput (/s)"),
        estimate_column("hypervolume"),
    )
    return Table(
        caption=(
            "What is best under each condition. In brackets, where noise leaves a doubt: the probability of being on "
            "the front. "
            "Hypervolume: share of the rectangle up to the worst figures that the front dominates."
        ),
        columns=columns,
        rows=tuple(_condition_row(condition) for condition in setting.conditions),
    )


def regret_page_table(found: RegretTable) -> Table:
    """What it costs to keep one plan: a row for each plan, a column for each condition."""
    heads = [Column(head=name, is_number=True) for name in found.conditions]
    columns = (
        Column(head="plan"),
        Column(head="worst", is_number=True),
        Column(head="mean", is_number=True),
        *heads,
    )
    kind = "latency above the least" if found.objective == "latency" else "time per sample above the least"
    caption = f"Regret in {found.objective}: {kind} of the condition."
    if found.minimax:
        caption += f" Least in the worst case: {found.minimax}, marked."
    return Table(
        caption=caption,
        columns=columns,
        rows=tuple(
            (words(row.plan), *(_regret_cell(value) for value in (row.worst, row.mean, *row.regrets)))
            for row in found.plans
        ),
        marked=frozenset(place for place, row in enumerate(found.plans) if row.plan == found.minimax),
    )


def cases_table(series: SweepSeries) -> Table:
    """Every case with its figures and what became of its runs."""
    columns = (
        Column(head="case"),
        Column(head="model", is_filter=True),
        Column(head="condition", is_filter=True),
        Column(head="plan", is_filter=True),
        Column(head="data plane", is_filter=True),
        Column(head="state", is_filter=True),
        Column(head="on the front", is_filter=True),
        Column(head="probability", is_number=True),
        estimate_column("latency (ms)"),
        Column(head="predicted (ms)", is_number=True),
        Column(head="error", is_number=True, copied=("latency error",)),
        estimate_column("throughput (/s)"),
        Column(head="predicted (/s)", is_number=True),
        Column(head="error", is_number=True, copied=("throughput error",)),
        Column(head="bottleneck", is_filter=True),
        Column(head="boundary", is_number=True, copied=("boundary (B)",)),
        Column(head="of the link's bound", is_number=True),
        Column(head="runs", is_number=True),
        Column(head="invalid", is_number=True),
        Column(head="failed", is_number=True),
        Column(head="batch", is_number=True, is_filter=True),
        Column(head="cluster", is_filter=True),
        Column(head="nodes", is_filter=True),
        Column(head="stages"),
    )
    pairs = series.cases
    return Table(
        caption=(
            "All cases. Small figures are 95 % intervals; an error is predicted minus measured, over measured. "
            "Bottleneck: what requests kept busy longest; where it is a link, the last share is the best run's "
            "throughput over what the rate asked for lets through."
        ),
        columns=columns,
        rows=tuple(_case_row(setting, point) for setting, point in pairs),
        name="cases",
        targets=tuple(case_target(point.case_key) for _, point in pairs),
        is_sortable=True,
    )


def _condition_row(condition: ConditionSeries) -> tuple[Cell, ...]:
    knee = next((point for point in condition.points if point.is_knee), None)
    fastest, busiest = best_point(condition, "latency"), best_point(condition, "throughput")
    network = (condition.round_trip_seconds, condition.bytes_per_second)
    return (
        Cell(
            text=printable(condition.name),
            raw=(printable(condition.name), *("" if value is None else repr(value) for value in network)),
            note=network_words(condition),
        ),
        words(", ".join(_front_member(point) for point in condition.front)),
        words(knee.plan if knee else quantities.UNKNOWN),
        _best_cell(fastest.plan, fastest.latency, 1e3, "ms") if fastest and fastest.latency else _best_cell(),
        _best_cell(busiest.plan, busiest.throughput, 1.0, "samples/s")
        if busiest and busiest.throughput
        else _best_cell(),
        estimate(condition.hypervolume) if condition.hypervolume else _MISSING,
    )


def _best_column(head: str, figure_head: str) -> Column:
    return Column(head=head, copied=(head, figure_head, f"{figure_head} low", f"{figure_head} high"))


def _best_cell(plan: str = "", found: Estimate | None = None, factor: float = 1.0, unit: str = "") -> Cell:
    """A plan, and small under it its figure."""
    if found is None:
        return Cell(text=quantities.UNKNOWN, raw=("", "", "", ""))
    number = estimate(found, factor)
    return Cell(
        text=plan, raw=(plan, *number.raw), note=f"{number.text} {unit}" + f" ({number.note})" * bool(number.note)
    )


def _front_member(point: PlanPoint) -> str:
    name = short_plan(point.plan)
    share = point.front_probability
    return name if share is None or share >= CERTAIN else f"{name} ({share:.2f})"


def _regret_cell(value: float | None) -> Cell:
    if value is None:
        return _MISSING_ONE
    text = "best" if value == 0 else quantities.percent(value)
    return Cell(text=text, raw=(repr(value),), shade=min(value / DARKEST, 1.0))


def _case_row(setting: SettingSeries, point: PlanPoint) -> tuple[Cell, ...]:
    own = setting.setting
    return (
        Cell(text="samples", raw=(point.case_key,)),
        words(own.model),
        words(point.condition),
        words(point.plan),
        words(own.data_plane),
        words(_state(point, is_predicted=setting.is_predicted)),
        words("yes" if point.is_on_front else "no" if point.is_whole else "not measured"),
        figure(point.front_probability, lambda value: f"{value:.2f}"),
        *_measured_cells(point.latency, point.predicted_latency_seconds, 1e3, is_predicted=setting.is_predicted),
        *_measured_cells(
            point.throughput, point.predicted_throughput_per_second, 1.0, is_predicted=setting.is_predicted
        ),
        *_bottleneck_cells(point),
        *(Cell(text=str(n), raw=(str(n),)) for n in _counts(point)),
        Cell(text=str(own.batch), raw=(str(own.batch),)),
        words(own.cluster),
        words(" + ".join(own.nodes)),
        words(point.stages),
    )


def _measured_cells(
    measured: Estimate | None, predicted: float | None, factor: float, *, is_predicted: bool
) -> Sequence[Cell]:
    """Measured, predicted, error."""
    if is_predicted:
        measured = None
    is_both = measured is not None and predicted is not None and measured.value > 0
    return (
        _MISSING if measured is None else estimate(measured, factor),
        figure(predicted, lambda value: quantities.number(value * factor), factor),
        Cell(
            text=error_text(predicted, measured.value),
            raw=(repr(predicted / measured.value - 1),),
        )
        if is_both and measured is not None and predicted is not None
        else _MISSING_ONE,
    )


def _bottleneck_cells(point: PlanPoint) -> tuple[Cell, ...]:
    """The resource, the largest boundary, and the share of what a link lets through."""
    found = point.bottleneck
    if found is None:
        return (_MISSING_ONE, _MISSING_ONE, _MISSING_ONE)
    return (
        words(resource_label(found.resource)),
        figure(found.boundary_bytes or None, quantities.n_bytes),
        figure(found.best_share, quantities.percent),
    )


def _counts(point: PlanPoint) -> tuple[int, int, int]:
    return point.n_runs("done"), point.n_runs("invalid"), point.n_runs("failed")


def _state(point: PlanPoint, *, is_predicted: bool) -> str:
    n_done, n_invalid, n_failed = _counts(point)
    if is_predicted:
        return "predicted"
    if not n_done:
        return "failed" if n_failed else "invalid" if n_invalid else "not yet run"
    parts = [word for n, word in ((n_invalid, "invalid"), (n_failed, "failed")) if n]
    return f"done, some {' and '.join(parts)}" if parts else "done"
