"""Prefixes, suffixes and other spans against the sum of their units: what a sum of layers would get wrong."""

from coordinator.report import palette, quantities
from coordinator.report.axes import scale_for
from coordinator.report.figure import Figure, Json, legend_below, lines, scaled_axis
from coordinator.report.names import plot_text
from coordinator.report.span_points import KINDS, PREFIX, SEGMENT, SUFFIX, WHOLE, SpanPoint, span_points
from partitioner.profile import Profile

COLOURS = {PREFIX: palette.BLUE, SUFFIX: palette.GREEN, SEGMENT: palette.GREY, WHOLE: palette.RED}
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")
"""One for each device; they begin again where there are more."""


def span_figure(profile: Profile) -> Figure:
    """All spans of all devices; on the line a span takes what its units take alone."""
    points = {device.device: span_points(device, profile.n_units) for device in profile.devices}
    every = [point for found in points.values() for point in found]
    values = [value * 1e3 for point in every for value in (point.sum_seconds, point.timing.seconds)]
    scale = scale_for(values)
    traces = [
        _dots(device, [point for point in found if point.kind == kind], kind, SYMBOLS[number % len(SYMBOLS)])
        for number, (device, found) in enumerate(points.items())
        for kind in KINDS
        if any(point.kind == kind for point in found)
    ]
    identity = {
        "type": "scatter",
        "name": "sum of the units",
        "mode": "lines",
        "x": [scale.low, scale.high],
        "y": [scale.low, scale.high],
        "line": {"color": palette.GREY, "width": 1.2, "dash": "dash"},
        "hoverinfo": "skip",
    }
    return Figure(
        name="spans",
        caption="Below the line a span takes less than its units alone: each unit timed alone is a session of its own.",
        traces=(identity, *traces),
        layout={
            "xaxis": scaled_axis("sum of the units timed alone (ms)", scale),
            "yaxis": scaled_axis("timed in one piece (ms)", scale),
            "legend": legend_below(0.16),
            "hovermode": "closest",
            "margin": {"l": 70, "r": 16, "t": 12, "b": 60},
        },
        height=520,
    )


def _dots(device: str, points: list[SpanPoint], kind: str, symbol: str) -> Json:
    return {
        "type": "scatter",
        "name": f"{plot_text(device)}: {kind}",
        "mode": "markers",
        "x": [point.sum_seconds * 1e3 for point in points],
        "y": [point.timing.seconds * 1e3 for point in points],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [(point.timing.high_seconds - point.timing.seconds) * 1e3 for point in points],
            "arrayminus": [(point.timing.seconds - point.timing.low_seconds) * 1e3 for point in points],
            "thickness": 1,
            "width": 0,
        },
        "marker": {"color": COLOURS[kind], "size": 9, "symbol": symbol},
        "hovertext": [_hover(device, point) for point in points],
        "hoverinfo": "text",
    }


def _hover(device: str, point: SpanPoint) -> str:
    timing = point.timing
    ends = f"{quantities.seconds(timing.low_seconds)} – {quantities.seconds(timing.high_seconds)}"
    return lines(
        [
            f"<b>{plot_text(device)}</b>: units {timing.start} to {timing.stop - 1} ({point.kind})",
            f"{quantities.seconds(timing.seconds)} ({ends})",
            f"{quantities.percent(point.share)} of the sum of its units, {quantities.seconds(point.sum_seconds)}",
        ]
    )
