"""The client: gives requests to the line, and takes down when each came and ended."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from partitioner.simulation.events import Clock, Count
from partitioner.simulation.line import Queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many requests come, and when."""

    n_warm_up: int
    n_measured: int
    n_after: int
    """They keep the line full until the last measured one ends."""
    window: float
    """Requests in flight; infinity where nothing limits them."""
    arrivals: Sequence[float] | None
    """Moments at which requests come, one for each; None where each comes when the window has room (closed loop)."""

    @property
    def n_total(self) -> int:
        """All that come."""
        return self.n_warm_up + self.n_measured + self.n_after


class Client:
    """Sends within the window; with a backlog where requests come by themselves."""

    def __init__(self, clock: Clock, load: Load, queue: Queue, on_result: Callable[[int], None]) -> None:
        """A client that fills `queue`, and tells of each result after it was taken down."""
        self.in_system = Count(clock)
        self.backlog = Count(clock)
        """Requests that came and wait for room in the window."""
        self.came_at = [0.0] * load.n_total
        self.ended_at = [0.0] * load.n_total
        self._clock = clock
        self._load = load
        self._queue = queue
        self._on_result = on_result
        self._n_come = 0
        self._n_sent = 0
        self._n_ended = 0

    def start(self) -> None:
        """Lets the first requests come."""
        if self._load.arrivals is None:
            self._send()
        else:
            self._clock.at(self._load.arrivals[0], self._come)

    def take_result(self, request: int) -> None:
        """Takes the result of the request that has waited longest."""
        self.ended_at[request] = self._clock.now
        self._n_ended += 1
        self.in_system.add(-1)
        self._on_result(request)
        self._send()

    def _come(self) -> None:
        arrivals = self._load.arrivals or ()
        self.came_at[self._n_come] = self._clock.now
        self._n_come += 1
        self.in_system.add(1)
        self.backlog.add(1)
        if self._n_come < self._load.n_total:
            self._clock.at(arrivals[self._n_come], self._come)
        self._send()

    def _send(self) -> None:
        is_open = self._load.arrivals is not None
        n_ready = self._n_come if is_open else self._load.n_total
        while self._n_sent < n_ready and self._n_sent - self._n_ended < self._load.window:
            request = self._n_sent
            self._n_sent += 1
            if is_open:
                self.backlog.add(-1)
            else:
                self.came_at[request] = self._clock.now
                self.in_system.add(1)
            self._queue.put(request)
