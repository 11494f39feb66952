"""How far each stage was from its prediction, for every plan that ran it."""

from collections.abc import Sequence

from coordinator.measurement import Measurement
from coordinator.report import palette, quantities
from coordinator.report.figure import Figure, Json, axis, legend_above, lines
from coordinator.report.names import plot_text
from coordinator.report.prediction_figure import AFTER, BEFORE, KINDS
from coordinator.report.prediction_points import BANDS, StageResidual, residuals
from coordinator.report.prediction_text import factor_sentence, stage_sentence
from coordinator.report.text import error_text

ROW_PIXELS = 26


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
                    "Computing alone, one request in flight; right of zero the prediction was too long. Each mark is "
                    "a plan that has this stage.",
                ],
            )
        ),
        traces=(
            _joins(found),
            *(trace for is_filled in (False, True) for trace in _traces(found, is_filled=is_filled)),
        ),
        layout=_layout(rows, found),
        height=130 + ROW_PIXELS * len(rows),
    )


def _joins(found: Sequence[StageResidual]) -> Json:
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


def _traces(found: Sequence[StageResidual], *, is_filled: bool) -> list[Json]:
    traces = []
    for is_paced, symbol, colour, note in KINDS:
        points = [
            (one, one.corrected_error if is_filled else one.error)
            for one in found
            if one.stage.is_paced == is_paced and not (is_filled and one.corrected_error is None)
        ]
        if points:
            name = f"{AFTER if is_filled else BEFORE}{note}"
            traces.append(_trace(points, name, symbol if is_filled else f"{symbol}-open", colour))
    return traces


def _trace(points: Sequence[tuple[StageResidual, float | None]], name: str, symbol: str, colour: str) -> Json:
    return {
        "type": "scatter",
        "name": name,
        "mode": "markers",
        "x": [None if error is None else error * 100 for _, error in points],
        "y": [_row_label(one) for one, _ in points],
        "marker": {"symbol": symbol, "size": 10, "color": colour, "line": {"width": 1.8, "color": colour}},
        "hovertext": [_hover(one) for one, _ in points],
        "hoverinfo": "text",
    }


def _hover(one: StageResidual) -> str:
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


def _range(found: Sequence[StageResidual]) -> list[float]:
    """Per cent; holds all errors and both bands."""
    errors = [100 * error for one in found for error in (one.error, one.corrected_error) if error is not None]
    room = 0.05 * (max(errors) - min(errors))
    least = 120 * BANDS[0]
    return [min(min(errors) - room, -least), max(max(errors) + room, least)]


def _layout(rows: Sequence[str], found: Sequence[StageResidual]) -> Json:
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
        "xaxis": axis("predicted minus measured, over measured (%)", range=_range(found)),
        "yaxis": axis(
            "", type="category", categoryorder="array", categoryarray=list(rows), autorange="reversed", ticklen=6
        ),
        "shapes": [*bands, zero],
        "legend": legend_above(),
        "hovermode": "closest",
        "margin": {"l": 60, "r": 16, "t": 40, "b": 50},
    }
