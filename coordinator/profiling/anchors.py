"""Whether times of an earlier day still hold: a few segments are timed again and compared."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from coordinator.profiling.spans import Span

MOST_DRIFT = 0.05
"""Of the median ratio of new to old times, beyond which the old ones are not used."""

FEWEST_SAMPLES = 6
"""Old samples that make a segment worth comparing."""

_SHORTEST_SECONDS = 300e-6
"""A quicker segment says more about the clock than about the machine."""


def choose_anchors(seconds_of: Mapping[Span, float]) -> tuple[Span, ...]:
    """Up to three of the spans: the longest (the whole, where it is there), a middle one, and one short but not tiny.

    Args:
        seconds_of: Known time of each span; none gives no anchors.
    """
    if not seconds_of:
        return ()
    longest = max(seconds_of, key=lambda span: (span[1] - span[0], seconds_of[span]))
    lasting = [span for span in seconds_of if seconds_of[span] >= _SHORTEST_SECONDS] or [longest]
    short = min(lasting, key=lambda span: seconds_of[span])
    aim = math.log(seconds_of[longest] * seconds_of[short]) / 2
    middle = min(lasting, key=lambda span: abs(math.log(seconds_of[span]) - aim))
    return tuple(dict.fromkeys((longest, middle, short)))


def drift_between(old: Mapping[Span, Sequence[float]], new: Mapping[Span, Sequence[float]]) -> float | None:
    """Median over the spans of both of new over old median times; None where none can be compared."""
    common = [span for span in old if span in new and len(old[span]) >= FEWEST_SAMPLES]
    return median(median(new[span]) / median(old[span]) for span in common) if common else None


def is_drift(ratio: float | None) -> bool:
    """Whether old times must not be used."""
    return ratio is not None and abs(ratio - 1) > MOST_DRIFT
