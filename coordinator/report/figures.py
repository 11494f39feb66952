"""Pictures for paper and slides, PNG, SVG and PDF. The door to matplotlib; not for several threads at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullFormatter, NullLocator

from coordinator.measurement import Estimate
from coordinator.report import palette, quantities
from coordinator.report.axes import AxisScale, byte_ticks, nice_ticks, scale_for
from coordinator.report.front_points import FrontPoints, MeasuredPoint, PredictedPoint, front_points, outside_text
from coordinator.report.names import shorten
from coordinator.report.order_points import OrderPoints, order_note, order_points, order_title
from coordinator.report.run import Run
from coordinator.report.unit_times import UnitTimes, own_units, unit_times
from partitioner.graph import Graph

SCREEN_WIDTH = 6.4
COLUMN_WIDTH = 3.5
"""Inches: a slide or page, and one column of a two-column paper."""
PNG_DOTS_PER_INCH = 200

_STYLE: Any = {  # matplotlib types each key, and not alike from version to version
    "axes.axisbelow": True,
    "axes.edgecolor": "#555555",
    "axes.grid": True,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 8,
    "font.family": "DejaVu Sans",
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # letters, which can be searched, not shapes
    "svg.fonttype": "none",
    "svg.hashsalt": "splitfront",
    "text.parse_math": False,  # a `$` in a name is no formula
}


def draw_front(run: Run, path: Path, width_inches: float = SCREEN_WIDTH) -> Path:
    """Draws the front, predicted and measured; the suffix of `path` is the format. Returns `path`."""
    points = front_points(run)
    with paper_style():
        figure = Figure(figsize=(width_inches, 1.9 + 0.36 * width_inches), layout="constrained")
        axes = figure.add_subplot()
        _draw_predicted(axes, points)
        _draw_measured(axes, points.measured, "o", palette.RED)
        _draw_measured(axes, points.measured_singles, "s", palette.PURPLE)
        _scale(axes, points)
        columns = 3 if width_inches > 5 else 2
        figure.legend(handles=_legend(points), loc="outside lower center", ncols=columns, handlelength=1.8)
        _footnote(axes, run)
        axes.text(0.99, 0.02, outside_text(points), ha="right", va="bottom", fontsize=7, transform=axes.transAxes)
        return save_drawing(figure, path)


def draw_profile(run: Run, path: Path, width_inches: float = SCREEN_WIDTH) -> Path:
    """Draws unit times of each profiled device over the bytes at each split point. Returns `path`."""
    times = unit_times(run.profile)
    with paper_style():
        figure = Figure(figsize=(width_inches, 1.3 * (len(times) + 1) + 0.3), layout="constrained")
        panels = figure.subplots(len(times) + 1, 1, sharex=True, squeeze=False)[:, 0]
        for panel, device in zip(panels, times, strict=False):
            _draw_units(panel, run, device)
        draw_boundaries(panels[-1], run.graph)
        for panel in panels:
            panel.grid(visible=False, axis="x")
            for stage in run.chosen.plan.stages[:-1]:
                panel.axvline(stage.stop - 0.5, color=palette.RED, linewidth=1.1, linestyle="--")
        panels[-1].set_xlabel("unit (dashed: split points of the chosen plan)")
        panels[-1].set_xlim(-1, run.graph.n_units)
        return save_drawing(figure, path)


def draw_order(graph: Graph, path: Path, width_inches: float = SCREEN_WIDTH) -> Path:
    """Draws bytes that cross and cumulative work along a network's order. Returns `path`."""
    points = order_points(graph)
    with paper_style():
        figure = Figure(figsize=(width_inches, 4.1 if points.flops else 2.7), layout="constrained")
        panels = figure.subplots(2 if points.flops else 1, 1, sharex=True, squeeze=False)[:, 0]
        _draw_crossing(panels[0], points)
        if points.flops:
            _draw_work(panels[1], points)
        panels[-1].set_xlabel("split point (units before it)")
        panels[-1].set_xlim(-1, graph.n_units + 1)
        figure.suptitle(order_title(graph, points), fontsize=9, fontweight="bold", x=0.01, ha="left")
        figure.supxlabel(order_note(points), fontsize=7, color="#777777", x=0.01, ha="left")
        return save_drawing(figure, path)


