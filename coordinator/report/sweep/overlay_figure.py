"""Fronts of all conditions in one picture; a slider picks the condition that stands out."""

from coordinator.report import palette
from coordinator.report.figure import Figure, Json, scaled_axis
from coordinator.report.names import plot_text
from coordinator.report.sweep.front_figure import (
    X_TITLE,
    Y_TITLE,
    front_line,
    interval_bars,
    named_sides,
    point_trace,
    scales,
)
from coordinator.report.sweep.labels import SIDES, Canvas
from coordinator.report.sweep.names import short_plan
from coordinator.report.sweep.series import ConditionSeries, SettingSeries
from coordinator.report.sweep.styles import front_state

MOST_NAMED = 12
"""Conditions up to which each faint front has its name."""


def overlay_figure(setting: SettingSeries) -> Figure:
    """Every front faintly, and of each condition what is shown when the slider is on it.

    The `meta` of a trace says which condition it belongs to: it is seen while that one is chosen (`own`), or while
    another one is (`others`).
    """
    x_scale, y_scale = scales(setting.points)
    canvas = Canvas(width=1080, height=410, letter=13, x_scale=x_scale, y_scale=y_scale)
    faint = [
        {**_faint(setting, condition), "meta": {"others": number}, "visible": number != 0}
        for number, condition in enumerate(setting.conditions)
    ]
    chosen = [
        {**trace, "meta": {"own": number}, "visible": number == 0}
        for number, condition in enumerate(setting.conditions)
        for trace in _chosen(setting, condition, canvas)
    ]
    return Figure(
        name="overlay",
        caption=(
            "Blue: the front of the condition under the slider; red: its plans that are not on the front. Grey: the "
            "fronts of the other conditions, with their names at their ends. Squares do not split."
        ),
        traces=(*faint, *chosen),
        layout={
            "xaxis": scaled_axis(X_TITLE, x_scale),
            "yaxis": scaled_axis(Y_TITLE, y_scale),
            "showlegend": False,
            "hovermode": "closest",
            "margin": {"l": 60, "r": 16, "t": 12, "b": 50},
        },
        height=480,
    )


def _faint(setting: SettingSeries, condition: ConditionSeries) -> Json:
    is_named = len(setting.conditions) <= MOST_NAMED and bool(condition.front)
    names = [""] * (len(condition.front) - 1) + [plot_text(condition.name, 24)] if is_named else []
    return front_line(
        condition,
        name=plot_text(condition.name),
        mode="lines+markers+text",
        line={"color": palette.GREY, "width": 1.2, "shape": "hv"},
        marker={"color": palette.GREY, "size": 4},
        opacity=0.75,
        text=names,
        textposition="top center",
        textfont={"size": 11, "color": palette.GREY},
    )


def _chosen(setting: SettingSeries, condition: ConditionSeries, canvas: Canvas) -> list[Json]:
    whole = [point for point in condition.points if point.is_whole]
    on_front = [point for point in whole if front_state(point) != "beaten"]
    others = [point for point in whole if front_state(point) == "beaten"]
    sides = named_sides(canvas, on_front, others)
    symbols = {True: "circle", False: "square"}
    return [
        front_line(condition, line={"color": palette.BLUE, "width": 2.2, "shape": "hv"}),
        point_trace(
            setting,
            others,
            marker={
                "color": palette.RED,
                "size": 6,
                "symbol": [symbols[point.is_split] for point in others] or ["circle"],
            },
            **interval_bars(others, palette.RED),
        ),
        point_trace(
            setting,
            on_front,
            mode="markers+text",
            marker={
                "color": palette.BLUE,
                "size": 10,
                "symbol": [symbols[point.is_split] for point in on_front] or ["circle"],
            },
            text=[
                plot_text(short_plan(point.plan, 12)) if side else ""
                for point, side in zip(on_front, sides, strict=True)
            ],
            textposition=[side or SIDES[0] for side in sides] or [SIDES[0]],
            **interval_bars(on_front, palette.BLUE),
        ),
    ]
