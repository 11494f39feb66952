"""Progress in lines, where no bars can be drawn: into a file, a pipe, the log of a service."""

import threading
import time
from collections.abc import Callable

LINE_SECONDS = 10.0
"""Between lines, at least."""


class ProgressLines:
    """Says how far the lanes of a step are, all in one line, and when the step has ended; nothing after that.

    Called from several threads, whose work neither a full disk ends nor a pipe that nobody reads: no more is said then.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._began = self._said = clock()
        self._stands: dict[str, str] = {}
        self._is_over = False
        self._lock = threading.Lock()

    def __call__(self, lane: str, n_done: int, n_total: int, what: str = "") -> None:
        """Notes how far a lane is, and says it where the last line is long ago."""
        with self._lock:
            self._stands[lane] = f"{lane} {n_done}/{n_total} {what}".rstrip()
            now = self._clock()
            if now - self._said >= LINE_SECONDS:
                self._said = now
                self._tell("; ".join(self._stands.values()))

    def end(self) -> None:
        """Says that the step is done."""
        with self._lock:
            self._tell(f"done after {self._clock() - self._began:.1f} s")
            self._is_over = True

    def _tell(self, text: str) -> None:
        if self._is_over:
            return
        try:
            self._say(f"  {text}")
        except (OSError, SystemExit):  # rich exits where nobody reads what it prints
            self._is_over = True
