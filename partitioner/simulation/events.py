"""Simulated time: a clock that runs events in order, and counts over time."""

from collections.abc import Callable
from heapq import heappop, heappush

Action = Callable[[], None]


class Clock:
    """Runs actions in the order of their moments; of equal moments, in the order in which they were asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds since the first arrival could come."""
        self._events: list[tuple[float, int, Action]] = []
        self._n_asked = 0
        self._is_stopped = False

    def at(self, moment: float, action: Action) -> None:
        """Runs `action` at `moment`, which is not before `now`."""
        self._n_asked += 1
        heappush(self._events, (moment, self._n_asked, action))

    def stop(self) -> None:
        """Ends `run` after the present event."""
        self._is_stopped = True

    def run(self) -> None:
        """Runs events until none is left, or `stop` was called."""
        events = self._events
        while events and not self._is_stopped:
            self.now, _, action = heappop(events)
            action()


class Count:
    """A number that changes in time, its mean over time and its peak."""

    def __init__(self, clock: Clock) -> None:
        self.value = 0
        self.peak = 0
        self._clock = clock
        self._changed_at = 0.0
        self._area = 0.0

    def add(self, change: int) -> None:
        """Changes the number now."""
        now = self._clock.now
        self._area += self.value * (now - self._changed_at)
        self._changed_at = now
        self.value += change
        self.peak = max(self.peak, self.value)

    def area(self) -> float:
        """Integral over time until now."""
        return self._area + self.value * (self._clock.now - self._changed_at)
