"""A link whose rate and delay change: how long sending takes, and what the delay is, at a moment. Pure."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from node_agent.messages import LinkStep


class LinkTrace:
    """Steps, one after another and then from the beginning. Moments are seconds since the first of them began."""

    def __init__(self, steps: Sequence[LinkStep]) -> None:
        self._steps = tuple(steps)
        self._ends = tuple(accumulate(step.seconds for step in steps))
        self._bytes = math.fsum(step.seconds * step.bytes_per_second for step in steps)

    def sending_seconds(self, moment: float, n_bytes: float) -> float:
        """How long the link is busy with `n_bytes` that it begins to send at a moment."""
        n_rounds, left = divmod(n_bytes, self._bytes)
        seconds, (index, inside) = n_rounds * self._ends[-1], self._find(moment)
        while True:
            step = self._steps[index]
            more = step.seconds - inside
            if left <= more * step.bytes_per_second:
                return seconds + left / step.bytes_per_second
            left -= more * step.bytes_per_second
            seconds, index, inside = seconds + more, (index + 1) % len(self._steps), 0.0

    def delay_seconds(self, moment: float) -> float:
        """Of what the link has sent at a moment."""
        return self._steps[self._find(moment)[0]].delay_seconds

    def _find(self, moment: float) -> tuple[int, float]:
        """(number of the step, seconds since it began)."""
        within = math.fmod(max(moment, 0.0), self._ends[-1])
        index = min(bisect_right(self._ends, within), len(self._ends) - 1)
        return index, within - (self._ends[index - 1] if index else 0.0)