def _draw_crossing(panel: Axes, points: OrderPoints) -> None:
    sizes = points.boundary_bytes
    positive = [size for size in sizes if size] or [1]
    low, high = min(positive) / 2, max(positive) * 2
    panel.set_yscale("log")
    panel.set_ylim(low, high)
    kinds = ((True, palette.GREEN, "one tensor crosses"), (False, palette.YELLOW, "several cross"))
    for is_single, colour, label in kinds:
        positions = [i for i, size in enumerate(sizes) if size and points.is_single[i] == is_single]
        heights = [sizes[i] for i in positions]
        if not points.is_dense:
            panel.vlines(positions, low, heights, color=colour, linewidth=1.1, alpha=0.55)
        if positions:
            dot = 1.4 if points.is_dense else 3.4
            panel.plot(positions, heights, "o", color=colour, markersize=dot, markeredgewidth=0, label=label)
    label = f"input, {quantities.n_bytes(points.input_bytes)}"
    panel.axhline(points.input_bytes, color=palette.RED, linewidth=1.0, linestyle="--", label=label)
    ticks = byte_ticks(low, high)
    panel.yaxis.set_major_locator(FixedLocator([mark for mark, _ in ticks]))
    panel.yaxis.set_major_formatter(FixedFormatter([words for _, words in ticks]))
    panel.yaxis.set_minor_locator(NullLocator())
    panel.grid(visible=False, axis="x")
    panel.set_ylabel("bytes that cross")
    panel.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        ncols=3,
        handlelength=1.8,
        markerscale=2.4 if points.is_dense else 1.0,
    )


def _draw_work(panel: Axes, points: OrderPoints) -> None:
    positions, shares = range(len(points.work_share)), [share * 100 for share in points.work_share]
    panel.fill_between(positions, shares, color=palette.BLUE, alpha=0.18, linewidth=0)
    panel.plot(
        positions, shares, color=palette.BLUE, linewidth=1.3, marker="" if points.is_dense else "o", markersize=2.2
    )
    panel.set_ylim(0, 104)
    panel.set_ylabel("work before it (%)")


def _draw_predicted(axes: Axes, points: FrontPoints) -> None:
    _scatter(axes, points.dominated, marker=".", s=14, color=palette.GREY, alpha=0.45, linewidths=0, zorder=1)
    axes.step(
        [point.latency_seconds * 1e3 for point in points.front],
        [point.throughput_per_second for point in points.front],
        where="post",
        color=palette.BLUE,
        linewidth=1.3,
        marker="o",
        markersize=4.5,
        zorder=3,
    )
    _scatter(axes, points.singles, marker="s", s=34, facecolors="none", edgecolors=palette.PURPLE, zorder=4)
    for point in points.singles:
        axes.annotate(
            f"{shorten(point.plan.stages[0].device, 16)} alone",
            (point.latency_seconds * 1e3, point.throughput_per_second),
            xytext=(0, -7),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=7,
            annotation_clip=True,
        )
    if points.knee:
        _scatter(axes, (points.knee,), marker="D", s=95, facecolors="none", edgecolors=palette.GREEN, zorder=5)
    _scatter(axes, (points.chosen,), marker="*", s=105, color=palette.YELLOW, edgecolors="#222222", zorder=6)


def _scatter(axes: Axes, points: Sequence[PredictedPoint], **style: object) -> None:
    latencies = [point.latency_seconds * 1e3 for point in points]
    axes.scatter(latencies, [point.throughput_per_second for point in points], **style)  # type: ignore[arg-type]


def _draw_measured(axes: Axes, measured: Sequence[MeasuredPoint], marker: str, colour: str) -> None:
    for point in measured:
        latency, throughput = point.latency_seconds, point.throughput_per_second
        axes.plot(
            [point.predicted_latency_seconds * 1e3, latency.value * 1e3],
            [point.predicted_throughput_per_second, throughput.value],
            color=palette.GREY,
            linewidth=0.8,
            zorder=2,
        )
        axes.errorbar(
            latency.value * 1e3,
            throughput.value,
            xerr=interval_bar(latency, 1e3),
            yerr=interval_bar(throughput, 1.0),
            color=colour,
            marker=marker,
            markersize=4.2,
            elinewidth=0.9,
            capsize=1.8,
            zorder=7,
        )


def interval_bar(estimate: Estimate, factor: float) -> list[list[float]]:
    """Lengths of an error bar below and above, as matplotlib wants them: shape (2, 1)."""
    below, above = estimate.value - estimate.low, estimate.high - estimate.value
    return [[max(below, 0.0) * factor], [max(above, 0.0) * factor]]


