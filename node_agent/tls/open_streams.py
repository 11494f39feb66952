"""Streams that are open, over any plane: they end when the certificate that let them in counts no more."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from node_agent.errors import PeerRefusedError
from node_agent.threads import start_or_do, started

_LOOK_SECONDS = 0.25
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class OpenStream:
    """What a node has let in."""

    check: Callable[[], None]
    """Raises PeerRefusedError where the other end may not have it, as things stand now."""
    end: Callable[[PeerRefusedError], None]
    """Ends it and tells the other end why. Called by a thread of its own, several times perhaps."""


class OpenStreams:
    """Looks after the streams of a node. Thread-safe; its thread lives while there are any.

    Frames cost nothing: streams are checked again only when there is something new to judge them by.
    """

    def __init__(self, newest: Callable[[], object]) -> None:
        """None yet; `newest` gives what they are judged by, which is another object once that has changed."""
        self._newest = newest
        self._changed = threading.Condition()
        self._open: set[OpenStream] = set()
        self._thread: threading.Thread | None = None

    @contextmanager
    def holding(self, stream: OpenStream) -> Iterator[None]:
        """Looks after a stream while it lasts.

        Raises:
            PeerRefusedError: It may not begin.
        """
        with self._changed:
            if self._thread is None:
                self._thread = started(self._look_on, "open streams")
            self._open.add(stream)
        try:
            stream.check()  # only now: what is new from here on, the thread sees
            yield
        finally:
            with self._changed:
                self._open.discard(stream)
                self._changed.notify_all()

    def _look_on(self) -> None:
        judged_by = None
        while True:
            try:
                newest = self._newest()
            except Exception:
                _logger.exception("open streams could not be checked")
                newest = judged_by
            with self._changed:
                streams = tuple(self._open)
            if newest is not judged_by:
                judged_by = newest
                _end_refused(streams)
            with self._changed:
                self._changed.wait_for(lambda: not self._open, timeout=_LOOK_SECONDS)
                if not self._open:
                    self._thread = None
                    return


def _end_refused(streams: tuple[OpenStream, ...]) -> None:
    """Ends them side by side: one whose other end takes nothing needs half a second."""
    for stream in streams:
        try:
            stream.check()
        except PeerRefusedError as exc:
            _logger.warning("an open stream was ended", extra={"reason": str(exc)})
            reason = exc.with_traceback(None)
            start_or_do(partial(stream.end, reason), "end of a stream")
