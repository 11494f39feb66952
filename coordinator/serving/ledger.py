"""Requests and their attempts. Pure: events in, instructions out; no clock, no thread, no socket.

A request is *open* from `accept` until it ends, once, in an answer or an error. While it is open it *waits*, or it has
one attempt, which belongs to an epoch. An answer counts if it is of that very attempt; whatever else comes (an answer
of an epoch that was lost, a second answer) is dropped. When an epoch is lost, its attempts are, and their requests wait
again, in their order.

A request that was in flight too often when a node was lost may itself be what kills nodes. Before its last attempt it
is a *suspect*: it goes alone, so that it takes no other request with it, and none is blamed for it.
"""

from bisect import insort
from dataclasses import dataclass

MAX_ATTEMPTS = 3
"""Attempts of one request that may end with a lost node."""


@dataclass(slots=True)
class _Request:
    epoch: int | None = None
    """Of its attempt; None while it waits."""
    n_lost: int = 0
    """Attempts that ended with a lost node."""


class Ledger:
    """The books of one service. Not thread-safe: its user calls it under a lock."""

    def __init__(self, max_attempts: int = MAX_ATTEMPTS) -> None:
        self._max_attempts = max_attempts
        self._open: dict[int, _Request] = {}
        self._waiting: list[int] = []
        """Ascending."""
        self._next = 0
        self._epoch: int | None = None
        self.n_dropped = 0
        """Answers that came late or twice."""

    @property
    def n_open(self) -> int:
        """Requests that have not ended."""
        return len(self._open)

    @property
    def n_in_flight(self) -> int:
        """Requests with an attempt."""
        return len(self._open) - len(self._waiting)

    def in_flight(self, epoch: int) -> tuple[int, ...]:
        """Requests with an attempt in an epoch, oldest first."""
        return tuple(request for request, entry in self._open.items() if entry.epoch == epoch)

    def accept(self) -> int:
        """A new request, which waits."""
        request, self._next = self._next, self._next + 1
        self._open[request] = _Request()
        self._waiting.append(request)
        return request

    def begin_epoch(self, epoch: int) -> None:
        """Attempts belong to this epoch from now on. Those of earlier ones still count until `lose`."""
        self._epoch = epoch

    def hold(self) -> None:
        """No attempt begins until the next epoch does."""
        self._epoch = None

    def next_to_send(self, epoch: int) -> int | None:
        """The request to send now: its attempt begins. None where none is due in this epoch."""
        if epoch != self._epoch or not self._waiting or self._is_suspect_in_flight():
            return None
        if self._is_suspect(self._waiting[0]) and self.n_in_flight:
            return None
        request = self._waiting.pop(0)
        self._open[request].epoch = epoch
        return request

    def _is_suspect(self, request: int) -> bool:
        return self._max_attempts > 1 and self._open[request].n_lost >= self._max_attempts - 1

    def _is_suspect_in_flight(self) -> bool:
        """A suspect goes alone: if one is in flight, it is the only one."""
        return self.n_in_flight == 1 and any(
            entry.epoch is not None and self._is_suspect(request) for request, entry in self._open.items()
        )

    def end(self, epoch: int, request: int) -> bool:
        """An answer, or an error of a stage, came for an attempt; whether it counts: then the request has ended."""
        entry = self._open.get(request)
        if entry is None or entry.epoch != epoch:
            self.n_dropped += 1
            return False
        del self._open[request]
        return True

    def lose(self, epoch: int, *, is_blamed: bool = True) -> tuple[int, ...]:
        """No attempt of this epoch will be answered, and none begins in it any more.

        Args:
            epoch: Which is lost.
            is_blamed: Whether its requests may be the reason; not where a plan is changed as is wished.

        Returns:
            Requests that have ended with it, since they have no attempts left. All others wait again.
        """
        if epoch == self._epoch:
            self._epoch = None
        ended = []
        for request in self.in_flight(epoch):
            entry = self._open[request]
            entry.epoch = None
            entry.n_lost += is_blamed
            if entry.n_lost >= self._max_attempts:
                del self._open[request]
                ended.append(request)
            else:
                insort(self._waiting, request)
        return tuple(ended)

    def end_all(self) -> tuple[int, ...]:
        """Nothing more will be answered: all open requests have ended."""
        ended, self._open = tuple(self._open), {}
        self._waiting.clear()
        return ended
