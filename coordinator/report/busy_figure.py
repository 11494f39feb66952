"""How long each resource of the chosen plan is busy with one request: the longest bar bounds the throughput."""

from collections.abc import Sequence

from coordinator.report import palette, quantities
from coordinator.report.figure import Figure, Json, axis, lane_axis, legend_above, lines
from coordinator.report.names import plot_text
from coordinator.report.resources import Resource, resources
from coordinator.report.run import Run

ROOM_FOR_TEXT = 1.22
"""Length of the axis over the longest bar, so that the text beside it is not cut off."""


def busy_figure(run: Run) -> Figure:
    """Two bars for each device, link direction, medium and processor: predicted, and measured where that was done."""
    found = resources(run)
    predicted = [resource.predicted_seconds for resource in found]
    measured = [resource.measured_seconds or 0.0 for resource in found] if run.measurement else []
    traces = [_trace("predicted", found, predicted, [resource.is_predicted_bottleneck for resource in found])]
    if measured:
        traces.append(_trace("measured", found, measured, [resource.is_measured_bottleneck for resource in found]))
        traces += [_legend_entry("predicted"), _legend_entry("measured")]
    longest = max((*predicted, *measured), default=0.0) * 1e3
    return Figure(
        name="busy",
        caption="A pipeline can answer no faster than its busiest resource: batch divided by the longest bar. "
        "A device is busy while it computes, a link while bytes of this request keep others off it, a "
        "shared medium for all hops over its links; cores that devices share are busy for the part that each of "
        "them uses.",
        traces=tuple(traces),
        layout=_layout(found, longest),
        height=120 + (44 if measured else 34) * len(found),
    )


def _trace(name: str, found: Sequence[Resource], seconds: Sequence[float], is_bottleneck: Sequence[bool]) -> Json:
    colours = [palette.RED if marked else palette.BLUE for marked in is_bottleneck]
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "legendgroup": name,
        "offsetgroup": name,
        "showlegend": False,
        "x": [value * 1e3 for value in seconds],
        "y": [_lane_label(resource) for resource in found],
        "marker": {"color": [_fill(name, colour) for colour in colours], "line": {"color": colours, "width": 1.2}},
        "text": [quantities.seconds(value) for value in seconds],
        "textposition": "outside",
        "textangle": 0,
        "cliponaxis": False,
        "constraintext": "none",
        "hovertext": [
            lines([f"<b>{plot_text(resource.label, 60)}</b>, {name}", f"{quantities.seconds(value)} for each request"])
            for resource, value in zip(found, seconds, strict=True)
        ],
        "hoverinfo": "text",
    }


def _fill(name: str, colour: str) -> str:
    return colour if name == "measured" else palette.faded(colour)


def _legend_entry(name: str) -> Json:
    """Stands for the bars of `name`, which cannot, since their colours differ."""
    marker = {"color": _fill(name, palette.BLUE), "line": {"color": palette.BLUE, "width": 1.2}}
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "legendgroup": name,
        "offsetgroup": name,
        "x": [None],
        "y": [None],
        "marker": marker,
    }


def _lane_label(resource: Resource) -> str:
    """Name of the resource, and under it whether it bounds the throughput, and who says so."""
    label = plot_text(resource.label, 28)
    if resource.is_measured_bottleneck or (resource.is_predicted_bottleneck and resource.measured_seconds is None):
        return f"<b>{label}</b><br>bottleneck"
    if resource.is_predicted_bottleneck:
        return f"{label}<br>predicted bottleneck"
    return label


def _layout(found: Sequence[Resource], longest_milliseconds: float) -> Json:
    return {
        "barmode": "group",
        "bargap": 0.3,
        "bargroupgap": 0.08,
        "xaxis": axis("busy for one request (ms)", range=[0, longest_milliseconds * ROOM_FOR_TEXT or 1]),
        "yaxis": lane_axis([_lane_label(resource) for resource in found]),
        "legend": legend_above(),
        "hovermode": "closest",
        "margin": {"l": 60, "r": 16, "t": 40, "b": 50},
    }
