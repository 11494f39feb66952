"""Waiting until a moment, exactly, and devices that are emulated by waiting."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_FINE_SECONDS = 150e-6
"""What the operating system may oversleep; the rest of a wait is spent giving way to others, turn by turn."""

_NEVER = threading.Event()


def wait_until(moment: float, stop: threading.Event = _NEVER) -> bool:
    """Waits until `time.perf_counter()` shows `moment`, to about 0.1 ms.

    Args:
        moment: Seconds on the clock of `time.perf_counter`.
        stop: Ends the wait early when it is set.

    Returns:
        Whether the moment was reached; False when `stop` was set before.
    """
    while (left := moment - time.perf_counter()) > _FINE_SECONDS:
        if stop.wait(left - _FINE_SECONDS):
            return False
    while time.perf_counter() < moment:
        time.sleep(0)
    return True


class EmulatedDevice:
    """A device that does one thing after the other, each for as long as it is told, as its model says. Thread-safe.

    Without it the threads of a stage would decode, compute and encode at the same time on the emulating machine.
    """

    def __init__(self, stop: threading.Event) -> None:
        """An idle device; `stop` ends its waits early when it is set."""
        self._stop = stop
        self._lock = threading.Lock()
        self._free_at = 0.0

    @contextmanager
    def work(self, seconds: float) -> Iterator[float]:
        """Lasts no less than `seconds` from its turn on, which is when what was begun earlier is done.

        Gives the moment at which the work begins, by `time.perf_counter`. 0 seconds: nothing is emulated, and the turn
        is now. Work that fails does not last.
        """
        if seconds <= 0:
            yield time.perf_counter()
            return
        with self._lock:
            begin = max(time.perf_counter(), self._free_at)
            end = self._free_at = begin + seconds
        try:
            wait_until(begin, self._stop)
            yield begin
            wait_until(end, self._stop)
        finally:
            with self._lock:
                if self._free_at == end:  # nobody waits for this moment: it is now, early or late
                    self._free_at = time.perf_counter()
