"""The spread between runs, and regrets, for paper: a row for each plan."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from coordinator.report import palette
from coordinator.report.names import shorten
from coordinator.report.sweep.drawing import Size, mark
from coordinator.report.sweep.judging import figure_of
from coordinator.report.sweep.series import RegretTable, SettingSeries
from coordinator.report.sweep.spread_figure import Spread, spread
from coordinator.report.sweep.styles import evenly

ROW_HEIGHT = 0.165
"""Inches."""
PALE_TO, DARKEST = 0.8, 1.35
"""Regret from which letters are white, and the one that would be black: no cell is darker than its letters allow."""


def draw_spread(setting: SettingSeries, objective: str, size: Size) -> Figure:
    """Runs beside the figure of their case: by condition where there is room, else all in one panel."""
    found = spread(setting, objective)
    names = [one.name for one in evenly(setting.conditions, 6)] if size.is_wide else [""]
    figure = Figure(figsize=(size.width, 0.95 + ROW_HEIGHT * len(setting.plans)), layout="constrained")
    panels = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=True):
        _draw_panel(panel, setting, found, name)
        panel.set_title(shorten(name, 14), loc="left", fontsize="medium", fontweight="bold", pad=2)
    panels[0].set_yticks(range(len(setting.plans)), [shorten(plan, 22) for plan in setting.plans])
    panels[0].set_ylim(len(setting.plans) - 0.4, -0.6)
    panels[0].set_xlim(-found.limit * 106, found.limit * 106)
    figure.supxlabel(f"{objective} of a run, from the figure of its case (%)", fontsize="medium")
    states = {mark.run.state for mark in found.marks}
    handles = [
        *([Line2D([], [], color="#cccccc", linewidth=4, label="95 % interval")] if size.is_wide else []),
        mark("o", "run", 3, color=palette.BLUE),
        *([mark("x", "invalid", 4, color=palette.RED)] if "invalid" in states else []),
        *([mark("+", "failed", 5, color=palette.PURPLE)] if "failed" in states else []),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, handlelength=1.0)
    return figure


def draw_regret(found: RegretTable, size: Size) -> Figure:
    """A number in each cell; the darker, the farther from the best plan of the condition."""
    names = evenly(found.conditions, 12 if size.is_wide else 6)
    columns = [found.conditions.index(name) for name in names]
    height = 1.25 + ROW_HEIGHT * 1.05 * len(found.plans)
    figure = Figure(figsize=(size.width, height), layout="constrained")
    panel = figure.subplots()
    values = [[*(plan.regrets[column] for column in columns), plan.worst] for plan in found.plans]
    shades = [[0.0 if value is None else min(value, 1.0) for value in row] for row in values]
    panel.pcolormesh(shades, cmap="Greys", vmin=0, vmax=DARKEST)
    for row, (own, told) in enumerate(zip(shades, values, strict=True)):
        for place, (shade, value) in enumerate(zip(own, told, strict=True)):
            panel.text(
                place + 0.5,
                row + 0.5,
                _regret_text(value),
                ha="center",
                va="center",
                fontsize=size.letter - 1,
                color="white" if shade > PALE_TO else "black",
                fontweight="bold" if value == 0 else "normal",
            )
    panel.axvline(len(names), color="black", linewidth=0.8)
    panel.invert_yaxis()
    labels = [*(shorten(name, 16) for name in names), "worst"]
    panel.set_xticks(
        [place + 0.5 for place in range(len(labels))], labels, rotation=35, ha="right", rotation_mode="anchor"
    )
    panel.set_yticks([row + 0.5 for row in range(len(found.plans))], [shorten(plan.plan, 22) for plan in found.plans])
    for label, plan in zip(panel.get_yticklabels(), found.plans, strict=True):
        label.set_fontweight("bold" if plan.plan == found.minimax else "normal")
    panel.grid(visible=False)
    panel.tick_params(length=0)
    title = f"regret in {found.objective} (% above the best)"
    figure.suptitle(f"{title}; bold: least worst", fontsize="medium", x=0.01, ha="left")
    return figure


def _regret_text(value: float | None) -> str:
    """Percent, in three signs at most."""
    return "–" if value is None else "0" if value == 0 else f"{value * 100:.0f}" if value < 9.995 else ">999"


def _draw_panel(panel: Axes, setting: SettingSeries, found: Spread, condition: str) -> None:
    """Of one condition; of all where it is empty."""
    lanes = {plan: place for place, plan in enumerate(setting.plans)}
    own = [(point, figure_of(point, found.objective)) for point in setting.points if point.condition == condition]
    told = [(point, figure) for point, figure in own if figure is not None and figure.value > 0]
    panel.hlines(
        [lanes[point.plan] for point, _ in told],
        [max(-found.limit, figure.low / figure.value - 1) * 100 for _, figure in told],
        [min(found.limit, figure.high / figure.value - 1) * 100 for _, figure in told],
        color="#cccccc",
        linewidth=4,
        zorder=1,
    )
    looks = {
        "done": {"marker": "o", "color": palette.BLUE, "s": 5, "linewidths": 0},
        "invalid": {"marker": "x", "color": palette.RED, "s": 12, "linewidths": 1},
        "failed": {"marker": "+", "color": palette.PURPLE, "s": 18, "linewidths": 1},
    }
    for state, look in looks.items():
        marks = [one for one in found.marks if one.run.state == state and condition in ("", one.point.condition)]
        panel.scatter(
            [found.place(one) for one in marks],
            [lanes[one.point.plan] for one in marks],
            zorder=2,
            **look,  # type: ignore[arg-type]
        )
    panel.axvline(0, color="#999999", linewidth=0.6, zorder=0)
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)
