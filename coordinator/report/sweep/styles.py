"""Colours and markers of conditions and plans, and how sure a place on a front is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from coordinator.report import palette
from coordinator.report.sweep.series import ConditionSeries, PlanPoint

SURE, UNLIKELY = 0.9, 0.1
"""Front probabilities from which a plan is on the front for sure, and below which it is not."""
MOST_PANELS = 12
"""Small multiples of one picture."""

T = TypeVar("T")
FrontState = Literal["sure", "unsure", "beaten"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How one of several things is drawn; told apart without colour, too."""

    colour: str
    plotly_symbol: str
    marker: str
    """The same for matplotlib."""
    hatch: str
    """Of areas, for matplotlib."""


_SYMBOLS = (
    ("circle", "o", ""),
    ("square", "s", "///"),
    ("diamond", "D", "..."),
    ("triangle-up", "^", "\\\\\\"),
    ("triangle-down", "v", "xxx"),
    ("pentagon", "p", "++"),
    ("hexagram", "*", "oo"),
    ("x", "X", "--"),
)
_COLOURS = (
    palette.BLUE,
    palette.RED,
    palette.GREEN,
    palette.YELLOW,
    palette.CYAN,
    palette.PURPLE,
    palette.GREY,
)


def style_of(index: int) -> Style:
    """Style of the thing of this number; they repeat after 56."""
    symbol, marker, hatch = _SYMBOLS[index % len(_SYMBOLS)]
    return Style(colour=_COLOURS[index % len(_COLOURS)], plotly_symbol=symbol, marker=marker, hatch=hatch)


def front_state(point: PlanPoint) -> FrontState:
    """How sure its place on the front is."""
    if point.front_probability is None:
        return "sure" if point.is_on_front else "beaten"
    if point.front_probability >= SURE:
        return "sure"
    return "unsure" if point.is_on_front or point.front_probability >= UNLIKELY else "beaten"


def evenly(items: Sequence[T], most: int = MOST_PANELS) -> tuple[T, ...]:
    """All items, or so many of them from the first to the last."""
    if len(items) <= most:
        return tuple(items)
    return tuple(items[round(place * (len(items) - 1) / (most - 1))] for place in range(most))


def faulty_words(points: Sequence[PlanPoint]) -> str:
    """How many attempts came to nothing, and which plans therefore have no figures; empty where none."""
    n_invalid = sum(point.n_runs("invalid") for point in points)
    n_failed = sum(point.n_runs("failed") for point in points)
    counts = [f"{n} {word}" for n, word in ((n_invalid, "invalid"), (n_failed, "failed")) if n]
    lacking = [point.plan for point in points if not point.is_whole]
    if lacking:
        named = ", ".join(lacking[:3]) + (f" and {len(lacking) - 3} more" if len(lacking) > 3 else "")
        counts.append(f"no figures of {named}")
    return ", ".join(counts)


def network_words(condition: ConditionSeries) -> str:
    """`round trip 50 ms, 30 Mbit/s`; empty where nobody looked."""
    parts = []
    if condition.round_trip_seconds is not None:
        parts.append(f"round trip {condition.round_trip_seconds * 1e3:,.3g} ms")
    if condition.bytes_per_second is not None:
        parts.append(f"{condition.bytes_per_second * 8 / 1e6:,.3g} Mbit/s")
    return ", ".join(parts)
