"""Fronts for paper: condition by condition, and all in one."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from coordinator.report import palette
from coordinator.report.axes import AxisScale
from coordinator.report.figures import scale_axis
from coordinator.report.names import shorten
from coordinator.report.sweep.drawing import POINTS_PER_INCH, Size, interval_bars, mark, thin_out
from coordinator.report.sweep.front_figure import NAMES, named_sides, panel_scales, scales
from coordinator.report.sweep.labels import Canvas, offset, upright_and_across
from coordinator.report.sweep.names import short_plan
from coordinator.report.sweep.series import ConditionSeries, PlanPoint, SettingSeries
from coordinator.report.sweep.styles import MOST_PANELS, evenly, front_state, style_of
from coordinator.statistics import scaled

X_LABEL, Y_LABEL = "latency (ms)", "throughput (/s)"
PANEL_HEIGHT = 1.3
"""Inches."""
_LINES = ("-", "--", "-.", ":")
_STYLES: dict[str, dict[str, object]] = {
    "beaten": {"color": "#8a8a8a", "markersize": 2.6, "markeredgewidth": 0},
    "sure": {"color": palette.BLUE, "markersize": 4.4, "markeredgewidth": 0},
    "unsure": {"color": palette.BLUE, "markersize": 4.4, "markerfacecolor": "white", "markeredgewidth": 1.1},
}


def draw_fronts(setting: SettingSeries, size: Size) -> Figure:
    """Small multiples, with the same axes where that shows them."""
    conditions = evenly(setting.conditions, MOST_PANELS if size.is_wide else MOST_PANELS // 2)
    n_columns = min(3 if size.is_wide else 2, len(conditions))
    n_rows = -(-len(conditions) // n_columns)
    figure = Figure(figsize=(size.width, 0.95 + PANEL_HEIGHT * n_rows), layout="constrained")
    views = panel_scales(conditions)
    is_shared = len(set(views)) < 2
    panels = figure.subplots(n_rows, n_columns, sharex=is_shared, sharey=is_shared, squeeze=False).flatten()
    width = (size.width - 0.6) / n_columns * POINTS_PER_INCH
    for panel, condition, (x_scale, y_scale) in zip(panels, conditions, views, strict=False):
        canvas = Canvas(width=width, height=64, letter=size.letter - 1, x_scale=x_scale, y_scale=y_scale)
        _draw_panel(panel, setting, condition, canvas)
        _name_axes(figure, panel, x_scale, y_scale)
    for panel in panels[len(conditions) :]:
        panel.set_visible(False)
    for panel in panels:
        thin_out(panel.xaxis, 4)
    figure.legend(
        handles=_legend(setting), loc="outside upper center", ncols=3 if size.is_wide else 2, handlelength=1.2
    )
    return figure


def draw_overlay(setting: SettingSeries, size: Size) -> Figure:
    """The fronts of all conditions in one picture, told apart by marker, line and colour."""
    conditions = evenly(setting.conditions, 8)
    figure = Figure(figsize=(size.width, 0.75 + 0.42 * size.width), layout="constrained")
    panel = figure.subplots()
    ends = [point for condition in conditions for point in condition.front]
    x_scale, y_scale = scales(ends)
    for number, condition in enumerate(conditions):
        style, front = style_of(number), condition.front
        panel.step(
            [point.latency.value * 1e3 for point in front if point.latency],
            [point.throughput.value for point in front if point.throughput],
            where="post",
            color=style.colour,
            linestyle=_LINES[number % len(_LINES)],
            linewidth=1.1,
            marker=style.marker,
            markersize=4,
            label=shorten(condition.name, 24),
        )
    _name_axes(figure, panel, x_scale, y_scale)
    figure.legend(loc="outside upper center", ncols=3 if size.is_wide else 2, handlelength=2.2)
    return figure


def _name_axes(figure: Figure, panel: Axes, x_scale: AxisScale, y_scale: AxisScale) -> None:
    scale_axis(panel.xaxis, x_scale, "")
    scale_axis(panel.yaxis, y_scale, "")
    figure.supxlabel(X_LABEL, fontsize="medium")
    figure.supylabel(Y_LABEL, fontsize="medium")


def _draw_panel(panel: Axes, setting: SettingSeries, condition: ConditionSeries, canvas: Canvas) -> None:
    whole = [point for point in condition.points if point.is_whole]
    front = condition.front
    panel.step(
        [point.latency.value * 1e3 for point in front if point.latency],
        [point.throughput.value for point in front if point.throughput],
        where="post",
        color=palette.BLUE,
        linewidth=1.0,
        zorder=2,
    )
    for state, style in _STYLES.items():
        for is_split in (True, False):
            points = [point for point in whole if front_state(point) == state and point.is_split == is_split]
            _draw_points(panel, points, "o" if is_split else "s", style)
    for point in whole:
        if point.is_knee:
            _ring(panel, point, marker="D", size=8, colour=palette.GREEN)
        if point.plan == setting.recommendation.plan:
            _ring(panel, point, marker="*", size=8, colour="#222222", fill=palette.YELLOW)
    named = sorted((point for point in whole if front_state(point) != "beaten"), key=lambda point: not point.is_knee)
    others = [point for point in whole if front_state(point) == "beaten"]
    for point, side in zip(named, named_sides(canvas, named, others), strict=True):
        if side:
            _name(panel, point, side, canvas.letter)
    panel.set_title(shorten(condition.name, 26), loc="left", fontsize="medium", fontweight="bold", pad=2)


def _draw_points(panel: Axes, points: Sequence[PlanPoint], marker: str, style: Mapping[str, object]) -> None:
    latencies = [scaled(point.latency, 1e3) for point in points if point.latency]
    throughputs = [point.throughput for point in points if point.throughput]
    if points:
        panel.errorbar(
            [figure.value for figure in latencies],
            [figure.value for figure in throughputs],
            xerr=interval_bars(latencies),
            yerr=interval_bars(throughputs),
            marker=marker,
            elinewidth=0.6,
            linestyle="none",
            zorder=3,
            **style,  # type: ignore[arg-type]
        )


def _ring(panel: Axes, point: PlanPoint, *, marker: str, size: float, colour: str, fill: str = "none") -> None:
    if point.latency and point.throughput:
        panel.plot(
            point.latency.value * 1e3,
            point.throughput.value,
            marker=marker,
            markersize=size,
            markerfacecolor=fill,
            markeredgecolor=colour,
            markeredgewidth=1.0 if fill == "none" else 0.6,
            zorder=4,
        )


def _name(panel: Axes, point: PlanPoint, side: str, letter: float) -> None:
    upright, across = upright_and_across(side)
    if point.latency and point.throughput:
        panel.annotate(
            short_plan(point.plan, 12),
            (point.latency.value * 1e3, point.throughput.value),
            xytext=offset(upright, across, 4),
            textcoords="offset points",
            ha=across,
            va=upright,
            fontsize=letter,
        )


def _legend(setting: SettingSeries) -> list[Line2D]:
    states = {front_state(point) for point in setting.points if point.is_whole}
    entries = [
        mark("o", NAMES[state].replace(" (probability 0.1 – 0.9)", ""), 4.4, **_style_of(state))
        for state in ("sure", "unsure", "beaten")
        if state in states
    ]
    entries += [mark("s", "does not split", 4.4, markerfacecolor="none", markeredgecolor="#8a8a8a")]
    entries += [mark("D", "knee", 6, markerfacecolor="none", markeredgecolor=palette.GREEN)]
    if setting.recommendation.plan:
        label = "one plan for all conditions"
        entries += [mark("*", label, 7, markerfacecolor=palette.YELLOW, markeredgecolor="#222222", markeredgewidth=0.6)]
    return entries


def _style_of(state: str) -> dict[str, object]:
    return {name: value for name, value in _STYLES[state].items() if name != "markersize"}
