"""How an axis is scaled, the same for the page and for paper."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOGARITHMIC_FROM = 12.0
"""Ratio of the largest to the least value from which a linear axis would hide the small ones."""
MANY_DECADES = 1e4
"""Ratio of the ends of an axis beyond which marks within decades would touch."""
PADDING = 0.12
"""Free room at each end, as a part of the axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisScale:
    """First view of an axis."""

    is_logarithmic: bool
    low: float
    high: float


def scale_for(values: Sequence[float]) -> AxisScale:
    """A view that holds all `values` (positive) with room around them; a unit axis when there are none."""
    if not values:
        return AxisScale(is_logarithmic=False, low=0.0, high=1.0)
    low, high = min(values), max(values)
    if high / low >= LOGARITHMIC_FROM:
        room = (high / low) ** PADDING
        return AxisScale(is_logarithmic=True, low=low / room, high=high * room)
    room = max((high - low) * PADDING, high * 0.05)
    return AxisScale(is_logarithmic=False, low=max(low - room, 0.0), high=high + room)


def nice_ticks(scale: AxisScale) -> tuple[float, ...]:
    """1-2-5 marks inside a logarithmic view, or powers of ten where it spans many."""
    first, last = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))
    digits = (1,) if scale.high / scale.low > MANY_DECADES else (1, 2, 5)
    marks = (digit * 10.0**power for power in range(first, last + 1) for digit in digits)
    return tuple(mark for mark in marks if scale.low <= mark <= scale.high)


def byte_ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Marks of a logarithmic axis of bytes, with their words: `1 KiB`, `10 KiB`, `100 KiB`, `1 MiB`."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    marks = (
        (digits * 1024.0**power, f"{digits} {unit}") for power, unit in enumerate(units) for digits in (1, 10, 100)
    )
    return tuple((mark, words) for mark, words in marks if low <= mark <= high)
