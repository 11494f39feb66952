"""Predicted against measured: every plan beside the line of identity, and the error of every stage."""

from collections.abc import Sequence

from coordinator.measurement import Measurement
from coordinator.report import palette, quantities
from coordinator.report.axes import AxisScale
from coordinator.report.figure import Figure, Json, axis, error_bars, legend_below, lines, scaled_axis
from coordinator.report.names import plot_text
from coordinator.report.prediction_points import (
    BANDS,
    PredictionMark,
    PredictionPanel,
    StageResidual,
    panels,
    residuals,
)
from coordinator.report.prediction_text import accuracy_sentences, factor_sentence, stage_sentence
from coordinator.report.text import describe_plan, error_text

AFTER = "corrected by the other plans"
BEFORE = "predicted before"
ROW_PIXELS = 26
_KINDS = ((False, "circle", palette.BLUE, ""), (True, "square", palette.PURPLE, ", emulated device"))
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


def residual_figure(measurement: Measurement) -> Figure:
    """A row for each span on each device, with the error of each plan that ran it."""
    found = residuals(measurement)
    rows = list(dict.fromkeys(_row_label(one) for one in found))
    return Figure(
        name="residuals",
        caption=" ".join(
            filter(
                None,
                [
                    stage_sentence(measurement),
                    factor_sentence(measurement),
                    "Computing alone, with the pipeline full; right of zero the prediction was too long. Each mark is "
                    "a plan that has this stage.",
                ],
            )
        ),
        traces=(
            _residual_joins(found),
            *(trace for is_filled in (False, True) for trace in _residual_traces(found, is_filled=is_filled)),
        ),
        layout=_residual_layout(rows, found),
        height=130 + ROW_PIXELS * len(rows),
    )


def _panel(panel: PredictionPanel, number: str) -> list[Json]:
    axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
    found: list[Json] = [_band(panel.scale, share, axes) for share in BANDS]
    found.append(_identity(panel.scale, axes))
    for is_paced, symbol, colour, note in _KINDS:
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


def _band(scale: AxisScale, share: float, axes: Json) -> Json:
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


def _identity(scale: AxisScale, axes: Json) -> Json:
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


def _residual_joins(found: Sequence[StageResidual]) -> Json:
    joined = [one for one in found if one.corrected_error is not None]
    return {
        "type": "scatter",
        "name": "prediction to correction",
        "mode": "lines",
        "x": [x for one in joined for x in (one.error * 100, (one.corrected_error or 0.0) * 100, None)],
        "y": [y for one in joined for y in (_row_label(one), _row_label(one), None)],
        "line": {"color": palette.GREY, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _residual_traces(found: Sequence[StageResidual], *, is_filled: bool) -> list[Json]:
    traces = []
    for is_paced, symbol, colour, note in _KINDS:
        points = [
            (one, one.corrected_error if is_filled else one.error)
            for one in found
            if one.stage.is_paced == is_paced and not (is_filled and one.corrected_error is None)
        ]
        if points:
            name = f"{AFTER if is_filled else BEFORE}{note}"
            traces.append(_residual_trace(points, name, symbol if is_filled else f"{symbol}-open", colour))
    return traces


def _residual_trace(points: Sequence[tuple[StageResidual, float | None]], name: str, symbol: str, colour: str) -> Json:
    return {
        "type": "scatter",
        "name": name,
        "mode": "markers",
        "x": [None if error is None else error * 100 for _, error in points],
        "y": [_row_label(one) for one, _ in points],
        "marker": {"symbol": symbol, "size": 10, "color": colour, "line": {"width": 1.8, "color": colour}},
        "hovertext": [_residual_hover(one) for one, _ in points],
        "hoverinfo": "text",
    }


def _residual_hover(one: StageResidual) -> str:
    stage, measured = one.stage, one.measured_seconds
    parts = [
        f"<b>{plot_text(one.place, 60)}</b> in {plot_text(one.plan.label)}",
        f"computed {quantities.seconds(measured)}",
        f"predicted {quantities.seconds(stage.predicted_compute_seconds)}, "
        f"{error_text(stage.predicted_compute_seconds, measured)}",
    ]
    if stage.corrected_compute_seconds is not None:
        after = stage.corrected_compute_seconds
        parts.append(f"corrected {quantities.seconds(after)}, {error_text(after, measured)}")
    if stage.unloaded_compute_seconds is not None:
        parts.append(f"with one request in flight {quantities.seconds(stage.unloaded_compute_seconds.value)}")
    if stage.is_paced:
        parts.append("emulated: proves nothing")
    return lines(parts)


def _row_label(one: StageResidual) -> str:
    last = one.stage.stop - 1
    units = f"unit {last}" if one.stage.start == last else f"units {one.stage.start}–{last}"
    return f"{plot_text(one.stage.device, 24)}, {units}"


def _residual_range(found: Sequence[StageResidual]) -> list[float]:
    """Per cent; holds all errors and both bands."""
    errors = [100 * error for one in found for error in (one.error, one.corrected_error) if error is not None]
    room = 0.05 * (max(errors) - min(errors))
    least = 120 * BANDS[0]
    return [min(min(errors) - room, -least), max(max(errors) + room, least)]


def _residual_layout(rows: Sequence[str], found: Sequence[StageResidual]) -> Json:
    bands = [
        {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": -share * 100,
            "x1": share * 100,
            "y0": 0,
            "y1": 1,
            "fillcolor": palette.faded(palette.GREEN, 0.14),
            "line": {"width": 0},
            "layer": "below",
        }
        for share in BANDS
    ]
    zero = {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": 0,
        "x1": 0,
        "y0": 0,
        "y1": 1,
        "line": {"color": palette.GREY, "width": 1.4},
        "layer": "below",
    }
    return {
        "xaxis": axis("predicted minus measured, over measured (%)", range=_residual_range(found)),
        "yaxis": axis(
            "", type="category", categoryorder="array", categoryarray=list(rows), autorange="reversed", ticklen=6
        ),
        "shapes": [*bands, zero],
        "legend": {**legend_below(0), "y": 1.02, "yanchor": "bottom", "traceorder": "normal"},
        "hovermode": "closest",
        "margin": {"l": 60, "r": 16, "t": 40, "b": 50},
    }
