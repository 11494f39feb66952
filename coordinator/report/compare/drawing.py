"""Two sides as a picture: the second over the first, case by case."""

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from coordinator.report import palette
from coordinator.report.compare.pairing import OBJECTIVES, Comparison, Objective, Row
from coordinator.report.compare.sides import FACETS
from coordinator.report.names import shorten
from coordinator.report.sweep.drawing import Size, mark, write_drawings
from coordinator.report.sweep.names import short_plan
from coordinator.report.sweep.series import FigureKind

MOST_ROWS = 40
ROW_HEIGHT = 0.15
"""Inches."""


def draw_comparison(found: Comparison, folder: Path, kind: FigureKind = "screen") -> list[Path]:
    """Writes `compare` as PNG, SVG and PDF; nothing where there is no common case.

    Raises:
        OSError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return write_drawings(lambda size: _draw(found, size), folder, "compare", kind)


def _draw(found: Comparison, size: Size) -> Figure | None:
    rows = sorted(found.rows, key=lambda row: -row.size)[:MOST_ROWS]
    if not rows:
        return None
    rows.sort(key=found.rows.index)
    figure = Figure(figsize=(size.width, 1.15 + ROW_HEIGHT * len(rows)), layout="constrained")
    panels = figure.subplots(1, len(OBJECTIVES), sharey=True, squeeze=False)[0]
    for panel, objective in zip(panels, OBJECTIVES, strict=True):
        _draw_panel(panel, rows, objective, size)
    names = [_row_name(found, row, 34 if size.is_wide else 22) for row in rows]
    panels[0].set_yticks(range(len(rows)), names)
    panels[0].set_ylim(len(rows) - 0.4, -0.6)
    title = f"{shorten(found.second, 30)} over {shorten(found.first, 30)}"
    if len(rows) < len(found.rows):
        title += f" ({len(rows)} of {len(found.rows)} cases, those that differ most)"
    figure.suptitle(title, fontsize="medium", x=0.01, ha="left")
    handles = [
        mark("o", "more than chance", 4, color=palette.BLUE),
        mark("o", "perhaps", 4, markerfacecolor="white", markeredgecolor=palette.BLUE),
        mark("o", "not shown", 4, markerfacecolor="white", markeredgecolor="#999999"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, handlelength=1.0)
    return figure


def _row_name(found: Comparison, row: Row, width: int) -> str:
    names = [row.facets[place] for place in found.shown] or [row.facets[-1]]
    if FACETS[-1] in {FACETS[place] for place in found.shown}:
        names[-1] = short_plan(names[-1])
    return shorten(", ".join(names), width)


def _draw_panel(panel: Axes, rows: list[Row], objective: Objective, size: Size) -> None:
    for place, row in enumerate(rows):
        ratio = row.ratios.get(objective)
        if ratio is None:
            continue
        colour = palette.BLUE if ratio.differs or (ratio.differs is None and ratio.is_apart) else "#999999"
        if math.isfinite(ratio.high):
            panel.plot([ratio.low, ratio.high], [place, place], color=colour, linewidth=1.0, zorder=2)
        face = colour if ratio.differs else "white"
        panel.plot(ratio.value, place, "o", color=colour, markerfacecolor=face, markersize=3.6, zorder=3)
    panel.axvline(1.0, color="#555555", linewidth=0.8, zorder=1)
    panel.set_xscale("log")
    ends = [end for row in rows if (ratio := row.ratios.get(objective)) for end in (ratio.value, 1.0)]
    reach = max((abs(math.log(end)) for end in ends), default=0.0) * 1.3 + 0.02
    panel.set_xlim(math.exp(-reach), math.exp(reach))
    panel.xaxis.set_major_locator(MaxNLocator(4 if size.is_wide else 2))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g} ×"))
    better = "less is better" if objective == "latency" else "more is better"
    title = f"{objective} ({better})" if size.is_wide else objective
    panel.set_title(title, loc="left", fontsize="medium", fontweight="bold", pad=3)
    panel.tick_params(axis="y", length=0)
