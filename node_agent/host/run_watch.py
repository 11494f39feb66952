"""Ends runs that take too long, or during which the agent takes too much memory: a loop may depend on what comes in."""

import threading
import time
from collections.abc import Callable
from typing import Protocol

from node_agent.limits import size_text
from node_agent.threads import started

_LOOK_SECONDS = 0.25


class WatchedSession(Protocol):
    """What is watched."""

    @property
    def running_since(self) -> float | None:
        """When its run began, on the clock `time.monotonic`; None while it does not run."""
        ...

    def interrupt(self, reason: str) -> None:
        """Ends its run, which then fails for `reason`; nothing where it has ended."""
        ...


class RunWatch:
    """Watches sessions from one thread, which is there while there are sessions. Thread-safe."""

    def __init__(self, run_seconds: float, memory_limit: int, held_bytes: Callable[[], int]) -> None:
        """Begins without sessions.

        Args:
            run_seconds: Most that a run may take.
            memory_limit: Bytes above which the longest run ends.
            held_bytes: Says how many bytes the agent holds.
        """
        self._run_seconds = run_seconds
        self._memory_limit = memory_limit
        self._held_bytes = held_bytes
        self._changed = threading.Condition()
        self._sessions: list[WatchedSession] = []
        self._thread: threading.Thread | None = None

    def add(self, session: WatchedSession) -> None:
        """Watches a session from now on."""
        with self._changed:
            if self._thread is None:
                self._thread = started(self._look_on, "run watch")
            self._sessions.append(session)

    def remove(self, session: WatchedSession) -> None:
        """Lets a session go; once is enough."""
        with self._changed:
            self._sessions = [other for other in self._sessions if other is not session]
            self._changed.notify_all()

    def _look_on(self) -> None:
        while True:
            with self._changed:
                if self._sessions:
                    self._changed.wait(_LOOK_SECONDS)
                if not self._sessions:
                    self._thread = None
                    return
                sessions = tuple(self._sessions)
            self.look(sessions, time.monotonic())

    def look(self, sessions: tuple[WatchedSession, ...], now: float) -> None:
        """Ends what has to be ended of `sessions`."""
        starts = ((session.running_since, session) for session in sessions)
        running = [(now - since, session) for since, session in starts if since is not None]
        for seconds, session in running:
            if seconds > self._run_seconds:
                session.interrupt(f"it took more than the limit, --run-seconds {self._run_seconds:g}")
        if not running:
            return
        seconds, longest = max(running, key=lambda pair: pair[0])
        if seconds >= _LOOK_SECONDS and (held := self._held_bytes()) > self._memory_limit:
            longest.interrupt(
                f"the agent holds {size_text(held)} of memory, above the limit, --max-memory "
                f"{size_text(self._memory_limit)}"
            )
