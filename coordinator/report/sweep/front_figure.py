"""Fronts of all conditions side by side."""

import math
from collections.abc import Sequence

from coordinator.measurement import Estimate
from coordinator.report import palette
from coordinator.report.axes import AxisScale, scale_for
from coordinator.report.figure import Figure, Json, error_bars, legend_above
from coordinator.report.names import plot_text
from coordinator.report.sweep.hover import plan_hover
from coordinator.report.sweep.labels import SIDES, Canvas, label_sides
from coordinator.report.sweep.names import short_plan
from coordinator.report.sweep.panels import GAP_ACROSS, Grid
from coordinator.report.sweep.series import ConditionSeries, PlanPoint, SettingSeries
from coordinator.report.sweep.styles import evenly, faulty_words, front_state, network_words

SQUEEZED = 0.3
"""Of both shared axes, below which a condition's plans could not be told apart."""
X_TITLE, Y_TITLE = "latency (ms)", "throughput (/s)"
NAMES = {
    "beaten": "not on the front",
    "sure": "on the front",
    "unsure": "perhaps on the front (probability 0.1 – 0.9)",
}
_MARKERS: dict[str, Json] = {
    "beaten": {"color": palette.GREY, "size": 6, "line": {"width": 0}},
    "sure": {"color": palette.BLUE, "size": 9, "line": {"width": 0}},
    "unsure": {"color": palette.BLUE, "size": 9, "line": {"width": 2, "color": palette.BLUE}},
}


_KNEE: Json = {
    "symbol": "diamond-open",
    "size": 17,
    "color": palette.GREEN,
    "line": {"width": 2, "color": palette.GREEN},
}
_RECOMMENDED: Json = {"symbol": "star", "size": 12, "color": palette.YELLOW, "line": {"width": 1, "color": "#222222"}}


def front_figure(setting: SettingSeries) -> Figure:
    """One panel for each condition, all with the same axes where that shows them."""
    conditions = evenly(setting.conditions)
    views = panel_scales(conditions)
    is_shared = len(set(views)) < 2
    n_columns = min(3, len(conditions))
    grid = Grid(
        n_panels=len(conditions),
        n_columns=n_columns,
        panel_height=230,
        gap_height=46 if is_shared else 66,
        gap_across=GAP_ACROSS if is_shared else 2 * GAP_ACROSS,
    )
    traces = [
        {**trace, **grid.axes(panel), "showlegend": False}
        for panel, (condition, (x_scale, y_scale)) in enumerate(zip(conditions, views, strict=True))
        for trace in _panel(
            setting, condition, Canvas(width=1090 / n_columns, height=230, letter=10, x_scale=x_scale, y_scale=y_scale)
        )
    ]
    titles = [(plot_text(one.name, 32), plot_text(network_words(one))) for one in conditions]
    notes = [*grid.titles(titles), *_fault_notes(grid, conditions)]
    return Figure(
        name="fronts",
        caption=_caption(setting, len(conditions), is_shared=is_shared),
        traces=(*traces, *_legend(setting)),
        layout={
            **grid.scaled_axes(X_TITLE, Y_TITLE, views),
            "annotations": notes,
            "legend": {**legend_above(), "y": 1 + 8 / grid.height},
            "hovermode": "closest",
            "margin": {"l": 60, "r": 12, "t": 64, "b": 50},
        },
        height=grid.height + 114,
    )


def scales(points: Sequence[PlanPoint]) -> tuple[AxisScale, AxisScale]:
    """Views in ms and per second that hold all points."""
    whole = [point for point in points if point.latency and point.throughput]
    return (
        scale_for([point.latency.value * 1e3 for point in whole if point.latency]),
        scale_for([point.throughput.value for point in whole if point.throughput]),
    )


def panel_scales(conditions: Sequence[ConditionSeries]) -> list[tuple[AxisScale, AxisScale]]:
    """Of each panel: the same for all, unless that would squeeze one of them into a corner."""
    shared = scales([point for condition in conditions for point in condition.points])
    own = [scales(condition.points) for condition in conditions]
    return own if any(_is_squeezed(one, shared) for one in own) else [shared] * len(conditions)


def _is_squeezed(own: tuple[AxisScale, AxisScale], shared: tuple[AxisScale, AxisScale]) -> bool:
    shares = [
        math.log(one.high / max(one.low, both.low)) / math.log(both.high / both.low)
        for one, both in zip(own, shared, strict=True)
        if both.is_logarithmic
    ]
    return len(shares) == len(shared) and max(shares) < SQUEEZED


def front_line(condition: ConditionSeries, **style: object) -> Json:
    """The steps of a front: what is reached with a latency up to so much."""
    front = condition.front
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [point.latency.value * 1e3 for point in front if point.latency],
        "y": [point.throughput.value for point in front if point.throughput],
        "hoverinfo": "skip",
        **style,
    }


