"""Predicted over measured, every plan of the benchmark of predictions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks._prediction_figures import pairs
from benchmarks._prediction_points import Point
from coordinator.report import palette
from coordinator.report.axes import scale_for
from coordinator.report.figures import SCREEN_WIDTH, paper_style, save_drawing, scale_axis
from coordinator.report.prediction_points import BANDS

PANELS = (
    ("latency", "latency", "ms", 1e3),
    ("throughput", "throughput", "samples/s", 1.0),
    ("transfer", "transfers of a request", "ms", 1e3),
    ("stage", "computing of a stage", "ms", 1e3),
)
"""Quantity, its title, its unit, and how many units it has in a second."""
SOURCES = (
    ("before", "from the profile alone", "none", palette.GREY),
    ("after", "after measure-and-correct", palette.BLUE, palette.BLUE),
)
"""What predicts, its label, its filling and colour."""


def draw_points(points: Sequence[Point], path: Path) -> Path:
    """Draws what was predicted over what was measured; the suffix of `path` is the format. Returns `path`."""
    with paper_style():
        figure = Figure(figsize=(SCREEN_WIDTH, SCREEN_WIDTH + 0.3), layout="constrained")
        for axes, panel in zip(figure.subplots(2, 2).flatten(), PANELS, strict=True):
            _draw_panel(axes, points, panel)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
        return save_drawing(figure, path)


def _draw_panel(axes: Axes, points: Sequence[Point], panel: tuple[str, str, str, float]) -> None:
    quantity, title, unit, factor = panel
    shown = {source: [*pairs(points, quantity, source).values()] for source, *_ in SOURCES}
    scale = scale_for([value * factor for found in shown.values() for pair in found for value in pair])
    ends = [scale.low, scale.high]
    name = " and ".join(f"± {share * 100:g} %" for share in reversed(BANDS))
    for share in BANDS:
        below, above = ([end * one for end in ends] for one in (1 - share, 1 + share))
        label = name if share == BANDS[-1] else None
        axes.fill_between(ends, below, above, color=palette.GREEN, alpha=0.13, linewidth=0, label=label)
    axes.plot(ends, ends, color=palette.GREY, linewidth=0.9)
    for source, label, filling, colour in SOURCES:
        predicted, measured = (np.array(column) * factor for column in zip(*shown[source], strict=True))
        style = {"marker": "o", "markersize": 2.5, "linestyle": "none", "markeredgewidth": 0.6}
        axes.plot(measured, predicted, markerfacecolor=filling, markeredgecolor=colour, label=label, **style)  # type: ignore[arg-type]
    scale_axis(axes.xaxis, scale, f"{title}, measured ({unit})")
    scale_axis(axes.yaxis, scale, f"{title}, predicted ({unit})")
    axes.set_box_aspect(1)
