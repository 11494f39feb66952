"""What happened while a plan was served: when nodes were away, and how long recoveries and switches took."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from coordinator.report import palette, quantities
from coordinator.report.figure import Figure, Json, axis, lane_axis, legend_above, lines
from coordinator.report.names import plot_text
from coordinator.serving import events as kinds
from coordinator.serving.events import Event

_SERVICE_LANE = "the service"
_AWAY = "node away"
_COLOURS = {
    _AWAY: palette.GREY,
    kinds.RECOVERED: palette.RED,
    kinds.SWITCHED: palette.GREEN,
    kinds.DEPLOYED: palette.BLUE,
    kinds.ADOPTED: palette.BLUE,
}
"""Of what takes time; everything else is a mark."""


@dataclass(frozen=True, slots=True)
class _Bar:
    lane: str
    what: str
    start_seconds: float
    stop_seconds: float
    event: Event


def events_figure(events: Sequence[Event]) -> Figure | None:
    """One lane for the service and one for each node that events name; None without events."""
    if not events:
        return None
    lanes = (_SERVICE_LANE, *dict.fromkeys(event.node for event in events if event.node))
    bars = list(_bars(events))
    traces = [_bar_trace(what, [bar for bar in bars if bar.what == what]) for what in _COLOURS]
    marks = [event for event in events if event.kind not in _COLOURS]
    return Figure(
        name="events",
        caption="Bars: how long a node was away, and what recoveries and switches took until the next plan served. "
        "Diamonds: single events. Hover for the cause.",
        traces=(*(trace for trace in traces if trace["x"]), *([_mark_trace(marks)] if marks else [])),
        layout=_layout(lanes, events[-1].since_start_seconds),
        height=150 + 38 * len(lanes),
    )


def _bars(events: Sequence[Event]) -> Iterator[_Bar]:
    """What takes time: events with a duration, and absences from loss to return, or to the end."""
    for event in events:
        at = event.since_start_seconds
        if event.kind in _COLOURS:
            yield _Bar(_SERVICE_LANE, event.kind, at - event.duration_seconds, at, event)
    for index, event in enumerate(events):
        if event.kind == kinds.NODE_LOST:
            later = (one for one in events[index:] if one.kind == kinds.NODE_BACK and one.node == event.node)
            back = next(later, events[-1])
            start = event.since_start_seconds - event.duration_seconds
            yield _Bar(event.node, _AWAY, start, back.since_start_seconds, event)


def _bar_trace(what: str, bars: Sequence[_Bar]) -> Json:
    return {
        "type": "bar",
        "orientation": "h",
        "name": what,
        "base": [bar.start_seconds for bar in bars],
        "x": [bar.stop_seconds - bar.start_seconds for bar in bars],
        "y": [_label(bar.lane) for bar in bars],
        "width": 0.5,
        "marker": {"color": _COLOURS[what], "line": {"width": 0}},
        "hovertext": [_hover(bar.event) for bar in bars],
        "hoverinfo": "text",
    }


def _mark_trace(events: Sequence[Event]) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "event",
        "x": [event.since_start_seconds for event in events],
        "y": [_label(event.node or _SERVICE_LANE) for event in events],
        "marker": {
            "symbol": "diamond",
            "size": 9,
            "color": [palette.RED if event.kind in kinds.FAULTS else palette.PURPLE for event in events],
        },
        "hovertext": [_hover(event) for event in events],
        "hoverinfo": "text",
    }


def _hover(event: Event) -> str:
    took = f", took {quantities.seconds(event.duration_seconds)}" if event.duration_seconds else ""
    parts = [f"<b>{plot_text(event.kind)}</b> at {quantities.seconds(event.since_start_seconds)}{took}"]
    parts += [plot_text(text, 110) for text in (event.plan, event.cause) if text]
    return lines(parts)


def _label(lane: str) -> str:
    return plot_text(lane, 28)


def _layout(lanes: Sequence[str], end_seconds: float) -> Json:
    end = max(end_seconds, 1e-3)
    return {
        "barmode": "overlay",
        "xaxis": axis("time since the service started (s)", range=[-0.02 * end, 1.03 * end]),
        "yaxis": lane_axis([_label(lane) for lane in lanes]),
        "legend": legend_above(),
        "hovermode": "closest",
        "margin": {"l": 60, "r": 16, "t": 40, "b": 50},
    }
