"""Fronts of three and more objectives: in space, pair by pair, and as parallel coordinates."""

from collections.abc import Sequence
from itertools import combinations

from coordinator.report import palette, quantities
from coordinator.report.figure import Figure, Json, axis, lines
from coordinator.report.names import plot_text
from coordinator.report.objective_space import Objective, ObjectiveSpace

PAIR_PIXELS = 300
MOST_COLUMNS = 3
GAP = 0.11
"""Between two panels, as a part of the width."""
EXPONENT: Json = {"exponentformat": "e"}
SMALL = 1e-3
"""Figures below are written with an exponent."""
STAR: Json = {"symbol": "star", "size": 17, "color": palette.YELLOW, "line": {"width": 1.5, "color": "#222222"}}


def objective_figures(space: ObjectiveSpace) -> tuple[Figure, ...]:
    """The pictures that fit the number of objectives; none for two, which `front_figure` shows."""
    match len(space.objectives):
        case 2:
            return ()
        case 3:
            return space_figure(space), pairs_figure(space), parallel_figure(space)
    return parallel_figure(space), pairs_figure(space)


def space_figure(space: ObjectiveSpace) -> Figure:
    """Three objectives as a cloud that can be turned.

    Raises:
        ValueError: There are not three objectives.
    """
    if len(space.objectives) != 3:
        raise ValueError(f"A picture in space wants three objectives, got {len(space.objectives)}.")
    every = range(len(space.points))
    traces = [_cloud(space, every, "front", {"size": 5, "color": [_colour(space, i) for i in every]})]
    if space.chosen is not None:
        traces.append(_cloud(space, [space.chosen], "chosen", {**STAR, "symbol": "diamond", "size": 9}))
    titles = [{"title": {"text": _title(objective)}, **EXPONENT} for objective in space.objectives]
    return Figure(
        name="space",
        caption=f"Each point is a plan that no other beats in all three objectives. {_colours(space, 'diamond')} "
        f"Drag to turn it.",
        traces=tuple(traces),
        layout={
            "scene": {
                **dict(zip(("xaxis", "yaxis", "zaxis"), titles, strict=True)),
                "camera": {"eye": {"x": 1.65, "y": 1.65, "z": 0.95}, "center": {"x": 0, "y": 0, "z": -0.18}},
                "aspectmode": "cube",
            },
            "showlegend": False,
            "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        },
        height=560,
    )


def pairs_figure(space: ObjectiveSpace) -> Figure:
    """Every pair of objectives in a panel of its own; plans that are on the front of that pair alone are strong."""
    pairs = list(combinations(range(len(space.objectives)), 2))
    n_columns = min(len(pairs), MOST_COLUMNS)
    n_rows = -(-len(pairs) // n_columns)
    layout: dict[str, object] = {
        "showlegend": False,
        "hovermode": "closest",
        "margin": {"l": 60, "r": 16, "t": 12, "b": 50},
    }
    traces: list[Json] = []
    for panel, (one, other) in enumerate(pairs):
        number = "" if panel == 0 else str(panel + 1)
        across, up = _cell(panel, n_columns, n_rows)
        layout[f"xaxis{number}"] = axis(_title(space.objectives[one]), domain=across, anchor=f"y{number}", **EXPONENT)
        layout[f"yaxis{number}"] = axis(_title(space.objectives[other]), domain=up, anchor=f"x{number}", **EXPONENT)
        traces += _panel(space, one, other, number)
    return Figure(
        name="pairs",
        caption=(
            f"Every pair of objectives. Strong points are on the front of that pair alone; the pale ones pay there for "
            f"what they win elsewhere. {_colours(space)}"
        ),
        traces=tuple(traces),
        layout=layout,
        height=n_rows * PAIR_PIXELS + 70,
    )


def parallel_figure(space: ObjectiveSpace) -> Figure:
    """Every plan as a line over all objectives; each axis runs from the worst of the front up to its best."""
    traces: list[Json] = [
        _lines_of(space, [i for i in range(len(space.points)) if _step(space, i) == step], colour)
        for step, colour in enumerate(palette.RAMP)
    ]
    if space.chosen is not None:
        traces.append(_chosen_line(space, space.chosen))
    return Figure(
        name="parallel",
        caption=(
            f"Each line is a plan; up is better on every axis, whose ends are the best and the worst of the front. "
            f"{_colours(space)}"
        ),
        traces=tuple(trace for trace in traces if trace["x"]),
        layout={
            "xaxis": axis(
                "",
                tickvals=list(range(len(space.objectives))),
                ticktext=[plot_text(objective.name, 24) for objective in space.objectives],
                range=[-0.35, len(space.objectives) - 0.65],
                showgrid=False,
                fixedrange=True,
                side="top",
                ticks="",
            ),
            "yaxis": axis("", range=[-0.14, 1.14], visible=False, fixedrange=True),
            "shapes": [_post(index) for index in range(len(space.objectives))],
            "annotations": [note for index in range(len(space.objectives)) for note in _ends(space, index)],
            "showlegend": False,
            "hovermode": "closest",
            "margin": {"l": 16, "r": 16, "t": 40, "b": 16},
        },
        height=440,
    )


def _cloud(space: ObjectiveSpace, which: Sequence[int], name: str, marker: Json) -> Json:
    x, y, z = ([space.points[i][k] for i in which] for k in range(3))
    hover = [_hover(space, i) for i in which]
    return {
        "type": "scatter3d",
        "name": name,
        "mode": "markers",
        "x": x,
        "y": y,
        "z": z,
        "marker": marker,
        "hovertext": hover,
        "hoverinfo": "text",
    }


def _panel(space: ObjectiveSpace, one: int, other: int, number: str) -> list[Json]:
    strong = space.is_on_front_of(one, other)
    every = range(len(space.points))
    groups: tuple[tuple[str, list[int], Json], ...] = (
        ("pale", [i for i in every if not strong[i]], {"size": 6, "opacity": 0.3}),
        ("strong", [i for i in every if strong[i]], {"size": 9}),
        ("chosen", [] if space.chosen is None else [space.chosen], STAR),
    )
    axes = {"xaxis": f"x{number}", "yaxis": f"y{number}"}
    return [
        _dots(
            space, which, (one, other), name=name, marker={"color": [_colour(space, i) for i in which], **style}, **axes
        )
        for name, which, style in groups
        if which
    ]


def _dots(space: ObjectiveSpace, which: Sequence[int], pair: tuple[int, int], **settings: object) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [space.points[i][pair[0]] for i in which],
        "y": [space.points[i][pair[1]] for i in which],
        "hovertext": [_hover(space, i) for i in which],
        "hoverinfo": "text",
        **settings,
    }


def _lines_of(space: ObjectiveSpace, which: Sequence[int], colour: str) -> Json:
    """Many plans as one trace with gaps."""
    heights = space.goodness
    n_objectives = len(space.objectives)
    return {
        "type": "scatter",
        "name": "front",
        "mode": "lines+markers",
        "x": [x for _ in which for x in (*range(n_objectives), None)],
        "y": [y for i in which for y in (*heights[i].tolist(), None)],
        "line": {"color": palette.faded(colour, 0.55), "width": 1.4},
        "marker": {"size": 5, "color": colour},
        "hovertext": [text for i in which for text in (*[_hover(space, i)] * n_objectives, None)],
        "hoverinfo": "text",
    }


def _chosen_line(space: ObjectiveSpace, chosen: int) -> Json:
    return {
        **_lines_of(space, [chosen], palette.YELLOW),
        "name": "chosen",
        "line": {"color": palette.YELLOW, "width": 4},
        "marker": STAR,
    }


def _post(index: int) -> Json:
    line = {"color": palette.GREY, "width": 1}
    return {"type": "line", "x0": index, "x1": index, "y0": 0, "y1": 1, "line": line, "layer": "below"}


def _ends(space: ObjectiveSpace, index: int) -> tuple[Json, Json]:
    """Best above and worst below one axis of the parallel coordinates."""
    objective, figures = space.objectives[index], space.column(index)
    best, worst = (max, min) if objective.is_maximised else (min, max)
    place = {"x": index, "showarrow": False, "xref": "x", "yref": "y"}
    return (
        {**place, "y": 1.045, "yanchor": "bottom", "text": _figure_text(objective, best(figures))},
        {**place, "y": -0.045, "yanchor": "top", "text": _figure_text(objective, worst(figures))},
    )


def _cell(panel: int, n_columns: int, n_rows: int) -> tuple[list[float], list[float]]:
    """Where a panel lies, as parts of width and height; the first is at the upper left."""
    row, column = divmod(panel, n_columns)
    width = (1 - GAP * (n_columns - 1)) / n_columns
    gap = 0.6 * GAP if n_rows < 3 else 0.2 / n_rows
    height = (1 - 2 * gap * (n_rows - 1)) / n_rows
    left, top = column * (width + GAP), 1 - row * (height + 2 * gap)
    return [left, min(left + width, 1.0)], [max(top - height, 0.0), top]


def _step(space: ObjectiveSpace, index: int) -> int:
    """Which colour of the ramp a plan has, by the first objective; the best has the first."""
    badness = 1.0 - float(space.goodness[index, 0])
    return min(int(badness * len(palette.RAMP)), len(palette.RAMP) - 1)


def _colour(space: ObjectiveSpace, index: int) -> str:
    return palette.RAMP[_step(space, index)]


def _colours(space: ObjectiveSpace, mark: str = "star") -> str:
    star = f" A yellow {mark} marks the chosen plan." if space.chosen is not None else ""
    return f"Colours run from blue, the best {space.objectives[0].name}, to red, the worst.{star}"


def _title(objective: Objective) -> str:
    better = "more" if objective.is_maximised else "less"
    return f"{plot_text(objective.title)}, {better} is better"


def _figure_text(objective: Objective, figure: float) -> str:
    is_small = 0 < abs(figure) < SMALL
    text = quantities.relative_error(figure) if is_small else quantities.number(figure)
    return f"{text} {plot_text(objective.unit)}".strip()


def _hover(space: ObjectiveSpace, index: int) -> str:
    figures = zip(space.objectives, space.points[index], strict=True)
    mark = ", chosen" if index == space.chosen else ""
    return lines(
        [
            f"<b>{plot_text(space.labels[index], 80)}</b>{mark}",
            *(f"{plot_text(objective.name)}: {_figure_text(objective, figure)}" for objective, figure in figures),
        ]
    )
