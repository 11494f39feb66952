"""The crossover map: which plan is best, over round trip and rate of the links."""

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.report import palette, quantities
from coordinator.report.axes import AxisScale, scale_for
from coordinator.report.figure import Figure, Json, axis, legend_above, lines, scaled_axis
from coordinator.report.names import plot_text, shorten
from coordinator.report.sweep.labels import SIDES, Canvas, label_sides
from coordinator.report.sweep.names import short_plan
from coordinator.report.sweep.series import CrossoverMap, MapCell, SettingSeries
from coordinator.report.sweep.styles import Style, style_of

RATE_TITLE, DELAY_TITLE = "rate of the slowest link (Mbit/s)", "round trip (ms)"
TITLES = {"latency": "least latency", "throughput": "most throughput"}
LEAST_ROUND_TRIP_MS = 0.01
"""Where a round trip of nothing is drawn on a logarithmic axis."""
MOST_READABLE = 8
"""Cells side by side up to which each says its plan, and scales are labelled cell by cell."""
DOMAINS = ([0.0, 0.455], [0.545, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class MapGrid:
    """A map whose conditions fill a grid."""

    rates: tuple[float, ...]
    """Bytes per second, ascending."""
    round_trips: tuple[float, ...]
    """Seconds, ascending."""
    rows: tuple[tuple[MapCell, ...], ...]
    """By round trip, then by rate."""

    @property
    def is_readable(self) -> bool:
        """Whether there is room for words in its cells."""
        return max(len(self.rates), len(self.round_trips)) <= MOST_READABLE


def map_grid(found: CrossoverMap) -> MapGrid | None:
    """The map as a grid; None where its conditions lie otherwise."""
    rates = tuple(sorted({cell.bytes_per_second for cell in found.cells}))
    times = tuple(sorted({cell.round_trip_seconds for cell in found.cells}))
    places = {(cell.round_trip_seconds, cell.bytes_per_second): cell for cell in found.cells}
    if min(len(rates), len(times)) < 2 or not len(places) == len(found.cells) == len(rates) * len(times):
        return None
    rows = tuple(tuple(places[time, rate] for rate in rates) for time in times)
    return MapGrid(rates=rates, round_trips=times, rows=rows)


def winner_styles(maps: Sequence[CrossoverMap]) -> dict[str, Style]:
    """One for each plan that is best somewhere, the same on all maps."""
    plans = dict.fromkeys(plan for one in maps for plan in one.winners)
    return {plan: style_of(index) for index, plan in enumerate(plans)}


def cell_text(cell: MapCell) -> str:
    """The plan; and the other one where noise leaves open which is better."""
    return (
        short_plan(cell.plan, 12) if cell.is_sure else f"{short_plan(cell.plan, 9)} ≈ {short_plan(cell.runner_up, 9)}"
    )


def is_sure_everywhere(maps: Sequence[CrossoverMap]) -> bool:
    """Whether noise leaves no cell open."""
    return all(cell.is_sure for one in maps for cell in one.cells)


def crossover_figure(setting: SettingSeries) -> Figure | None:
    """Both maps side by side; None where the conditions do not say what their links are like."""
    if not setting.maps:
        return None
    styles = winner_styles(setting.maps)
    grids = [map_grid(one) for one in setting.maps]
    traces: list[Json] = []
    axes: dict[str, object] = {}
    for place, (one, grid) in enumerate(zip(setting.maps, grids, strict=True)):
        number = str(place + 1) if place else ""
        traces += _grid_traces(grid, styles, number) if grid else _point_traces(one, styles, number)
        axes |= _grid_axes(grid, number) if grid else _point_axes(one, number)
    legend = [_legend_entry(plan, style, is_area=all(grids)) for plan, style in styles.items()]
    return Figure(
        name="crossover",
        caption=_caption(setting, is_grid=any(grids)),
        traces=(*traces, *legend),
        layout={
            **axes,
            "annotations": [
                {
                    "text": f"<b>{TITLES[one.objective]}</b>",
                    "x": DOMAINS[place][0],
                    "y": 1.01,
                    "xref": "paper",
                    "yref": "paper",
                    "xanchor": "left",
                    "yanchor": "bottom",
                    "showarrow": False,
                }
                for place, one in enumerate(setting.maps)
            ],
            "legend": {**legend_above(), "y": 1.09},
            "hovermode": "closest",
            "margin": {"l": 60, "r": 16, "t": 70, "b": 50},
        },
        height=470,
    )


def _grid_traces(grid: MapGrid, styles: dict[str, Style], number: str) -> list[Json]:
    """A heat map whose values are plans; it reads as a table, too, since each cell holds its plan's name."""
    plans = list(styles)
    steps = len(plans)
    colours = [
        [edge, palette.faded(styles[plan].colour, 0.5)]
        for i, plan in enumerate(plans)
        for edge in (i / steps, (i + 1) / steps)
    ]
    return [
        {
            "type": "heatmap",
            "x": list(range(len(grid.rates))),
            "y": list(range(len(grid.round_trips))),
            "z": [[plans.index(cell.plan) for cell in row] for row in grid.rows],
            "zmin": -0.5,
            "zmax": steps - 0.5,
            "colorscale": colours,
            "showscale": False,
            "xgap": 1,
            "ygap": 1,
            "customdata": [[cell.case_key for cell in row] for row in grid.rows],
            "hovertext": [[_hover(cell) for cell in row] for row in grid.rows],
            "hoverinfo": "text",
            "xaxis": f"x{number}",
            "yaxis": f"y{number}",
        },
        # Words of a heat map take a colour of their own, which does not know that the cells are translucent.
        {
            "type": "scatter",
            "mode": "text",
            "x": [column for row in grid.rows for column in range(len(row))],
            "y": [place for place, row in enumerate(grid.rows) for _ in row],
            "text": [plot_text(cell_text(cell), 24) if grid.is_readable else "" for row in grid.rows for cell in row],
            "hoverinfo": "skip",
            "showlegend": False,
            "xaxis": f"x{number}",
            "yaxis": f"y{number}",
        },
    ]


def _grid_axes(grid: MapGrid, number: str) -> dict[str, object]:
    domain = DOMAINS[1 if number else 0]
    (rate_places, rates), (time_places, times) = grid_ticks(grid)
    return {
        f"xaxis{number}": axis(
            RATE_TITLE, domain=domain, anchor=f"y{number}", tickvals=rate_places, ticktext=rates, showgrid=False
        ),
        f"yaxis{number}": axis(DELAY_TITLE, anchor=f"x{number}", tickvals=time_places, ticktext=times, showgrid=False),
    }


def grid_ticks(grid: MapGrid) -> tuple[tuple[list[int], list[str]], tuple[list[int], list[str]]]:
    """(places, texts) along the rates in Mbit/s, and along the round trips in ms."""
    rates = [f"{rate * 8 / 1e6:,.3g}" for rate in grid.rates]
    times = [f"{time * 1e3:,.3g}" for time in grid.round_trips]
    return _ticks(rates), _ticks(times)


def _ticks(texts: Sequence[str]) -> tuple[list[int], list[str]]:
    step = -(-len(texts) // MOST_READABLE)
    return list(range(0, len(texts), step)), list(texts[::step])


def point_scales(found: CrossoverMap) -> tuple[AxisScale, AxisScale]:
    """Views in Mbit/s and ms, with room for words over the uppermost condition."""
    places = [_place(cell) for cell in found.cells]
    times = [time for _, time in places]
    return scale_for([rate for rate, _ in places]), scale_for([*times, 2 * max(times)])


def named_cells(
    found: CrossoverMap, canvas: Canvas
) -> tuple[list[tuple[float, float, str]], tuple[MapCell, ...], list[str]]:
    """(Mbit/s, ms, condition and best plan) of each cell, the cells, and on which side of its mark the words stand."""
    named = [(*_place(cell), f"{shorten(cell.condition, 20)}\n{cell_text(cell)}") for cell in found.cells]
    order = sorted(range(len(named)), key=lambda place: named[place][0])  # those at the edge have fewest sides
    sides = dict(zip(order, label_sides(canvas, [named[place] for place in order]), strict=True))
    return named, found.cells, [sides[place] or SIDES[1] for place in range(len(named))]


def _place(cell: MapCell) -> tuple[float, float]:
    return cell.bytes_per_second * 8 / 1e6, max(cell.round_trip_seconds * 1e3, LEAST_ROUND_TRIP_MS)


def _point_traces(found: CrossoverMap, styles: dict[str, Style], number: str) -> list[Json]:
    rates, times = point_scales(found)
    named, cells, sides = named_cells(found, Canvas(width=490, height=350, letter=11, x_scale=rates, y_scale=times))
    return [
        {
            "type": "scatter",
            "mode": "markers+text",
            "x": [rate for rate, _, _ in named],
            "y": [time for _, time, _ in named],
            "marker": {
                "size": 15,
                "color": [styles[cell.plan].colour for cell in cells],
                "symbol": [styles[cell.plan].plotly_symbol for cell in cells],
            },
            "text": [f"{plot_text(cell.condition, 20)}<br><b>{plot_text(cell_text(cell), 24)}</b>" for cell in cells],
            "textposition": sides,
            "textfont": {"size": 11},
            "cliponaxis": False,
            "customdata": [cell.case_key for cell in cells],
            "hovertext": [_hover(cell) for cell in cells],
            "hoverinfo": "text",
            "showlegend": False,
            "xaxis": f"x{number}",
            "yaxis": f"y{number}",
        }
    ]


def _point_axes(found: CrossoverMap, number: str) -> dict[str, object]:
    rates, times = point_scales(found)
    domain = DOMAINS[1 if number else 0]
    return {
        f"xaxis{number}": scaled_axis(RATE_TITLE, rates, domain=domain, anchor=f"y{number}"),
        f"yaxis{number}": scaled_axis(DELAY_TITLE, times, anchor=f"x{number}"),
    }


def _legend_entry(plan: str, style: Style, *, is_area: bool) -> Json:
    colour = palette.faded(style.colour, 0.5) if is_area else style.colour
    return {
        "type": "scatter",
        "name": plot_text(plan),
        "mode": "markers",
        "x": [None],
        "y": [None],
        "marker": {"color": colour, "size": 13, "symbol": "square" if is_area else style.plotly_symbol},
        "hoverinfo": "skip",
    }


def _hover(cell: MapCell) -> str:
    found = [
        f"<b>{plot_text(cell.condition)}</b>",
        f"round trip {quantities.seconds(cell.round_trip_seconds)}, {cell.bytes_per_second * 8 / 1e6:,.3g} Mbit/s",
        f"best: {plot_text(cell.plan)}",
    ]
    if cell.runner_up:
        found.append(f"next: {plot_text(cell.runner_up)}, {quantities.percent(cell.margin)} worse")
    if not cell.is_sure:
        found.append("their 95 % intervals overlap")
    return lines([*found, "click for the raw samples"])


def _caption(setting: SettingSeries, *, is_grid: bool) -> str:
    where = "Each cell is a condition" if is_grid else "Each mark is a condition"
    text = f"{where}, named by its best plan: a split point, or the device that has the whole model."
    if not is_sure_everywhere(setting.maps):
        text += " Where ≈ joins two plans, their 95 % intervals overlap."
    n_conditions = len(setting.forecast.conditions) if setting.forecast else len(setting.conditions)
    n_missing = n_conditions - max(len(one.cells) for one in setting.maps)
    if n_missing:
        text += f" {n_missing} conditions are not shown: it is not known how fast their links are."
    return text
