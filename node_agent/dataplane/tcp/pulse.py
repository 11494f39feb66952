"""Heartbeats of this process on all its connections.

A frozen process still acknowledges packets, since the kernel does that: only what the process itself says shows that
it is at work. A thread of its own says it, whatever others compute or wait for. It says it to the end that dialed over
the direction that no frames fill, so that a slow link does not look like a dead node.
"""

import threading
from typing import Protocol

from node_agent.threads import started

BEAT_SECONDS = 1.0


class Beating(Protocol):
    """Something that heartbeats are said on."""

    def beat(self) -> None:
        """Says one; never waits."""
        ...


class Pulse:
    """Has connections say a heartbeat every second. Thread-safe; its thread lives while there are any."""

    def __init__(self, beat_seconds: float = BEAT_SECONDS) -> None:
        self._beat_seconds = beat_seconds
        self._changed = threading.Condition()
        self._beating: set[Beating] = set()
        self._thread: threading.Thread | None = None

    @property
    def is_beating(self) -> bool:
        """Whether its thread lives."""
        return self._thread is not None

    def add(self, connection: Beating) -> None:
        """Begins with a connection."""
        with self._changed:
            if self._thread is None:
                self._thread = started(self._beat, "heartbeats")
            self._beating.add(connection)

    def remove(self, connection: Beating) -> None:
        """Ends with a connection; one that is not there is no fault."""
        with self._changed:
            self._beating.discard(connection)
            self._changed.notify_all()

    def _beat(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._beating, timeout=self._beat_seconds)
                if not self._beating:
                    self._thread = None
                    return
                beating = tuple(self._beating)
            for connection in beating:
                connection.beat()


PULSE = Pulse()
"""Of this process."""
