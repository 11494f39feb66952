"""The picture of plans over many network conditions: a strip of regrets for each plan, PNG and SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from coordinator.report import palette
from coordinator.report.figures import SCREEN_WIDTH, paper_style, save_drawing
from coordinator.report.robust_text import NOMINAL_NAMES
from partitioner.search.robust_result import RobustPlan, RobustResult

MOST_STRIPS = 10
"""Plans that are drawn; of more, the ends and others evenly between."""
OBJECTIVES = ("latency", "bottleneck")
LABELLED = (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A row of the picture."""

    label: str
    plan: RobustPlan
    is_nominal: bool


def write_robust(folder: Path, result: RobustResult) -> tuple[Path, ...]:
    """Draws `figures/robust.svg` and `.png` into `folder`, and returns them.

    Raises:
        OSError: A file cannot be written.
    """
    drawings = folder / "figures"
    drawings.mkdir(parents=True, exist_ok=True)
    return tuple(draw_robust(result, drawings / f"robust{suffix}") for suffix in (".svg", ".png"))


def draw_robust(result: RobustResult, path: Path, width_inches: float = SCREEN_WIDTH) -> Path:
    """Draws how many times the best of each condition every plan takes; the suffix is the format. Returns `path`."""
    strips = robust_strips(result)
    with paper_style():
        figure = Figure(figsize=(width_inches, 1.45 + 0.24 * len(strips)), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for index, (panel, name) in enumerate(zip(panels, OBJECTIVES, strict=True)):
            _draw_strips(panel, strips, index)
            panel.axvline(_bound(result, index) + 1, color=palette.RED, linewidth=1.0, linestyle="--", zorder=1)
            panel.set_title(name, loc="left", fontsize=8, fontweight="bold", pad=3)
        panels[0].set_yticks(range(len(strips)), [strip.label for strip in strips])
        panels[0].invert_yaxis()
        figure.supxlabel(f"times the best of each of {len(result.conditions)} network conditions", fontsize=8)
        figure.legend(handles=_legend(result), loc="outside upper center", ncols=4, handlelength=1.6)
        return save_drawing(figure, path)


def robust_strips(result: RobustResult) -> tuple[Strip, ...]:
    """The plans that are drawn: those that are best as probed, then those of the result."""
    n_plans = len(result.plans)
    n_drawn = min(n_plans, MOST_STRIPS)
    rows = [round(place * (n_plans - 1) / max(n_drawn - 1, 1)) for place in range(n_drawn)]
    beside = zip(NOMINAL_NAMES, result.nominal, strict=True)
    return (
        *(Strip(label=name, plan=plan, is_nominal=True) for name, plan in beside),
        *(Strip(label=f"plan {row}", plan=result.plans[row], is_nominal=False) for row in rows),
    )


def _draw_strips(panel: Axes, strips: Sequence[Strip], objective: int) -> None:
    panel.set_xscale("log")
    for row, strip in enumerate(strips):
        ratios = [regret[objective] + 1 for regret in strip.plan.regrets]
        worst, mean = strip.plan.worst_regret[objective] + 1, strip.plan.mean_regret[objective] + 1
        colour = palette.GREY if strip.is_nominal else palette.BLUE
        panel.hlines(row, 1.0, worst, color=colour, linewidth=0.8, alpha=0.6)
        panel.plot(ratios, [row] * len(ratios), "o", color=colour, markersize=3, markeredgewidth=0, alpha=0.35)
        panel.plot(worst, row, "|", color=colour, markersize=9, markeredgewidth=1.6)
        panel.plot(mean, row, "D", color="white", markeredgecolor=colour, markersize=3.6, markeredgewidth=1.0)
    panel.axhline(sum(strip.is_nominal for strip in strips) - 0.5, color="#bbbbbb", linewidth=0.6)
    panel.set_ylim(-0.7, len(strips) - 0.3)
    panel.grid(visible=False, axis="y")
    panel.tick_params(axis="y", length=0)
    _scale(panel, max(max(strip.plan.worst_regret[objective] for strip in strips) + 1, 1.2))


def _scale(panel: Axes, largest: float) -> None:
    panel.set_xlim(0.97, largest * 1.08)
    labelled = LABELLED if largest < 5 else [tick for tick in LABELLED if tick not in (1.2, 1.5)]
    panel.xaxis.set_major_locator(FixedLocator([tick for tick in labelled if tick <= largest * 1.08]))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))


def _bound(result: RobustResult, objective: int) -> float:
    """The regret that no plan undercuts, of the kind that the criterion judges."""
    return (result.least_mean_regret if result.criterion == "mean" else result.least_worst_regret)[objective]


def _legend(result: RobustResult) -> list[Line2D]:
    kind = "mean" if result.criterion == "mean" else "worst"
    return [
        Line2D([], [], marker="o", linestyle="none", color=palette.BLUE, alpha=0.5, markersize=3, label="a condition"),
        Line2D(
            [],
            [],
            marker="D",
            linestyle="none",
            color="white",
            markeredgecolor=palette.BLUE,
            markersize=3.6,
            label="mean",
        ),
        Line2D(
            [], [], marker="|", linestyle="none", color=palette.BLUE, markersize=8, markeredgewidth=1.6, label="worst"
        ),
        Line2D([], [], color=palette.RED, linewidth=1.0, linestyle="--", label=f"no plan has a lower {kind}"),
    ]