def _scale(axes: Axes, points: FrontPoints) -> None:
    latency_scale = scale_for([value * 1e3 for value in points.main_latencies])
    scale_axis(axes.xaxis, latency_scale, "latency, unloaded (ms)")
    scale_axis(axes.yaxis, scale_for(points.main_throughputs), "throughput (samples/s)")


def scale_axis(axis: XAxis | YAxis, scale: AxisScale, label: str) -> None:
    """Gives an axis its view, its marks and its label."""
    if scale.is_logarithmic:
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.axes.set(**{f"{axis.axis_name}lim": (scale.low, scale.high)})
    if scale.is_logarithmic:
        axis.set_major_locator(FixedLocator(list(nice_ticks(scale))))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_label_text(label)


def _legend(points: FrontPoints) -> list[Line2D]:
    hollow = {"linestyle": "none", "markerfacecolor": "none"}
    entries = [
        (True, Line2D([], [], color=palette.BLUE, marker="o", markersize=4.5, label="front, predicted")),
        (bool(points.dominated), Line2D([], [], color=palette.GREY, marker=".", linestyle="none", label="dominated")),
        (True, _mark("*", "chosen", 9, markerfacecolor=palette.YELLOW, markeredgecolor="#222222", linestyle="none")),
        (points.knee is not None, _mark("D", "knee", 7, markeredgecolor=palette.GREEN, **hollow)),
        (bool(points.singles), _mark("s", "one device, predicted", 5.5, markeredgecolor=palette.PURPLE, **hollow)),
        (bool(points.measured), _mark("o", "measured, 95 %", 4.2, color=palette.RED)),
        (bool(points.measured_singles), _mark("s", "one device, measured", 4.2, color=palette.PURPLE)),
    ]
    return [handle for is_drawn, handle in entries if is_drawn]


def _mark(marker: str, label: str, size: float, **style: str) -> Line2D:
    return Line2D([], [], marker=marker, label=label, markersize=size, **style)  # type: ignore[arg-type]


def _draw_units(panel: Axes, run: Run, times: UnitTimes) -> None:
    own = own_units(run.chosen.plan, times.device)
    measured = [(unit, timing.seconds * 1e3) for unit, timing in enumerate(times.units) if timing is not None]
    bars = panel.bar([unit for unit, _ in measured], [value for _, value in measured], width=0.86, color=palette.BLUE)
    for bar, (unit, _) in zip(bars, measured, strict=True):
        bar.set_alpha(1.0 if unit in own else 0.35)
    title = shorten(times.device, 30) + (" (emulated)" if times.emulation else "")
    panel.set_title(title, loc="left", fontsize=8, fontweight="bold", pad=3)
    panel.set_ylabel("ms")


def draw_boundaries(panel: Axes, graph: Graph) -> None:
    """Draws the bytes at each split point into a panel whose axis counts units."""
    positions = range(graph.n_units + 1)
    colours = [palette.GREEN if len(graph.boundaries[position]) == 1 else palette.YELLOW for position in positions]
    sizes = [graph.boundary_bytes(position) / 2**20 for position in positions]
    panel.bar([position - 0.5 for position in positions], sizes, width=0.62, color=colours)
    panel.set_title("bytes that cross at each split point", loc="left", fontsize=8, fontweight="bold", pad=3)
    panel.set_ylabel("MiB")


def _footnote(axes: Axes, run: Run) -> None:
    """A picture that travels alone must still say that its machines are emulated."""
    if not run.emulation:
        return
    style = {"ha": "right", "va": "top", "fontsize": 6.5, "color": "#777777", "transform": axes.transAxes}
    axes.text(1.0, 1.05, "emulated devices or links", **style)  # type: ignore[arg-type]


_METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": quantities.UNKNOWN},
    ".svg": {"Date": None},
    ".pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}
"""What would otherwise tell when, and by which version, a file was written."""


@contextmanager
def paper_style() -> Iterator[None]:
    """The look of all drawings, while the context lasts."""
    with matplotlib.rc_context(_STYLE):
        yield


def save_drawing(figure: Figure, path: Path, dots_per_inch: int = PNG_DOTS_PER_INCH) -> Path:
    """Writes a drawing as PNG, SVG or PDF; equal ones give equal files. Returns `path`."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=dots_per_inch, metadata=_METADATA[path.suffix])
    return path
