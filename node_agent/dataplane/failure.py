"""A failure that ends something for good, and those who want to know."""

import threading
from collections.abc import Callable

from node_agent.errors import NodeError

Listener = Callable[[NodeError], None]


class FailureLatch:
    """Keeps the first failure it is given and tells its listeners, once each. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._error: NodeError | None = None
        self._listeners: list[Listener] = []

    @property
    def error(self) -> NodeError | None:
        """The failure, or None while there is none."""
        return self._error

    def set(self, error: NodeError) -> bool:
        """Latches `error`; False when another one was first."""
        with self._lock:
            if self._error is not None:
                return False
            self._error = error
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener(error)
        return True

    def listen(self, listener: Listener) -> None:
        """Has `listener` called with the failure: at once when it is there, by the failing thread otherwise."""
        with self._lock:
            if self._error is None:
                self._listeners.append(listener)
                return
            error = self._error
        listener(error)

    def ignore(self, listener: Listener) -> None:
        """Takes `listener` off the list; one that is not on it is no fault."""
        with self._lock:
            self._listeners = [kept for kept in self._listeners if kept != listener]

    def check(self) -> None:
        """Raises the failure where there is one, afresh, so that tracebacks of several threads do not mix."""
        if self._error is not None:
            raise type(self._error)(*self._error.args)
