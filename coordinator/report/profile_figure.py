"""The profile: what each unit takes on each device, and what would cross behind it."""

from collections.abc import Sequence

from coordinator.report import palette, quantities
from coordinator.report.figure import Figure, Json, axis, lines
from coordinator.report.names import operators, plot_text
from coordinator.report.order_figure import boundary_hover
from coordinator.report.run import Run
from coordinator.report.unit_times import UnitTimes, own_units, unit_times
from partitioner.graph import Graph
from partitioner.plan import Plan
from partitioner.profile import Profile

PANEL_PIXELS = 130
GAP_PIXELS = 34
MARGIN_PIXELS = 70


def profile_figure(run: Run) -> Figure:
    """The profile of a run, with the chosen plan in it."""
    return unit_figure(run.graph, run.profile, run.chosen.plan)


def unit_figure(graph: Graph, profile: Profile | None, plan: Plan | None) -> Figure:
    """One panel of unit times for each profiled device over one of boundary bytes; a plan's split points as lines."""
    times = unit_times(profile)
    panels = _domains(len(times) + 1)
    traces = [_unit_bars(graph, plan, device, f"y{i + 1 if i else ''}") for i, device in enumerate(times)]
    last = f"y{len(times) + 1 if times else ''}"
    traces.append(_boundary_bars(graph, last))
    return Figure(
        name="profile",
        caption=_caption(times, plan),
        traces=tuple(traces),
        layout=_layout(graph, plan, times, panels),
        height=len(panels) * (PANEL_PIXELS + GAP_PIXELS) + MARGIN_PIXELS,
    )


def _unit_bars(graph: Graph, plan: Plan | None, times: UnitTimes, y_axis: str) -> Json:
    own = own_units(plan, times.device) if plan else range(graph.n_units)
    return {
        "type": "bar",
        "name": plot_text(times.device),
        "x": list(range(graph.n_units)),
        "y": [None if timing is None else timing.seconds * 1e3 for timing in times.units],
        "error_y": _intervals(times),
        "yaxis": y_axis,
        "marker": {
            "color": [palette.BLUE if unit in own else palette.faded(palette.BLUE) for unit in range(graph.n_units)],
            "line": {"width": 0},
        },
        "hovertext": [_unit_hover(graph, times, unit) for unit in range(graph.n_units)],
        "hoverinfo": "text",
        "showlegend": False,
    }


def _intervals(times: UnitTimes) -> Json:
    return {
        "type": "data",
        "symmetric": False,
        "array": [None if one is None else (one.high_seconds - one.seconds) * 1e3 for one in times.units],
        "arrayminus": [None if one is None else (one.seconds - one.low_seconds) * 1e3 for one in times.units],
        "thickness": 1,
        "width": 0,
        "color": palette.GREY,
    }


def _unit_hover(graph: Graph, times: UnitTimes, index: int) -> str:
    timing = times.units[index]
    what = [f"<b>{plot_text(graph.units[index].name, 60)}</b> (unit {index})", plot_text(operators(graph, index), 80)]
    if timing is None:
        return lines([*what, f"{plot_text(times.device)}: not measured alone"])
    ends = f"{quantities.seconds(timing.low_seconds)} – {quantities.seconds(timing.high_seconds)}"
    return lines([*what, f"{plot_text(times.device)}: {quantities.seconds(timing.seconds)} ({ends})"])


def _boundary_bars(graph: Graph, y_axis: str) -> Json:
    positions = range(graph.n_units + 1)
    sizes = [graph.boundary_bytes(position) for position in positions]
    single = [len(graph.boundaries[position]) == 1 for position in positions]
    return {
        "type": "bar",
        "name": "boundary",
        "x": [position - 0.5 for position in positions],
        "y": [size / 2**20 for size in sizes],
        "yaxis": y_axis,
        "width": 0.62,
        "marker": {"color": [palette.GREEN if one else palette.YELLOW for one in single], "line": {"width": 0}},
        "hovertext": [boundary_hover(graph, position) for position in positions],
        "hoverinfo": "text",
        "showlegend": False,
    }


def _domains(n_panels: int) -> list[tuple[float, float]]:
    """Bottom and top of each panel as parts of the height, the uppermost first."""
    total = n_panels * (PANEL_PIXELS + GAP_PIXELS)
    tops = [1 - (panel * (PANEL_PIXELS + GAP_PIXELS) + GAP_PIXELS) / total for panel in range(n_panels)]
    return [(max(top - PANEL_PIXELS / total, 0.0), top) for top in tops]


def _layout(graph: Graph, plan: Plan | None, times: Sequence[UnitTimes], panels: Sequence[tuple[float, float]]) -> Json:
    numbers = [str(i + 1) if i else "" for i in range(len(panels))]
    titles = [*(_device_title(graph, device) for device in times), "bytes that cross at each split point"]
    axes: dict[str, object] = {
        f"yaxis{number}": axis(
            "ms" if i < len(times) else "MiB", domain=list(panels[i]), rangemode="tozero", nticks=5, fixedrange=True
        )
        for i, number in enumerate(numbers)
    }
    stages = plan.stages if plan else ()
    return {
        **axes,
        "xaxis": axis("unit", anchor=f"y{numbers[-1]}", range=[-1, graph.n_units], showgrid=False),
        "bargap": 0.14,
        "barmode": "overlay",
        "hovermode": "closest",
        "shapes": [_split_line(stage.stop, number) for stage in stages[:-1] for number in numbers],
        "annotations": [_panel_title(title, panel[1]) for title, panel in zip(titles, panels, strict=True)],
        "margin": {"l": 60, "r": 16, "t": 4, "b": 50},
    }


def _device_title(graph: Graph, times: UnitTimes) -> str:
    title = f"<b>{plot_text(times.device)}</b>"
    if times.whole_seconds is not None:
        title += f" · whole model {quantities.seconds(times.whole_seconds)}"
    if times.emulation:
        title += " · emulated"
    if times.n_measured < graph.n_units:
        title += f" · {times.n_measured} of {graph.n_units} units measured alone"
    return title


def _panel_title(text: str, top: float) -> Json:
    return {
        "text": text,
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": top,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "align": "left",
    }


def _split_line(position: int, axis_number: str) -> Json:
    x = position - 0.5
    line = {"color": palette.RED, "width": 1.6, "dash": "dash"}
    place = {"xref": "x", "yref": f"y{axis_number} domain", "x0": x, "x1": x, "y0": 0, "y1": 1}
    return {"type": "line", **place, "line": line}


def _caption(times: Sequence[UnitTimes], plan: Plan | None) -> str:
    sentences = ["Thin lines at the bars' ends are 95 % intervals of the medians."] if times else []
    if plan and plan.is_split:
        sentences.append("Dashed lines are the split points of the chosen plan.")
    if times and plan:
        sentences.append("Strong bars are the units that the plan gives to the device.")
    sentences.append("Boundaries are green where a single tensor crosses, yellow where several do.")
    return " ".join(sentences)
