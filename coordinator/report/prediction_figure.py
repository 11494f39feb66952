"""Predicted against measured: every plan beside the line of identity."""

from collections.abc import Sequence

from coordinator.measurement import Measurement
from coordinator.report import palette, quantities
from coordinator.report.axes import AxisScale
from coordinator.report.figure import Figure, Json, error_bars, legend_below, lines, scaled_axis
from coordinator.report.names import plot_text
from coordinator.report.prediction_points import BANDS, PredictionMark, PredictionPanel, panels
from coordinator.report.prediction_text import accuracy_sentences
from coordinator.report.text import describe_plan, error_text

AFTER = "corrected by the other plans"
BEFORE = "predicted before"
KINDS = ((False, "circle", palette.BLUE, ""), (True, "square", palette.PURPLE, ", emulated device"))
"""Whether it is paced, symbol, colour, and what the legend adds."""


def prediction_figure(measurement: Measurement) -> Figure:
    """Latency and throughput side by side, measured to the right and predicted upwards."""
    shown = panels(measurement)
    traces = [trace for place, panel in enumerate(shown) for trace in _panel(panel, str(place + 1) if place else "")]
    return Figure(
        name="prediction",
        caption=" ".join([*accuracy_sentences(measurement), _reading(measurement)]),
        traces=tuple(traces),
        layout=_layout(shown),
        height=520,
    )


def _reading(measurement: Measurement) -> str:
    text = (
        "On the line a prediction came true; the bands are 5 % and 10 % wide on each side, bars are 95 % intervals, "
        "the large mark is the chosen plan."
    )
    if any(plan.corrected for plan in measurement.plans):
        text += (
            " Hollow marks are predictions made before, filled ones after live stage times of the other plans "
            "corrected the model."
        )
    return text


def _panel(panel: PredictionPanel, number: str) -> list[Json]:
    axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
    found: list[Json] = [band(panel.scale, share, axes) for share in BANDS]
    found.append(identity(panel.scale, axes))
    for is_paced, symbol, colour, note in KINDS:
        marks = [mark for mark in panel.marks if mark.plan.is_paced == is_paced]
        after = [mark for mark in marks if mark.corrected is not None]
        if not marks:
            continue
        found += [
            {**_joins(after), **axes},
            {**_marks(panel, marks, f"{BEFORE}{note}", f"{symbol}-open", colour, is_after=False), **axes},
        ]
        if after:
            found.append({**_marks(panel, after, f"{AFTER}{note}", symbol, colour, is_after=True), **axes})
    if number:
        found = [{**trace, "showlegend": False} for trace in found]
    return found


def band(scale: AxisScale, share: float, axes: Json) -> Json:
    """The band within which predictions are wrong by up to `share`."""
    low, high = scale.low, scale.high
    return {
        "type": "scatter",
        "name": " and ".join(f"± {one * 100:g} %" for one in reversed(BANDS)),
        "showlegend": share == BANDS[-1],
        "mode": "lines",
        "x": [low, high, high, low],
        "y": [low * (1 - share), high * (1 - share), high * (1 + share), low * (1 + share)],
        "fill": "toself",
        "fillcolor": palette.faded(palette.GREEN, 0.14),
        "line": {"width": 0},
        "hoverinfo": "skip",
        **axes,
    }


def identity(scale: AxisScale, axes: Json) -> Json:
    """The line on which predictions come true."""
    return {
        "type": "scatter",
        "name": "predicted = measured",
        "mode": "lines",
        "x": [scale.low, scale.high],
        "y": [scale.low, scale.high],
        "line": {"color": palette.GREY, "width": 1.4},
        "hoverinfo": "skip",
        **axes,
    }


def _joins(marks: Sequence[PredictionMark]) -> Json:
    """From each prediction to its correction."""
    return {
        "type": "scatter",
        "name": "prediction to correction",
        "mode": "lines",
        "x": [x for mark in marks for x in (mark.measured.value, mark.measured.value, None)],
        "y": [y for mark in marks for y in (mark.predicted, mark.corrected, None)],
        "line": {"color": palette.GREY, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _marks(
    panel: PredictionPanel, marks: Sequence[PredictionMark], name: str, symbol: str, colour: str, *, is_after: bool
) -> Json:
    return {
        "type": "scatter",
        "name": name,
        "legendgroup": name,
        "mode": "markers",
        "x": [mark.measured.value for mark in marks],
        "y": [mark.corrected if is_after else mark.predicted for mark in marks],
        "error_x": error_bars([mark.measured for mark in marks], 1.0, colour),
        "marker": {
            "symbol": symbol,
            "size": [15 if mark.is_chosen else 9 for mark in marks],
            "opacity": 1,
            "color": colour,
            "line": {"width": 1.8 if not is_after else 0, "color": colour},
        },
        "hovertext": [_hover(panel, mark) for mark in marks],
        "hoverinfo": "text",
    }


def _hover(panel: PredictionPanel, mark: PredictionMark) -> str:
    measured = mark.measured
    parts = [
        f"<b>{plot_text(mark.plan.label)}</b>, {panel.quantity}",
        plot_text(describe_plan(mark.plan.plan), 80),
        f"measured {_figure(measured.value, panel)} ({quantities.interval(measured)})",
        f"predicted {_figure(mark.predicted, panel)}, {error_text(mark.predicted, measured.value)}",
    ]
    if mark.corrected is not None:
        parts.append(f"corrected {_figure(mark.corrected, panel)}, {error_text(mark.corrected, measured.value)}")
    if mark.plan.is_paced:
        parts.append("with an emulated device: proves nothing of its stage times")
    return lines(parts)


def _figure(value: float, panel: PredictionPanel) -> str:
    return f"{quantities.number(value)} {panel.unit}"


def _layout(shown: Sequence[PredictionPanel]) -> Json:
    axes: dict[str, object] = {}
    for place, panel in enumerate(shown):
        number = str(place + 1) if place else ""
        domain = [0.0, 0.455] if place == 0 else [0.545, 1.0]
        title = f"{panel.quantity}, {{}} ({panel.unit})"
        axes[f"xaxis{number}"] = scaled_axis(
            title.format("measured"), panel.scale, domain=domain, anchor=f"y{number}", constrain="domain"
        )
        axes[f"yaxis{number}"] = scaled_axis(title.format("predicted"), panel.scale, anchor=f"x{number}")
    return {
        **axes,
        "legend": legend_below(0.17),
        "hovermode": "closest",
        "margin": {"l": 60, "r": 16, "t": 36, "b": 60},
    }
