"""Predicted against measured for paper and slides."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from coordinator.measurement import Measurement
from coordinator.report import palette
from coordinator.report.figures import SCREEN_WIDTH, interval_bar, paper_style, save_drawing, scale_axis
from coordinator.report.prediction_points import BANDS, PredictionMark, PredictionPanel, has_paced, panels

_KINDS = ((False, "o", palette.BLUE), (True, "s", palette.PURPLE))
"""Whether it is paced, marker, colour."""


def draw_prediction(measurement: Measurement, path: Path, width_inches: float = SCREEN_WIDTH) -> Path:
    """Draws latency and throughput, predicted over measured; the suffix of `path` is the format. Returns `path`."""
    shown = panels(measurement)
    is_wide = width_inches > 5
    with paper_style():
        height = 1.05 + 0.41 * width_inches if is_wide else 1.2 + 1.75 * width_inches
        figure = Figure(figsize=(width_inches, height), layout="constrained")
        found = figure.subplots(1 if is_wide else 2, 2 if is_wide else 1, squeeze=False).flatten()
        for axes, panel in zip(found, shown, strict=True):
            _draw_panel(axes, panel)
        figure.legend(
            handles=_legend(shown[0]), loc="outside lower center", ncols=3 if is_wide else 2, handlelength=1.8
        )
        if has_paced(shown[0].marks):
            note = "emulated devices: agreement of their stages proves nothing"
            figure.suptitle(note, fontsize=6.5, color="#777777", x=0.99, ha="right")
        return save_drawing(figure, path)


def _draw_panel(axes: Axes, panel: PredictionPanel) -> None:
    scale = panel.scale
    ends = [scale.low, scale.high]
    for share in BANDS:
        below, above = ([end * factor for end in ends] for factor in (1 - share, 1 + share))
        axes.fill_between(ends, below, above, color=palette.GREEN, alpha=0.13, linewidth=0, zorder=1)
    axes.plot(ends, ends, color=palette.GREY, linewidth=0.9, zorder=2)
    for mark in panel.marks:
        _draw_mark(axes, mark)
    scale_axis(axes.xaxis, scale, f"{panel.quantity}, measured ({panel.unit})")
    scale_axis(axes.yaxis, scale, f"{panel.quantity}, predicted ({panel.unit})")
    axes.set_box_aspect(1)


def _draw_mark(axes: Axes, mark: PredictionMark) -> None:
    _, marker, colour = _KINDS[mark.plan.is_paced]
    size = 7.5 if mark.is_chosen else 4.5
    x = mark.measured.value
    bar = {"xerr": interval_bar(mark.measured, 1.0), "elinewidth": 0.8, "capsize": 1.6, "ecolor": colour}
    style = {"marker": marker, "markersize": size, "markeredgecolor": colour, "linestyle": "none"}
    axes.errorbar(x, mark.predicted, markerfacecolor="none", zorder=4, **bar, **style)  # type: ignore[arg-type]
    if mark.corrected is not None:
        axes.plot([x, x], [mark.predicted, mark.corrected], color=palette.GREY, linewidth=0.7, linestyle=":", zorder=3)
        axes.errorbar(x, mark.corrected, markerfacecolor=colour, zorder=5, **bar, **style)  # type: ignore[arg-type]


def _legend(panel: PredictionPanel) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=palette.GREY, linewidth=0.9, label="predicted = measured"),
        Patch(color=palette.GREEN, alpha=0.2, label=f"± {BANDS[1] * 100:g} % and ± {BANDS[0] * 100:g} %"),
    ]
    for is_paced, marker, colour in _KINDS:
        marks = [mark for mark in panel.marks if mark.plan.is_paced == is_paced]
        note = ", emulated" if is_paced else ""
        style = {"marker": marker, "markersize": 4.5, "linestyle": "none", "markeredgecolor": colour}
        if marks:
            label = f"predicted before{note}"
            handles.append(Line2D([], [], markerfacecolor="none", label=label, **style))  # type: ignore[arg-type]
        if any(mark.corrected is not None for mark in marks):
            label = f"corrected by other plans{note}"
            handles.append(Line2D([], [], markerfacecolor=colour, label=label, **style))  # type: ignore[arg-type]
    return handles
