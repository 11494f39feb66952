"""Where names stand beside points, so that none covers another; some stay away where there is no room."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.report.axes import AxisScale

SIDES = (
    *("top left", "top right", "bottom right", "bottom left"),
    *("middle right", "middle left", "top center", "bottom center"),
)
"""In the order in which they are tried; plotly's words."""
LINE_HEIGHT, SIGN_WIDTH = 1.15, 0.58
"""Of the size of the letters."""
GAP = 0.55
"""From a point to its name, in the same unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """A picture's panel."""

    width: float
    """In any unit, as the next two."""
    height: float
    letter: float
    """Size of the letters."""
    x_scale: AxisScale
    y_scale: AxisScale

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point is, from the lower left corner."""
        return _share(self.x_scale, x) * self.width, _share(self.y_scale, y) * self.height


_Box = tuple[float, float, float, float]


def upright_and_across(side: str) -> tuple[str, str]:
    """A side for matplotlib: how a name beside a point is anchored, `va` and `ha`."""
    upright, across = side.split()
    anchor = {"top": "bottom", "middle": "center", "bottom": "top"}[upright]
    return anchor, {"right": "left", "left": "right", "center": "center"}[across]


def offset(upright: str, across: str, gap: float) -> tuple[float, float]:
    """From a point to its name so anchored, in points."""
    up = {"bottom": 1.0, "top": -1.0, "center": 0.0}[upright]
    return {"left": gap, "right": -gap, "center": 0.0}[across], up * (gap if across == "center" else gap / 2)


def label_sides(
    canvas: Canvas, points: Sequence[tuple[float, float, str]], others: Sequence[tuple[float, float]] = ()
) -> list[str]:
    """A side for the name of each (x, y, name); empty where it has no room. First come, first served.

    Args:
        canvas: The panel.
        points: Those with names, which may have several lines.
        others: Points that no name may cover.
    """
    dots = [canvas.place(x, y) for x, y in [*((x, y) for x, y, _ in points), *others]]
    taken: list[_Box] = [_around(dot, canvas.letter * 0.35) for dot in dots]
    sides = []
    for (_, _, name), dot in zip(points, dots, strict=False):
        boxes = ((side, _box(canvas, dot, name, side)) for side in SIDES)
        own = _around(dot, canvas.letter * 0.35)
        free = next(
            (
                (side, box)
                for side, box in boxes
                if _is_inside(canvas, box) and not any(_overlap(box, one) for one in taken if one != own)
            ),
            None,
        )
        sides.append(free[0] if free else "")
        if free:
            taken.append(free[1])
    return sides


def _share(scale: AxisScale, value: float) -> float:
    if scale.is_logarithmic:
        return math.log(value / scale.low) / math.log(scale.high / scale.low)
    return (value - scale.low) / (scale.high - scale.low)


def _around(dot: tuple[float, float], half: float) -> _Box:
    return dot[0] - half, dot[1] - half, dot[0] + half, dot[1] + half


def _box(canvas: Canvas, dot: tuple[float, float], name: str, side: str) -> _Box:
    lines = name.split("\n")
    width, height = max(map(len, lines)) * SIGN_WIDTH * canvas.letter, len(lines) * LINE_HEIGHT * canvas.letter
    gap = GAP * canvas.letter
    left = dot[0] + gap if "right" in side else dot[0] - gap - width if "left" in side else dot[0] - width / 2
    if "middle" in side:
        bottom = dot[1] - height / 2
    else:
        gap = gap if "center" in side else gap / 2
        bottom = dot[1] + gap if "top" in side else dot[1] - gap - height
    return left, bottom, left + width, bottom + height


def _is_inside(canvas: Canvas, box: _Box) -> bool:
    """Within the panel, or over its edge by no more than there is margin."""
    slack = 1.5 * canvas.letter
    return box[0] >= -slack and box[1] >= 0 and box[2] <= canvas.width + slack and box[3] <= canvas.height


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
