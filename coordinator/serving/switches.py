"""Switches of plans that were asked for, each until it ends once."""

import threading
from collections import deque
from concurrent.futures import Future

from coordinator.errors import GivenUpError
from partitioner.plan import Candidate


class Switches:
    """In the order in which they were asked for. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Candidate, Future[None]]] = deque()
        self._is_over = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def ask(self, candidate: Candidate) -> "Future[None]":
        """Has a plan serve; the future is done once it does, or ends in why it does not."""
        wish: Future[None] = Future()
        wish.set_running_or_notify_cancel()  # from now on it ends by us alone
        with self._lock:
            if self._is_over:
                _end(wish)
            else:
                self._waiting.append((candidate, wish))
        return wish

    def take(self) -> "tuple[Candidate, Future[None]]":
        """The one that waits longest."""
        return self._waiting.popleft()

    def end(self) -> None:
        """Ends all that wait, and all that come, in an error."""
        with self._lock:
            self._is_over = True
        while self._waiting:
            _end(self.take()[1])


def _end(wish: "Future[None]") -> None:
    wish.set_exception(GivenUpError("The service ended before the plan was switched."))
