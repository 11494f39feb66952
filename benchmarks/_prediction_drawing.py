"""Predicted over measured, every plan of the benchmark of predictions."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks._prediction_figures import pairs
from benchmarks._prediction_points import Point
from coordinator.report import palette
from coordinator.report.figures import SCREEN_WIDTH, paper_style, save_drawing

PANELS = (
    ("latency", "latency (ms)", 1e3),
    ("throughput", "throughput (samples/s)", 1.0),
    ("transfer", "transfers of a request (ms)", 1e3),
    ("stage", "computing of a stage (ms)", 1e3),
)
BANDS = (0.12, 0.05)
SOURCES = (("before", "from the profile alone", palette.GREY), ("after", "after measure-and-correct", palette.BLUE))


def draw_points(points: Sequence[Point], path: Path) -> Path:
    """Draws what was predicted over what was measured; the suffix of `path` is the format. Returns `path`."""
    with paper_style():
        figure = Figure(figsize=(SCREEN_WIDTH, SCREEN_WIDTH + 0.5), layout="constrained")
        for axes, (quantity, title, unit) in zip(figure.subplots(2, 2).flatten(), PANELS, strict=True):
            _draw_panel(axes, points, quantity, unit)
            axes.set_title(title)
        figure.supxlabel("measured")
        figure.supylabel("predicted")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
        return save_drawing(figure, path)


def _draw_panel(axes: Axes, points: Sequence[Point], quantity: str, unit: float) -> None:
    shown = {source: pairs(points, quantity, source).values() for source, _, _ in SOURCES}
    values = [value * unit for found in shown.values() for pair in found for value in pair]
    ends = [min(values) / 1.1, max(values) * 1.1]
    for share in BANDS:
        below, above = ([end * factor for end in ends] for factor in (1 - share, 1 + share))
        axes.fill_between(ends, below, above, color=palette.GREEN, alpha=0.13, linewidth=0, label=f"± {share:.0%}")
    axes.plot(ends, ends, color=palette.GREY, linewidth=0.9)
    for source, label, colour in SOURCES:
        predicted, measured = zip(*shown[source], strict=True)
        axes.plot(
            [value * unit for value in measured],
            [value * unit for value in predicted],
            marker="o",
            markersize=2.5,
            linestyle="none",
            markerfacecolor="none" if source == "before" else colour,
            markeredgecolor=colour,
            markeredgewidth=0.6,
            label=label,
        )
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    axes.set_box_aspect(1)
