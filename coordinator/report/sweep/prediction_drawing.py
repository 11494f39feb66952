"""Predicted against measured for paper."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from coordinator.report import palette
from coordinator.report.figures import scale_axis
from coordinator.report.names import shorten
from coordinator.report.prediction_points import BANDS
from coordinator.report.sweep.drawing import Size, interval_bars, mark, thin_out
from coordinator.report.sweep.prediction_figure import PredictedPanel, by_condition, predicted_panels
from coordinator.report.sweep.series import SettingSeries
from coordinator.report.sweep.styles import style_of


def draw_prediction(setting: SettingSeries, size: Size) -> Figure | None:
    """Latency and throughput; None where nothing was both predicted and measured."""
    panels = predicted_panels(setting)
    if not panels:
        return None
    n_across = len(panels) if size.is_wide else 1
    n_down = -(-len(panels) // n_across)
    figure = Figure(figsize=(size.width, 0.9 + n_down * (2.7 if size.is_wide else 2.5)), layout="constrained")
    found = figure.subplots(n_down, n_across, squeeze=False).flatten()
    for axes, panel in zip(found, panels, strict=True):
        _draw_panel(axes, setting, panel)
    handles = [
        mark(style_of(number).marker, shorten(name, 22), 4, color=style_of(number).colour)
        for number, name, _ in by_condition(setting, panels[0].points)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if size.is_wide else 2, handlelength=1.2)
    return figure


def _draw_panel(axes: Axes, setting: SettingSeries, panel: PredictedPanel) -> None:
    scale = panel.scale
    ends = [scale.low, scale.high]
    for share in BANDS:
        below, above = ([end * factor for end in ends] for factor in (1 - share, 1 + share))
        axes.fill_between(ends, below, above, color=palette.GREEN, alpha=0.13, linewidth=0, zorder=1)
    axes.plot(ends, ends, color="#555555", linewidth=0.8, zorder=2)
    for number, _, points in by_condition(setting, panel.points):
        style = style_of(number)
        axes.errorbar(
            [one.measured.value for one in points],
            [one.predicted for one in points],
            xerr=interval_bars([one.measured for one in points]),
            color=style.colour,
            marker=style.marker,
            markersize=3.4,
            markeredgewidth=0,
            elinewidth=0.6,
            linestyle="none",
            zorder=3,
        )
    scale_axis(axes.xaxis, scale, f"{panel.quantity}, measured ({panel.unit})")
    scale_axis(axes.yaxis, scale, f"{panel.quantity}, predicted ({panel.unit})")
    thin_out(axes.xaxis, 7)
    thin_out(axes.yaxis, 7)
    axes.set_box_aspect(0.85)
