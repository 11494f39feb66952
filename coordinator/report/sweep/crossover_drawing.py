"""The crossover map for paper: colours, hatches and words say the same."""

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from coordinator.report.figures import scale_axis
from coordinator.report.sweep.crossover_figure import (
    TITLES,
    MapGrid,
    cell_text,
    grid_ticks,
    is_sure_everywhere,
    map_grid,
    named_cells,
    point_scales,
    winner_styles,
)
from coordinator.report.sweep.drawing import POINTS_PER_INCH, Size, mark, thin_out
from coordinator.report.sweep.labels import Canvas, offset, upright_and_across
from coordinator.report.sweep.series import CrossoverMap, SettingSeries
from coordinator.report.sweep.styles import Style

X_LABEL, Y_LABEL = "rate (Mbit/s)", "round trip (ms)"


def draw_crossover(setting: SettingSeries, size: Size) -> Figure | None:
    """Both maps, side by side where there is room; None where the links are not known."""
    if not setting.maps:
        return None
    styles = winner_styles(setting.maps)
    n_across = len(setting.maps) if size.is_wide else 1
    n_down = -(-len(setting.maps) // n_across)
    figure = Figure(figsize=(size.width, 0.7 + 2.05 * n_down), layout="constrained")
    panels = figure.subplots(n_down, n_across, squeeze=False).flatten()
    grids = [map_grid(one) for one in setting.maps]
    for panel, one, grid in zip(panels, setting.maps, grids, strict=True):
        if grid:
            _draw_grid(panel, grid, styles, size)
        else:
            _draw_points(panel, one, styles, size)
        panel.set_title(TITLES[one.objective], loc="left", fontsize="medium", fontweight="bold", pad=3)
        panel.set_xlabel(X_LABEL)
        panel.set_ylabel(Y_LABEL)
    handles = [_legend_entry(plan, style, is_area=all(grids)) for plan, style in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3 if size.is_wide else 2, handlelength=1.6)
    if not is_sure_everywhere(setting.maps):
        figure.suptitle("≈: the 95 % intervals of both overlap", fontsize="small", color="#555555", x=0.99, ha="right")
    return figure


def _draw_grid(panel: Axes, grid: MapGrid, styles: Mapping[str, Style], size: Size) -> None:
    for row, cells in enumerate(grid.rows):
        for column, cell in enumerate(cells):
            style = styles[cell.plan]
            corner = (column - 0.5, row - 0.5)
            panel.add_patch(Rectangle(corner, 1, 1, facecolor=style.colour, alpha=0.35, linewidth=0))
            panel.add_patch(
                Rectangle(corner, 1, 1, fill=False, hatch=style.hatch, edgecolor=style.colour, linewidth=0, alpha=0.45)
            )
            words = cell_text(cell).replace(" ≈ ", " ≈\n") if grid.is_readable else ""
            panel.text(column, row, words, ha="center", va="center", fontsize=size.letter - 1)
    panel.set_xlim(-0.5, len(grid.rates) - 0.5)
    panel.set_ylim(-0.5, len(grid.round_trips) - 0.5)
    rates, times = grid_ticks(grid)
    panel.set_xticks(*rates)
    panel.set_yticks(*times)
    panel.grid(visible=False)


def _draw_points(panel: Axes, found: CrossoverMap, styles: Mapping[str, Style], size: Size) -> None:
    rates, times = point_scales(found)
    width = (size.width / 2 if size.is_wide else size.width) * POINTS_PER_INCH - 45
    canvas = Canvas(width=width, height=105, letter=size.letter - 1, x_scale=rates, y_scale=times)
    for (rate, time, name), cell, side in zip(*named_cells(found, canvas), strict=True):
        style = styles[cell.plan]
        panel.plot(rate, time, style.marker, color=style.colour, markersize=7)
        upright, across = upright_and_across(side)
        panel.annotate(
            name,
            (rate, time),
            xytext=offset(upright, across, 5),
            textcoords="offset points",
            ha=across,
            va=upright,
            fontsize=size.letter - 1,
            linespacing=1.0,
        )
    scale_axis(panel.xaxis, rates, "")
    scale_axis(panel.yaxis, times, "")
    thin_out(panel.xaxis, 6)
    thin_out(panel.yaxis, 6)


def _legend_entry(plan: str, style: Style, *, is_area: bool) -> object:
    if is_area:
        return Patch(facecolor=f"{style.colour}59", edgecolor=style.colour, hatch=style.hatch, linewidth=0, label=plan)
    return mark(style.marker, plan, 6, color=style.colour)
