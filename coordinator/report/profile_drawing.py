"""The profile as a picture for paper and slides: units with intervals, spans against sums of units, boundaries."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from coordinator.report import palette, quantities
from coordinator.report.axes import AxisScale, nice_ticks, scale_for
from coordinator.report.figures import SCREEN_WIDTH, draw_boundaries, paper_style, save_drawing
from coordinator.report.names import shorten
from coordinator.report.span_figure import COLOURS
from coordinator.report.span_points import KINDS, SpanPoint, span_points
from coordinator.report.unit_times import UnitTimes, unit_times
from partitioner.graph import Graph
from partitioner.profile import Profile

_PANEL_INCHES = 1.75


def draw_times(graph: Graph, profile: Profile, path: Path, width_inches: float = SCREEN_WIDTH * 1.4) -> Path:
    """Draws one row for each device over one of boundary bytes; the suffix of `path` is the format. Returns `path`.

    In a row: what each unit takes, with the 95 % interval of the median, and the longer spans against the sum of their
    units, where the line is what a sum of layers would say.
    """
    times = unit_times(profile)
    points = {device.device: span_points(device, profile.n_units) for device in profile.devices}
    with paper_style():
        height = _PANEL_INCHES * len(times) + 1.5
        figure = Figure(figsize=(width_inches, height), layout="constrained")
        rows = [_PANEL_INCHES] * len(times) + [1.2]
        grid = figure.add_gridspec(len(times) + 1, 2, width_ratios=[2.6, 1], height_ratios=rows)
        bottom = figure.add_subplot(grid[-1, 0])
        for row, device in enumerate(times):
            _draw_units(figure.add_subplot(grid[row, 0], sharex=bottom), device)
            _draw_spans(figure.add_subplot(grid[row, 1]), points[device.device], is_first=row == 0)
        draw_boundaries(bottom, graph)
        bottom.grid(visible=False, axis="x")
        bottom.set_xlabel("unit")
        bottom.set_xlim(-1, graph.n_units)
        title = f"{shorten(graph.name, 40)}, batch {profile.batch}: medians with 95 % intervals"
        figure.suptitle(title, fontsize=9, fontweight="bold", x=0.01, ha="left")
        return save_drawing(figure, path)


def _draw_units(panel: Axes, times: UnitTimes) -> None:
    found = [(unit, timing) for unit, timing in enumerate(times.units) if timing is not None]
    positions = [unit for unit, _ in found]
    medians = np.array([timing.seconds for _, timing in found]) * 1e3
    low = medians - np.array([timing.low_seconds for _, timing in found]) * 1e3
    high = np.array([timing.high_seconds for _, timing in found]) * 1e3 - medians
    cached = [timing.is_cached for _, timing in found]
    bars = panel.bar(positions, medians, width=0.86, color=palette.BLUE)
    for bar, is_cached in zip(bars, cached, strict=True):
        bar.set_alpha(0.5 if is_cached else 1.0)
    panel.errorbar(positions, medians, yerr=np.stack([low, high]), fmt="none", ecolor="#222222", elinewidth=0.7)
    panel.set_title(_title(times, n_cached=sum(cached)), loc="left", fontsize=8, fontweight="bold", pad=3)
    panel.set_ylabel("ms")
    panel.grid(visible=False, axis="x")
    panel.tick_params(labelbottom=False)


def _title(times: UnitTimes, *, n_cached: int) -> str:
    words = [shorten(times.device, 30) + (" (emulated)" if times.emulation else "")]
    if times.whole_seconds is not None:
        words.append(f"whole {quantities.seconds(times.whole_seconds)}")
    words.append(f"sum of units {quantities.seconds(times.sum_seconds)}")
    if n_cached:
        words.append(f"{n_cached} pale: known from earlier runs")
    return " · ".join(words)


def _draw_spans(panel: Axes, points: tuple[SpanPoint, ...], *, is_first: bool) -> None:
    values = [value * 1e3 for point in points for value in (point.sum_seconds, point.timing.seconds)]
    scale = scale_for(values)
    panel.plot([scale.low, scale.high], [scale.low, scale.high], color=palette.GREY, linewidth=1, linestyle="--")
    for kind in KINDS:
        chosen = [point for point in points if point.kind == kind]
        if chosen:
            _draw_kind(panel, chosen, kind)
    _scale(panel, scale)
    panel.set_ylabel("in one piece (ms)")
    panel.set_xlabel("sum of units (ms)")
    if is_first and points:
        panel.legend(loc="upper left", handlelength=1.0, borderaxespad=0.1, fontsize=6.5)


def _draw_kind(panel: Axes, points: Sequence[SpanPoint], kind: str) -> None:
    sums = [point.sum_seconds * 1e3 for point in points]
    medians = np.array([point.timing.seconds for point in points]) * 1e3
    low = medians - np.array([point.timing.low_seconds for point in points]) * 1e3
    high = np.array([point.timing.high_seconds for point in points]) * 1e3 - medians
    style = {"color": COLOURS[kind], "markersize": 3.4, "elinewidth": 0.8, "label": kind}
    panel.errorbar(sums, medians, yerr=np.stack([low, high]), fmt="o", **style)  # type: ignore[arg-type]


def _scale(panel: Axes, scale: AxisScale) -> None:
    """Both axes alike, so that the line of the sum is a diagonal."""
    if scale.is_logarithmic:
        panel.set_xscale("log")
        panel.set_yscale("log")
    panel.set_xlim(scale.low, scale.high)
    panel.set_ylim(scale.low, scale.high)
    for axis in (panel.xaxis, panel.yaxis):
        if scale.is_logarithmic:
            axis.set_major_locator(FixedLocator(list(nice_ticks(scale))))
            axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
