"""Sizes and files of a sweep's pictures for paper and slides."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

from coordinator.measurement import Estimate
from coordinator.report.figures import SCREEN_WIDTH, paper_style, save_drawing
from coordinator.report.sweep.series import FigureKind

SUFFIXES = (".png", ".svg", ".pdf")
POINTS_PER_INCH = 72
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How wide a picture is, and how large its letters."""

    suffix: str
    """Of the file's name."""
    width: float
    """Inches."""
    letter: float
    """Points."""
    dots_per_inch: int

    @property
    def is_wide(self) -> bool:
        """Whether panels have room side by side."""
        return self.width > 5


SIZES: dict[FigureKind, tuple[Size, ...]] = {
    "screen": (Size(suffix="", width=SCREEN_WIDTH, letter=8, dots_per_inch=200),),
    "paper": (
        Size(suffix="_1col", width=3.33, letter=8, dots_per_inch=300),
        Size(suffix="_2col", width=7.0, letter=8, dots_per_inch=300),
    ),
}
"""For paper: one column and both columns of a two-column page, at the width at which they are printed."""


def write_drawings(draw: Callable[[Size], Figure | None], folder: Path, name: str, kind: FigureKind) -> list[Path]:
    """Writes a picture in all sizes of its kind and in all formats; nothing where `draw` gives none.

    Raises:
        OSError: A file cannot be written.
    """
    written = []
    for size in SIZES[kind]:
        with paper_style(), matplotlib.rc_context({"font.size": size.letter, "legend.fontsize": size.letter}):
            figure = draw(size)
            if figure is not None:
                figure.draw_without_rendering()
                figure.set_layout_engine("none")  # found once, kept for all formats
                written += [
                    save_drawing(figure, folder / f"{name}{size.suffix}{suffix}", size.dots_per_inch)
                    for suffix in SUFFIXES
                ]
    return written


def mark(marker: str, label: str, size: float, **style: object) -> Line2D:
    """A legend entry without a line."""
    return Line2D([], [], linestyle="none", marker=marker, label=label, markersize=size, **style)  # type: ignore[arg-type]


def interval_bars(estimates: Sequence[Estimate]) -> list[list[float]]:
    """Lengths of error bars below and above, as matplotlib wants them: shape (2, n)."""
    return [
        [max(one.value - one.low, 0.0) for one in estimates],
        [max(one.high - one.value, 0.0) if math.isfinite(one.high) else 0.0 for one in estimates],
    ]


def thin_out(axis: XAxis | YAxis, most: int) -> None:
    """Leaves at most about so many marks of a logarithmic axis: powers of ten, or every other one."""
    marks = [float(mark) for mark in axis.get_majorticklocs()]
    if not isinstance(axis.get_major_locator(), FixedLocator) or len(marks) <= most:
        return
    tens = [mark for mark in marks if math.log10(mark) % 1 < ROUNDING or math.log10(mark) % 1 > 1 - ROUNDING]
    if len(tens) < 2:
        tens = marks[:: -(-len(marks) // most)]
    axis.set_major_locator(FixedLocator(tens[:: -(-len(tens) // most)]))
