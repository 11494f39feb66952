"""Waiting until a moment, exactly."""

import threading
import time

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
