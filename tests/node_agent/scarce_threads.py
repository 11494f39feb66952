"""A system that has no thread left for a while."""

import threading
from contextlib import contextmanager
from unittest import mock


@contextmanager
def no_threads_left(named=""):
    """For threads whose names begin so."""
    really_start = threading.Thread.start

    def start(thread):
        if thread.name.startswith(named):
            raise RuntimeError("can't start new thread")
        really_start(thread)

    with mock.patch.object(threading.Thread, "start", start):
        yield