def point_trace(setting: SettingSeries, points: Sequence[PlanPoint], **style: object) -> Json:
    """Plans with their intervals; each knows its case, so that a click finds its samples."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [point.latency.value * 1e3 for point in points if point.latency],
        "y": [point.throughput.value for point in points if point.throughput],
        "customdata": [point.case_key for point in points],
        "hovertext": [plan_hover(point, is_predicted=setting.is_predicted) for point in points],
        "hoverinfo": "text",
        **style,
    }


def interval_bars(points: Sequence[PlanPoint], colour: str) -> dict[str, object]:
    """Error bars of both figures."""
    latencies: list[Estimate] = [point.latency for point in points if point.latency]
    throughputs: list[Estimate] = [point.throughput for point in points if point.throughput]
    bars = {"thickness": 1, "width": 0}
    return {
        "error_x": {**error_bars(latencies, 1e3, colour), **bars},
        "error_y": {**error_bars(throughputs, 1.0, colour), **bars},
    }


def named_sides(canvas: Canvas, points: Sequence[PlanPoint], others: Sequence[PlanPoint]) -> list[str]:
    """On which side of each point its name stands; empty where there is no room."""
    return label_sides(
        canvas,
        [(*_place(point), short_plan(point.plan, 12)) for point in points],
        [_place(point) for point in others],
    )


def _place(point: PlanPoint) -> tuple[float, float]:
    """Milliseconds and samples per second, of a point that has both figures."""
    latency, throughput = point.latency, point.throughput
    return (latency.value * 1e3 if latency else 0.0), (throughput.value if throughput else 0.0)


def _panel(setting: SettingSeries, condition: ConditionSeries, canvas: Canvas) -> list[Json]:
    whole = [point for point in condition.points if point.is_whole]
    named = [point for point in whole if front_state(point) != "beaten"]
    named.sort(key=lambda point: not point.is_knee)  # its name is the first to be placed
    side_of = dict(
        zip(
            (one.case_key for one in named),
            named_sides(canvas, named, [one for one in whole if one not in named]),
            strict=True,
        )
    )
    found = [
        front_line(
            condition,
            line={"color": palette.BLUE, "width": 1.6, "shape": "hv"},
        )
    ]
    for state in ("beaten", "unsure", "sure"):
        points = [point for point in whole if front_state(point) == state]
        marker = _MARKERS[state]
        symbols = [_symbol(point, state) for point in points]
        found.append(
            point_trace(
                setting,
                points,
                marker={**marker, "symbol": symbols or ["circle"]},
                mode="markers" if state == "beaten" else "markers+text",
                text=[plot_text(short_plan(point.plan, 12)) if side_of.get(point.case_key) else "" for point in points],
                textposition=[side_of.get(point.case_key) or SIDES[0] for point in points] or [SIDES[0]],
                textfont={"size": 10},
                cliponaxis=False,
                **interval_bars(points, str(marker["color"])),
            )
        )
    found += [
        point_trace(setting, points, marker=marker)
        for points, marker in (
            ([point for point in whole if point.is_knee], _KNEE),
            ([point for point in whole if point.plan == setting.recommendation.plan], _RECOMMENDED),
        )
    ]
    return found


def _legend(setting: SettingSeries) -> list[Json]:
    """Entries that belong to no panel; those of marks that occur nowhere are left out."""
    states = {front_state(point) for point in setting.points if point.is_whole}
    entries: list[tuple[str, Json]] = [
        (NAMES[state], {**_MARKERS[state], "symbol": "circle-open" if state == "unsure" else "circle"})
        for state in ("sure", "unsure", "beaten")
        if state in states
    ]
    entries += [("does not split", {"symbol": "square-open", "color": palette.GREY, "size": 8, "line": {"width": 1.5}})]
    entries += [("knee", _KNEE)]
    entries += [("one plan for all conditions", _RECOMMENDED)] * bool(setting.recommendation.plan)
    return [
        {
            "type": "scatter",
            "name": name,
            "mode": "markers",
            "x": [None],
            "y": [None],
            "marker": marker,
            "hoverinfo": "skip",
        }
        for name, marker in entries
    ]


def _symbol(point: PlanPoint, state: str) -> str:
    return ("circle" if point.is_split else "square") + ("-open" if state == "unsure" else "")


def _fault_notes(grid: Grid, conditions: Sequence[ConditionSeries]) -> list[Json]:
    return [
        {
            "text": plot_text(words, 60),
            "x": grid.across(panel)[1],
            "y": grid.upright(panel)[0],
            "xref": "paper",
            "yref": "paper",
            "xanchor": "right",
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"size": 10},
            "opacity": 0.8,
        }
        for panel, condition in enumerate(conditions)
        if (words := faulty_words(condition.points))
    ]


def _caption(setting: SettingSeries, n_shown: int, *, is_shared: bool) -> str:
    kind = "Predicted" if setting.is_predicted else "Measured"
    text = (
        f"{kind}: each point is a plan, better towards the upper left; squares do not split. Numbers are split points. "
        "The blue steps join the plans that no other one beats in both figures."
    )
    if not setting.is_predicted:
        text += (
            " Bars are 95 % intervals. Attempts that were invalid or failed are counted in the corner and enter no "
            "figure. Click on a point for its raw samples."
        )
    if not is_shared:
        text += " Each condition has axes of its own; the overlay below has all on the same ones."
    if n_shown < len(setting.conditions):
        text += f" {n_shown} of {len(setting.conditions)} conditions are shown; the overlay below has them all."
    return text
