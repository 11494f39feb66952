"""The front: latency against throughput, predicted and measured."""

from collections.abc import Sequence

from coordinator.report import palette, quantities
from coordinator.report.axes import scale_for
from coordinator.report.figure import Figure, Json, error_bars, legend_below, lines, scaled_axis
from coordinator.report.front_points import FrontPoints, MeasuredPoint, PredictedPoint, front_points, outside_text
from coordinator.report.names import plot_text
from coordinator.report.run import Run
from coordinator.report.text import bottleneck_text, error_text, stage_lines

LEGEND_ORDER = ("front", "chosen", "knee", "measured", "one device", "prediction", "dominated")
"""First words of the traces' names in the order of the legend, which is not the one in which they are drawn."""
JOIN_NAME = "prediction to measurement"


def front_figure(run: Run) -> Figure:
    """Front, dominated plans, marks, baselines, and measurements joined to their predictions."""
    points = front_points(run)
    traces = [
        _dominated(run, points),
        _joins(points),
        _singles(run, points),
        _front(run, points),
        _measured(run, "measured, 95 % interval", "circle", palette.RED, points.measured),
        _measured(run, "one device, measured", "square", palette.PURPLE, points.measured_singles),
        *_marks(run, points),
    ]
    return Figure(
        name="front",
        caption=_caption(points),
        traces=tuple(trace for trace in traces if trace["x"]),
        layout=_layout(points),
        height=560,
    )


def _front(run: Run, points: FrontPoints) -> Json:
    return _trace(
        run,
        "front, predicted",
        points.front,
        mode="lines+markers",
        line={"color": palette.BLUE, "width": 2, "shape": "hv"},
        marker={"symbol": "circle", "size": 9, "color": palette.BLUE},
    )


def _dominated(run: Run, points: FrontPoints) -> Json:
    name = f"dominated (sample of {len(points.dominated):,})"
    marker = {"symbol": "circle", "size": 5, "color": palette.GREY, "opacity": 0.4}
    return _trace(run, name, points.dominated, mode="markers", marker=marker)


def _singles(run: Run, points: FrontPoints) -> Json:
    marker = {"symbol": "square-open", "size": 11, "color": palette.PURPLE, "line": {"width": 2}}
    labels = [plot_text(point.plan.stages[0].device, 20) for point in points.singles]
    return _trace(
        run,
        "one device, predicted",
        points.singles,
        mode="markers+text",
        marker=marker,
        text=[f"{label} alone" for label in labels],
        textposition="bottom center",
        textfont={"size": 11},
    )


def _marks(run: Run, points: FrontPoints) -> tuple[Json, ...]:
    """The knee as a ring around its point, the chosen plan as a star on it."""
    ring = {"symbol": "diamond-open", "size": 21, "color": palette.GREEN, "line": {"width": 2.5}}
    star = {"symbol": "star", "size": 17, "color": palette.YELLOW, "line": {"width": 1.5, "color": "#222222"}}
    knee = (points.knee,) if points.knee else ()
    return (
        _trace(run, "knee", knee, mode="markers", marker=ring),
        _trace(run, "chosen", (points.chosen,), mode="markers", marker=star),
    )


def _joins(points: FrontPoints) -> Json:
    """One line from each prediction to its measurement, as one trace with gaps."""
    latencies: list[float | None] = []
    throughputs: list[float | None] = []
    for point in (*points.measured, *points.measured_singles):
        latencies += [point.predicted_latency_seconds * 1e3, point.latency_seconds.value * 1e3, None]
        throughputs += [point.predicted_throughput_per_second, point.throughput_per_second.value, None]
    return {
        "type": "scatter",
        "name": JOIN_NAME,
        "legendrank": _rank(JOIN_NAME),
        "mode": "lines",
        "x": latencies,
        "y": throughputs,
        "line": {"color": palette.GREY, "width": 1.2},
        "hoverinfo": "skip",
    }


