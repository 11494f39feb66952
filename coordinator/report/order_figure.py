"""A network along its order: what crosses at each split point, and how much work lies before it."""

import math

from coordinator.report import palette, quantities
from coordinator.report.axes import byte_ticks
from coordinator.report.figure import Figure, Json, axis, legend_below, lines
from coordinator.report.names import plot_text
from coordinator.report.order_points import OrderPoints, order_note, order_points
from partitioner.graph import Graph

MOST_TENSORS = 6
"""More are counted in a hover box, not named."""


def order_figure(graph: Graph) -> Figure:
    """Boundary bytes over cumulative work; the latter only where operations were counted."""
    points = order_points(graph)
    traces = [*_crossing(graph, points, is_single=True), *_crossing(graph, points, is_single=False)]
    traces.append(_input_line(graph, points))
    return Figure(
        name="order",
        caption=_caption(points),
        traces=(*traces, *((_work(graph, points),) if points.flops else ())),
        layout=_layout(graph, points),
        height=620 if points.flops else 400,
    )


def boundary_hover(graph: Graph, position: int) -> str:
    """What crosses at a position, and after which unit."""
    if position == 0:
        place = "inputs of the model"
    elif position == graph.n_units:
        place = "outputs of the model"
    else:
        place = f"after {plot_text(graph.units[position - 1].name, 60)}"
    names = graph.boundaries[position]
    shown = [plot_text(name, 60) for name in names[:MOST_TENSORS]]
    rest = [f"and {len(names) - MOST_TENSORS} more"] if len(names) > MOST_TENSORS else []
    return lines([f"<b>{quantities.n_bytes(graph.boundary_bytes(position))}</b> {place}", *shown, *rest])


def _crossing(graph: Graph, points: OrderPoints, *, is_single: bool) -> tuple[Json, ...]:
    """Dots, and stems to the floor in a trace of their own."""
    positions = [i for i, size in enumerate(points.boundary_bytes) if size and points.is_single[i] == is_single]
    if not positions:
        return ()
    sizes = [points.boundary_bytes[i] for i in positions]
    colour = palette.GREEN if is_single else palette.YELLOW
    name = "one tensor crosses" if is_single else "several cross"
    floor = _byte_range(points)[0]
    dots = {
        "type": "scatter",
        "name": name,
        "mode": "markers",
        "x": positions,
        "y": sizes,
        "marker": {"size": 4 if points.is_dense else 8, "color": colour},
        "hovertext": [_position_hover(graph, points, position) for position in positions],
        "hoverinfo": "text",
    }
    if points.is_dense:
        return (dots,)
    stems = {
        "type": "scatter",
        "name": f"{name}, stems",
        "mode": "lines",
        "x": [x for position in positions for x in (position, position, None)],
        "y": [y for size in sizes for y in (floor, size, None)],
        "line": {"color": palette.faded(colour, 0.5), "width": 2},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    return stems, dots


def _input_line(graph: Graph, points: OrderPoints) -> Json:
    return {
        "type": "scatter",
        "name": f"input, {quantities.n_bytes(points.input_bytes)}",
        "mode": "lines",
        "x": [-1, graph.n_units + 1],
        "y": [points.input_bytes, points.input_bytes],
        "line": {"color": palette.RED, "width": 1.6, "dash": "dash"},
        "hoverinfo": "skip",
    }


def _work(graph: Graph, points: OrderPoints) -> Json:
    return {
        "type": "scatter",
        "name": "work before it",
        "mode": "lines" if points.is_dense else "lines+markers",
        "x": list(range(graph.n_units + 1)),
        "y": [share * 100 for share in points.work_share],
        "yaxis": "y2",
        "line": {"color": palette.BLUE, "width": 2},
        "marker": {"size": 4, "color": palette.BLUE},
        "fill": "tozeroy",
        "fillcolor": palette.faded(palette.BLUE, 0.18),
        "hovertext": [_position_hover(graph, points, position) for position in range(graph.n_units + 1)],
        "hoverinfo": "text",
        "showlegend": False,
    }


def _position_hover(graph: Graph, points: OrderPoints, position: int) -> str:
    what = boundary_hover(graph, position)
    if not points.flops:
        return what
    share = points.work_share[position]
    return lines(
        [what, f"{quantities.percent(share)} of the work before it, {quantities.percent(1 - share)} behind it"]
    )


def _byte_range(points: OrderPoints) -> tuple[float, float]:
    positive = [size for size in points.boundary_bytes if size] or [1]
    return min(positive) / 2, max(positive) * 2


def _layout(graph: Graph, points: OrderPoints) -> Json:
    low, high = _byte_range(points)
    ticks = byte_ticks(low, high)
    has_work = bool(points.flops)
    crossing = axis(
        "bytes that cross",
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=[mark for mark, _ in ticks],
        ticktext=[words for _, words in ticks],
        domain=[0.46, 1.0] if has_work else [0.0, 1.0],
        fixedrange=True,
    )
    work = axis("work before it (%)", range=[0, 104], domain=[0.0, 0.38], fixedrange=True)
    return {
        "xaxis": axis(
            "split point (units before it)",
            range=[-1, graph.n_units + 1],
            anchor="y2" if has_work else "y",
            showgrid=False,
        ),
        "yaxis": crossing,
        **({"yaxis2": work} if has_work else {}),
        "legend": legend_below(0.13 if has_work else 0.2),
        "hovermode": "closest",
        "margin": {"l": 70, "r": 16, "t": 12, "b": 60},
    }


def _caption(points: OrderPoints) -> str:
    return f"{order_note(points)} Point at a split point for the tensors that cross there."
