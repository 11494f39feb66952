"""Predicted against measured: every plan under every condition beside the line of identity."""

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.measurement import Estimate
from coordinator.report import quantities
from coordinator.report.axes import AxisScale, scale_for
from coordinator.report.figure import Figure, Json, error_bars, legend_below, scaled_axis
from coordinator.report.names import plot_text
from coordinator.report.prediction_figure import band, identity
from coordinator.report.prediction_points import BANDS
from coordinator.report.sweep.hover import plan_hover
from coordinator.report.sweep.series import PlanPoint, SettingSeries
from coordinator.report.sweep.styles import style_of
from coordinator.statistics import scaled
from partitioner.accuracy import signed_error, summarise_errors


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedPoint:
    """A plan under a condition that was both predicted and measured, in the unit of its panel."""

    point: PlanPoint
    measured: Estimate
    predicted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedPanel:
    """One quantity of all of them."""

    quantity: str
    unit: str
    points: tuple[PredictedPoint, ...]

    @property
    def scale(self) -> AxisScale:
        """Of both axes, so that the line of identity is their diagonal."""
        ends = [end for one in self.points for end in (one.measured.low, one.measured.value, one.measured.high)]
        return scale_for([value for value in (*ends, *(one.predicted for one in self.points)) if value > 0])


def predicted_panels(setting: SettingSeries) -> tuple[PredictedPanel, ...]:
    """Latency in ms and throughput per second; empty where nothing was both predicted and measured."""
    if setting.is_predicted:
        return ()
    latency = tuple(
        PredictedPoint(
            point=point, measured=scaled(point.latency, 1e3), predicted=point.predicted_latency_seconds * 1e3
        )
        for point in setting.points
        if point.latency and point.predicted_latency_seconds
    )
    throughput = tuple(
        PredictedPoint(point=point, measured=point.throughput, predicted=point.predicted_throughput_per_second)
        for point in setting.points
        if point.throughput and point.predicted_throughput_per_second
    )
    panels = (
        PredictedPanel(quantity="latency", unit="ms", points=latency),
        PredictedPanel(quantity="throughput", unit="samples/s", points=throughput),
    )
    return tuple(panel for panel in panels if panel.points)


def prediction_figure(setting: SettingSeries) -> Figure | None:
    """Both quantities side by side; None where nothing was both predicted and measured."""
    panels = predicted_panels(setting)
    if not panels:
        return None
    traces = [
        trace for place, panel in enumerate(panels) for trace in _panel(setting, panel, str(place + 1) if place else "")
    ]
    return Figure(
        name="prediction",
        caption=" ".join([accuracy_words(panel) for panel in panels])
        + " On the line a prediction came true; the bands are 5 % and 10 % wide on each side, bars are 95 % intervals.",
        traces=tuple(traces),
        layout=_layout(panels),
        height=540,
    )


def accuracy_words(panel: PredictedPanel) -> str:
    """How wrong the predictions are."""
    summary = summarise_errors(
        {f"{place}": signed_error(one.predicted, one.measured.value) for place, one in enumerate(panel.points)}
    )
    if summary is None:
        return ""
    return (
        f"The {panel.quantity} of {summary.n:,} cases was predicted with a mean error of "
        f"{quantities.percent(summary.mape)} (90 % of them within {quantities.percent(summary.p90)})."
    )


def by_condition(
    setting: SettingSeries, points: Sequence[PredictedPoint]
) -> list[tuple[int, str, list[PredictedPoint]]]:
    """(number, name, points) of each condition that has some."""
    found = []
    for number, condition in enumerate(setting.conditions):
        own = [one for one in points if one.point.condition == condition.name]
        if own:
            found.append((number, condition.name, own))
    return found


def _panel(setting: SettingSeries, panel: PredictedPanel, number: str) -> list[Json]:
    axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
    found: list[Json] = [*(band(panel.scale, share, axes) for share in BANDS), identity(panel.scale, axes)]
    for index, name, points in by_condition(setting, panel.points):
        style = style_of(index)
        found.append(
            {
                "type": "scatter",
                "name": plot_text(name, 30),
                "legendgroup": plot_text(name, 30),
                "mode": "markers",
                "x": [one.measured.value for one in points],
                "y": [one.predicted for one in points],
                "error_x": {
                    **error_bars([one.measured for one in points], 1.0, style.colour),
                    "thickness": 1,
                    "width": 0,
                },
                "marker": {"symbol": f"{style.plotly_symbol}", "size": 8, "color": style.colour, "opacity": 0.85},
                "customdata": [one.point.case_key for one in points],
                "hovertext": [plan_hover(one.point, is_predicted=False) for one in points],
                "hoverinfo": "text",
                **axes,
            }
        )
    return [{**trace, "showlegend": False} for trace in found] if number else found


def _layout(panels: Sequence[PredictedPanel]) -> Json:
    axes: dict[str, object] = {}
    for place, panel in enumerate(panels):
        number = str(place + 1) if place else ""
        domain = [0.0, 0.455] if place == 0 else [0.545, 1.0]
        title = f"{panel.quantity}, {{}} ({panel.unit})"
        axes[f"xaxis{number}"] = scaled_axis(title.format("measured"), panel.scale, domain=domain, anchor=f"y{number}")
        axes[f"yaxis{number}"] = scaled_axis(title.format("predicted"), panel.scale, anchor=f"x{number}")
    return {
        **axes,
        "legend": legend_below(0.17),
        "hovermode": "closest",
        "margin": {"l": 60, "r": 16, "t": 16, "b": 60},
    }
