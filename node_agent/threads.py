"""Threads beside the one at work."""

import threading
from collections.abc import Callable


def started(work: Callable[[], object], name: str) -> threading.Thread:
    """A daemon thread that is at work: whoever keeps it in an attribute keeps none that could not be started.

    Raises:
        RuntimeError: The system has no thread left.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def start_or_do(work: Callable[[], object], name: str) -> threading.Thread | None:
    """Has `work` done by a thread of its own, or does it now and here where the system has no thread left.

    Returns:
        The thread; None where the work is done.
    """
    try:
        return started(work, name)
    except RuntimeError:
        work()
        return None
