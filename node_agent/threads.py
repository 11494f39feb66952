"""Threads beside the one at work."""

import threading
from collections.abc import Callable


def start_or_do(work: Callable[[], object], name: str) -> threading.Thread | None:
    """Has `work` done by a thread of its own, or does it now and here where the system has no thread left.

    Returns:
        The thread; None where the work is done.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        work()
        return None
    return thread
