"""Simulated time: a clock that runs events in order, servers that one after another holds, and counts over time."""

from collections import deque
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


def _nothing() -> None:
    """What happens where nothing is asked for."""


class Resource:
    """A device or a medium: serves one at a time, in the order of asking."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self._clock = clock
        self._waiting: deque[tuple[float, Action, Action]] = deque()
        self._is_busy = False
        self._started_at = 0.0
        self._served_seconds = 0.0

    def serve(self, seconds: float, on_done: Action, on_begin: Action = _nothing) -> None:
        """Calls `on_begin`, and after `seconds` `on_done`, when this request's turn has come after all before it."""
        if self._is_busy:
            self._waiting.append((seconds, on_done, on_begin))
        else:
            self._start(seconds, on_done, on_begin)

    def busy_seconds(self) -> float:
        """For how long it was busy until now."""
        return self._served_seconds + (self._clock.now - self._started_at if self._is_busy else 0.0)

    def _start(self, seconds: float, on_done: Action, on_begin: Action) -> None:
        self._is_busy = True
        self._started_at = self._clock.now
        on_begin()
        self._clock.at(self._clock.now + seconds, lambda: self._finish(seconds, on_done))

    def _finish(self, seconds: float, on_done: Action) -> None:
        self._served_seconds += seconds
        self._is_busy = False
        if self._waiting:
            self._start(*self._waiting.popleft())
        on_done()


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
