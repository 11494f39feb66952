"""The reading half of a connection: records as they come, in time."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import NoReturn, TypeVar

import numpy as np

from node_agent.dataplane.encoded import Buffer
from node_agent.dataplane.tcp.records import MAX_ERROR_BYTES, RECORD, Record, read_error
from node_agent.dataplane.tcp.sockets import TICK_SECONDS, Transport
from node_agent.errors import FrameError, NodeUnreachableError, RequestRejectedError
from node_agent.tls.contexts import refusal

_AHEAD_BYTES = 1 << 16
"""Read at once where records are small: several cost one call."""
_SHORT_BYTES = 1 << 10
"""Read at once where they are large: what is read ahead of them is copied once more, and a larger read that begins
while the sender is still writing keeps it from that (150 kB took it 68 µs then, and 30 otherwise)."""
_LARGE_BYTES = _AHEAD_BYTES // 4
_MESSAGE = int(Record.MESSAGE)
_HEADER_BYTES = RECORD.size
_read_header = RECORD.unpack_from

Wanted = TypeVar("Wanted")
Got = TypeVar("Got", bytes, int)


def _nothing(wanted: object) -> NoReturn:  # noqa: ARG001 - reads like the others
    raise BlockingIOError


class RecordReader:
    """Records over one transport. Whoever reads holds `lock`; `stop` may be called by any thread."""

    def __init__(
        self, transport: Transport, *, peer: str, opened_by: float, patience_seconds: float, max_message_bytes: int
    ) -> None:
        """As `Connection`."""
        self.lock = threading.Lock()
        self._peer = peer
        self._read: Callable[[int], bytes] = transport.read
        self._read_into: Callable[[memoryview], int] = transport.read_into
        self._opened_by: float | None = opened_by
        self._patience_seconds = patience_seconds
        self._max_message_bytes = max_message_bytes
        self._is_stopped = False
        self._kept = b""
        self._n_used = 0
        self._n_ahead = _SHORT_BYTES

    def open(self) -> None:
        """The stream is accepted: from now on silence counts, and not the moment until which it was to be."""
        self._opened_by = None

    def stop(self, *, at_once: bool) -> None:
        """Whoever reads is at the end when nothing comes for a tick; `at_once`: even where the other end goes on."""
        self._is_stopped = True
        if at_once:
            self._read = self._read_into = _nothing

    def start(self, n_bytes: int) -> bytes:
        """So many bytes that are no record; zeroes for what is missing where this end stopped.

        Raises:
            NodeError: They did not come in time.
        """
        with self.lock:
            while len(self._kept) < n_bytes and self._keep_more():
                pass
        self._n_used = n_bytes
        return self._kept[:n_bytes].ljust(n_bytes, b"\0")

    def messages(self) -> Iterator[Buffer]:
        """See `Connection.messages`."""
        while (content := self.content_of(_MESSAGE)) is not None:
            yield content
            del content  # its memory is free for the next one, before that has come

    def content_of(self, wanted: int) -> Buffer | None:
        """Content of the next record that is no heartbeat, and of that kind; None at the end.

        Raises:
            NodeError: The other end told an error, broke the rules, or is gone.
        """
        self.lock.acquire()  # `with` takes twice as long
        try:
            while True:
                start = self._n_used + _HEADER_BYTES
                if start > len(self._kept):
                    if not self._keep_more():
                        return None
                    continue
                kind, n_bytes = _read_header(self._kept, self._n_used)
                self._n_used = start
                if kind == _MESSAGE == wanted:
                    if n_bytes > self._max_message_bytes:
                        raise self._too_long(n_bytes)
                    self._n_ahead = _SHORT_BYTES if n_bytes > _LARGE_BYTES else _AHEAD_BYTES
                    return self._content(n_bytes)
                self._check_other(kind, n_bytes)
                if kind == Record.END:
                    return None
                if kind == wanted:
                    return b""
                if kind != Record.HEARTBEAT:
                    raise FrameError(f"The {self._peer} sent a record of kind {kind} where {wanted} was due.")
        finally:
            self.lock.release()

    def _check_other(self, kind: int, n_bytes: int) -> None:
        """Reads the error that a record is, refuses one that is too long."""
        limit = MAX_ERROR_BYTES if kind == Record.ERROR else 0
        if n_bytes > limit:
            raise FrameError(f"The {self._peer} sent what is no record: at most {limit} bytes could follow.")
        if kind == Record.ERROR:
            raise read_error(self._content(n_bytes) or b"")

    def _too_long(self, n_bytes: int) -> RequestRejectedError:
        return RequestRejectedError(
            f"A message of {n_bytes} bytes is too much, at most {self._max_message_bytes} are taken: "
            "raise --max-message of the node, or send less at once."
        )

    def _content(self, n_bytes: int) -> Buffer | None:
        """So many bytes, of which the arrays of a frame are views; None where this end stopped."""
        start = self._n_used
        end = self._n_used = start + n_bytes
        kept = self._kept
        if end <= len(kept):
            return kept[start:end]
        fresh = np.empty(n_bytes, np.uint8).data
        n_read = len(kept) - start
        fresh[:n_read] = kept[start:] if start else kept
        self._kept, self._n_used = b"", 0
        while n_read < n_bytes:
            n_more = self._wait(self._read_into, fresh[n_read:])
            if n_more is None:
                return None
            n_read += n_more
        return fresh.toreadonly()

    def _keep_more(self) -> bool:
        """Reads what is there; False where this end stopped."""
        more = self._wait(self._read, self._n_ahead)
        if more is None:
            return False
        self._kept = self._kept[self._n_used :] + more
        self._n_used = 0
        return True

    def _wait(self, read: Callable[[Wanted], Got], wanted: Wanted) -> Got | None:
        """What came, or how much; None where this end stopped."""
        silent_since = None
        while True:
            try:
                got = read(wanted)
            except BlockingIOError:
                if self._is_stopped:
                    return None
                silent_since = silent_since or time.monotonic() - TICK_SECONDS
                self._check_time(silent_since)
                continue
            except OSError as exc:
                if self._is_stopped:
                    return None
                raise NodeUnreachableError(f"The {self._peer} is gone: {refusal(exc)}.") from exc
            if not got:
                if self._is_stopped:
                    return None
                raise NodeUnreachableError(f"The {self._peer} is gone: it closed the connection within the stream.")
            if self._opened_by is not None:
                self._check_time(time.monotonic())
            return got

    def _check_time(self, silent_since: float) -> None:
        now = time.monotonic()
        if self._opened_by is not None:
            if now >= self._opened_by:
                raise NodeUnreachableError(f"The {self._peer} did not say what opens a stream in time.")
        elif now - silent_since >= self._patience_seconds:
            raise NodeUnreachableError(
                f"The {self._peer} has said nothing for {self._patience_seconds:g} s: it hangs, or is cut off."
            )
