"""The time-line: where a few requests were, and doing what."""

from collections.abc import Sequence

from coordinator.measurement import Measurement, Span
from coordinator.report import palette, quantities
from coordinator.report.figure import Figure, Json, axis, lane_axis, legend_above, lines
from coordinator.report.names import plot_text
from coordinator.report.resources import lanes
from coordinator.report.run import resource_label


def timeline_figure(measurement: Measurement) -> Figure | None:
    """One lane for each device and link direction, in the order of the flow; None without spans."""
    if not measurement.spans:
        return None
    order = _lanes(measurement)
    phases = dict.fromkeys((*palette.PHASE_COLOURS, *(span.what for span in measurement.spans)))
    traces = [_trace(what, [span for span in measurement.spans if span.what == what]) for what in phases]
    return Figure(
        name="timeline",
        caption="Single requests one after the other, by the clocks of the nodes; network time is what is left of the "
        "round trip. Drag to look closer, double-click to come back.",
        traces=tuple(trace for trace in traces if trace["x"]),
        layout=_layout(order, measurement.spans),
        height=150 + 38 * len(order),
    )


def _lanes(measurement: Measurement) -> tuple[str, ...]:
    """Those of the plan, then any others that spans name."""
    return tuple(dict.fromkeys((*lanes(measurement.plan), *(span.lane for span in measurement.spans))))


def _trace(what: str, spans: Sequence[Span]) -> Json:
    is_wide = what in {"compute", "network"}
    return {
        "type": "bar",
        "orientation": "h",
        "name": plot_text(what),
        "base": [span.start_seconds * 1e3 for span in spans],
        "x": [(span.stop_seconds - span.start_seconds) * 1e3 for span in spans],
        "y": [_lane_label(span.lane) for span in spans],
        "width": 0.66,
        "marker": {"color": palette.PHASE_COLOURS.get(what, palette.PURPLE), "line": {"width": 0}},
        "text": [f"#{span.request}" if is_wide else "" for span in spans],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"color": "#ffffff"},
        "hovertext": [_hover(span) for span in spans],
        "hoverinfo": "text",
    }


def _hover(span: Span) -> str:
    return lines(
        [
            f"<b>request {span.request}</b>, {plot_text(span.what)}",
            plot_text(resource_label(span.lane), 60),
            f"{quantities.seconds(span.stop_seconds - span.start_seconds)} from "
            f"{quantities.seconds(span.start_seconds)} to {quantities.seconds(span.stop_seconds)}",
        ]
    )


def _lane_label(lane: str) -> str:
    return plot_text(resource_label(lane), 28)


def _layout(order: Sequence[str], spans: Sequence[Span]) -> Json:
    starts: dict[int, float] = {}
    for span in spans:
        starts[span.request] = min(span.start_seconds, starts.get(span.request, span.start_seconds))
    end = max(span.stop_seconds for span in spans) * 1e3
    return {
        "barmode": "overlay",
        "xaxis": axis("time since the first request was sent (ms)", range=[-0.01 * end, 1.02 * end]),
        "yaxis": lane_axis([_lane_label(lane) for lane in order]),
        "shapes": [_start_line(start * 1e3) for start in starts.values()],
        "uniformtext": {"mode": "hide", "minsize": 9},
        "legend": legend_above(),
        "hovermode": "closest",
        "margin": {"l": 60, "r": 16, "t": 40, "b": 50},
    }


def _start_line(x: float) -> Json:
    line = {"color": palette.GREY, "width": 1, "dash": "dot"}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": line}
