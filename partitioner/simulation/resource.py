"""Devices and media, which serve one request after another."""

from collections import deque

from partitioner.simulation.events import Action, Clock
from partitioner.simulation.pace import FullPace, Pace


class Resource:
    """A device or a medium: serves one at a time, in the order of asking."""

    def __init__(self, name: str, clock: Clock, pace: Pace | None = None) -> None:
        """It works at a pace, the full one where that is None."""
        self.name = name
        self._clock = clock
        self._pace = pace or FullPace(clock)
        self._waiting: deque[tuple[float, Action, float, Action | None]] = deque()
        self._is_busy = False
        self._started_at = 0.0
        self._served_seconds = 0.0

    def serve(
        self, seconds: float, on_done: Action, ready_seconds: float = 0.0, on_ready: Action | None = None
    ) -> None:
        """Works when this request's turn has come after all before it; the arguments are those of `Pace.work`."""
        if self._is_busy:
            self._waiting.append((seconds, on_done, ready_seconds, on_ready))
        else:
            self._start(seconds, on_done, ready_seconds, on_ready)

    def busy_seconds(self) -> float:
        """Of work until now; of work under way, the time since it began."""
        return self._served_seconds + (self._clock.now - self._started_at if self._is_busy else 0.0)

    def _start(self, seconds: float, on_done: Action, ready_seconds: float, on_ready: Action | None) -> None:
        self._is_busy = True
        self._started_at = self._clock.now
        self._pace.work(seconds, lambda: self._finish(seconds, on_done), ready_seconds, on_ready)

    def _finish(self, seconds: float, on_done: Action) -> None:
        self._served_seconds += seconds
        self._is_busy = False
        if self._waiting:
            self._start(*self._waiting.popleft())
        on_done()
