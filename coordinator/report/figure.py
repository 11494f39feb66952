"""A plotly figure as plain values. Only `page` needs plotly to show it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coordinator.measurement import Estimate
from coordinator.report.axes import AxisScale

Json = Mapping[str, object]
"""An object in plotly's own words: https://plotly.com/javascript/reference/."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One interactive picture and what stands under it."""

    name: str
    """Short, for the element and the file that a reader saves."""
    caption: str
    """What is shown and how to read it."""
    traces: tuple[Json, ...]
    layout: Json
    height: int
    """Pixels."""


def axis(title: str, **settings: object) -> dict[str, object]:
    """An axis with the settings that all axes share."""
    return {
        "title": {"text": title, "standoff": 10},
        "automargin": True,
        "ticks": "outside",
        "ticklen": 4,
        "zeroline": False,
        **settings,
    }


def scaled_axis(title: str, scale: AxisScale, **settings: object) -> dict[str, object]:
    """A number axis whose first view is `scale`; logarithmic ones take exponents as range."""
    if not scale.is_logarithmic:
        return axis(title, range=[scale.low, scale.high], **settings)
    ends = [math.log10(scale.low), math.log10(scale.high)]
    marks: object = "D2" if scale.high < 1e3 * scale.low else 1  # 1-2-5, or powers of ten alone
    return axis(title, type="log", range=ends, tickformat=",.3~r", dtick=marks, **settings)


def legend_below(offset: float) -> dict[str, object]:
    """A horizontal legend under the axis; `offset` is its distance as a part of the plot's height."""
    return {"orientation": "h", "x": 0, "xanchor": "left", "y": -offset, "yanchor": "top", "font": {"size": 12}}


def legend_above() -> dict[str, object]:
    """A horizontal legend over the plot, in the order of the traces."""
    return {**legend_below(0), "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}


def lane_axis(labels: Sequence[str]) -> dict[str, object]:
    """An upright axis of named lanes, the first on top."""
    return axis(
        "",
        type="category",
        categoryorder="array",
        categoryarray=list(labels),
        autorange="reversed",
        tickcolor="rgba(0,0,0,0)",
        ticklen=6,
    )


def error_bars(estimates: Sequence[Estimate], factor: float, colour: str) -> Json:
    """Bars to the ends of the intervals, `factor` times as long; an infinite end is left out."""
    above = [(estimate.high - estimate.value) * factor for estimate in estimates]
    below = [(estimate.value - estimate.low) * factor for estimate in estimates]
    return {
        "type": "data",
        "symmetric": False,
        "array": [width if math.isfinite(width) else None for width in above],
        "arrayminus": [width if math.isfinite(width) else None for width in below],
        "color": colour,
        "thickness": 1.4,
        "width": 3,
    }


def lines(parts: Sequence[str]) -> str:
    """Lines of a hover box."""
    return "<br>".join(parts)