def _measured(run: Run, name: str, symbol: str, colour: str, measured: Sequence[MeasuredPoint]) -> Json:
    return {
        "type": "scatter",
        "name": name,
        "legendrank": _rank(name),
        "mode": "markers",
        "x": [point.latency_seconds.value * 1e3 for point in measured],
        "y": [point.throughput_per_second.value for point in measured],
        "error_x": error_bars([point.latency_seconds for point in measured], 1e3, colour),
        "error_y": error_bars([point.throughput_per_second for point in measured], 1.0, colour),
        "marker": {"symbol": symbol, "size": 9, "color": colour},
        "hovertext": [_measured_hover(run, point) for point in measured],
        "hoverinfo": "text",
    }


def _trace(run: Run, name: str, points: Sequence[PredictedPoint], **style: object) -> Json:
    return {
        "type": "scatter",
        "name": name,
        "legendrank": _rank(name),
        "x": [point.latency_seconds * 1e3 for point in points],
        "y": [point.throughput_per_second for point in points],
        "hovertext": [_predicted_hover(run, point) for point in points],
        "hoverinfo": "text",
        **style,
    }


def _rank(name: str) -> int:
    return next((place for place, start in enumerate(LEGEND_ORDER) if name.startswith(start)), len(LEGEND_ORDER))


def _predicted_hover(run: Run, point: PredictedPoint) -> str:
    figures = (
        f"{quantities.seconds(point.latency_seconds)}, {quantities.rate(point.throughput_per_second)}, "
        f"window {point.plan.window}"
    )
    parts = [f"<b>{plot_text(point.label)}</b>, predicted", figures]
    if point.candidate is not None:
        cost = point.candidate.cost
        parts.append(f"busiest: {plot_text(bottleneck_text(cost.bottleneck_resource, cost.bottleneck_seconds), 60)}")
    return lines([*parts, *_stages(run, point)])


def _measured_hover(run: Run, point: MeasuredPoint) -> str:
    latency, throughput = point.latency_seconds, point.throughput_per_second
    return lines(
        [
            f"<b>{plot_text(point.label)}</b>, measured",
            f"{quantities.seconds(latency.value)} ({quantities.interval(latency, quantities.seconds)}), "
            f"predicted {error_text(point.predicted_latency_seconds, latency.value)}",
            f"{quantities.rate(throughput.value)} ({quantities.interval(throughput)}), "
            f"predicted {error_text(point.predicted_throughput_per_second, throughput.value)}",
            *_stages(run, point),
        ]
    )


def _stages(run: Run, point: PredictedPoint | MeasuredPoint) -> list[str]:
    return [plot_text(line, 80) for line in stage_lines(run.graph, point.plan)]


def _layout(points: FrontPoints) -> Json:
    latency_scale = scale_for([value * 1e3 for value in points.main_latencies])
    throughput_scale = scale_for(points.main_throughputs)
    notes = [_corner_note("better ↖", x=0.01, y=0.985, xanchor="left", yanchor="top")]
    outside = lines([plot_text(line, 80) for line in outside_text(points).splitlines()])
    if outside:
        notes.append(_corner_note(outside, x=0.99, y=0.02, xanchor="right", yanchor="bottom", align="right"))
    return {
        "xaxis": scaled_axis("latency of one request, unloaded (ms)", latency_scale),
        "yaxis": scaled_axis("throughput, window full (samples per second)", throughput_scale),
        "legend": legend_below(0.16),
        "hovermode": "closest",
        "annotations": notes,
        "margin": {"l": 60, "r": 16, "t": 12, "b": 60},
    }


def _corner_note(text: str, **place: object) -> Json:
    return {"text": text, "xref": "paper", "yref": "paper", "showarrow": False, "opacity": 0.75, **place}


def _caption(points: FrontPoints) -> str:
    text = "Each blue point is a plan that no other beats in both latency and throughput. Point at one for its stages."
    if points.measured:
        text += " A thin line joins a prediction to what was measured; bars are 95 % intervals."
    latencies, throughputs = points.main_latencies, points.main_throughputs
    x_view, y_view = scale_for(latencies), scale_for(throughputs)
    outside = sum(
        not (x_view.low <= point.latency_seconds <= x_view.high and y_view.low <= point.throughput_per_second)
        for point in points.dominated
    )
    if outside:
        text += f" {outside:,} dominated plans lie outside of this view: double-click to see them."
    return text
