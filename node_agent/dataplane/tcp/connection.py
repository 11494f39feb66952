"""Records over one connected socket."""

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np

from node_agent.dataplane.encoded import Buffer, Piece
from node_agent.dataplane.tcp.pulse import PULSE
from node_agent.dataplane.tcp.records import (
    MAX_CONTENT_BYTES,
    MAX_ERROR_BYTES,
    NAMED,
    PREAMBLE_BYTES,
    RECORD,
    Record,
    Wanted,
    error_record,
    read_error,
    read_preamble,
)
from node_agent.dataplane.tcp.sockets import TICK_SECONDS, Transport
from node_agent.errors import FrameError, NodeError, NodeUnreachableError, RequestRejectedError
from node_agent.tls.contexts import refusal

_END_SECONDS = 0.5
"""Who ends a stream waits so long for a message that is just being written."""
_LEAVE_SECONDS = 1.0
"""Who frees a socket waits so long until others have left it."""
_KEPT_BYTES = 1 << 14
"""Read at once where it is not known yet how much comes."""
_MESSAGE = int(Record.MESSAGE)


class Connection:
    """Records over one socket. One thread reads, any write; each record is written whole before the next one."""

    def __init__(
        self, transport: Transport, *, peer: str, opened_by: float, patience_seconds: float, max_message_bytes: int
    ) -> None:
        """Takes over a transport.

        Args:
            transport: A connected one, its handshake done.
            peer: The other end, in words.
            opened_by: Until the stream is accepted, reads end at this moment on `time.monotonic`.
            patience_seconds: Afterwards the other end counts as gone after so much silence, heartbeats included.
            max_message_bytes: A longer message is refused before anything is allocated.
        """
        self.peer = peer
        self._transport = transport
        self._opened_by: float | None = opened_by
        self._patience_seconds = patience_seconds
        self._max_message_bytes = max_message_bytes
        self._reading, self._writing, self._ending = threading.Lock(), threading.Lock(), threading.Lock()
        self._has_ended = False
        self._kept = memoryview(bytearray(_KEPT_BYTES))
        self._n_used = self._n_kept = 0

    def read_wanted(self) -> Wanted:
        """What the end that dialed wants.

        Raises:
            NodeError: Something else came, or nothing in time.
        """
        start = memoryview(bytearray(PREAMBLE_BYTES))
        with self._reading:
            self._read_exactly(start)
        return read_preamble(start)

    def await_acceptance(self) -> None:
        """Returns when the other end has taken the stream.

        Raises:
            NodeError: It told why not, or did nothing in time.
        """
        record = self._next_record()
        if record is None or record[0] != Record.ACCEPTED:
            raise NodeUnreachableError(f"The {self.peer} has neither taken nor refused the stream.")
        self._opened()

    def accept(self) -> None:
        """Takes the stream.

        Raises:
            OSError: The other end is gone.
        """
        with self._writing:
            self._transport.write((NAMED[Record.ACCEPTED],), RECORD.size)
        self._opened()

    def _opened(self) -> None:
        self._opened_by = None
        PULSE.add(self)

    def messages(self) -> Iterator[Buffer]:
        """Messages as they come, read-only; ends when either end ends the stream.

        Raises:
            NodeError: The other end told an error, broke the rules, or is gone.
        """
        while (content := self._next_message()) is not None:
            yield content
            del content  # its memory is free for the next one, before that has come

    def _next_message(self) -> Buffer | None:
        record = self._next_record()
        if record is not None and record[0] != _MESSAGE:
            raise FrameError(f"The {self.peer} sent a record of kind {record[0]} in the middle of a stream.")
        return record and record[1]

    def _next_record(self) -> tuple[int, Buffer] | None:
        """Kind and content of the next one that is no heartbeat; None at the end."""
        with self._reading:
            while (header := self._read_header()) is not None:
                kind, n_bytes = header
                if kind == _MESSAGE:
                    content = self._read_content(n_bytes)
                    return None if content is None else (kind, content)
                if kind == Record.ERROR:
                    self._check_length(n_bytes, MAX_ERROR_BYTES)
                    raise read_error(self._read_content(n_bytes) or b"")
                self._check_length(n_bytes, 0)
                if kind == Record.END:
                    return None
                if kind != Record.HEARTBEAT:
                    return kind, b""
        return None

    def _check_length(self, n_bytes: int, limit: int) -> None:
        if n_bytes > limit:
            raise FrameError(f"The {self.peer} sent what is no record: at most {limit} bytes could follow.")

    def _read_header(self) -> tuple[int, int] | None:
        """Kind and length of the next record. What else has come by then is kept: small records cost one call each."""
        while self._n_kept - self._n_used < RECORD.size:
            rest = bytes(self._kept[self._n_used : self._n_kept])
            self._kept[: len(rest)] = rest
            n_more = self._wait_for(self._kept[len(rest) :], is_whole=False)
            if not n_more:
                return None
            self._n_used, self._n_kept = 0, len(rest) + n_more
        kind, n_bytes = RECORD.unpack_from(self._kept, self._n_used)
        self._n_used += RECORD.size
        return kind, n_bytes

    def _read_content(self, n_bytes: int) -> Buffer | None:
        """So many bytes in a buffer of their own, which the arrays of a frame are views of."""
        if n_bytes > self._max_message_bytes:
            raise RequestRejectedError(
                f"A message of {n_bytes} bytes is too much, at most {self._max_message_bytes} are taken: "
                "raise --max-message of the node, or send less at once."
            )
        end = self._n_used + n_bytes
        if end <= self._n_kept:
            content = bytes(self._kept[self._n_used : end])
            self._n_used = end
            return content
        fresh = np.empty(n_bytes, np.uint8).data
        return fresh.toreadonly() if self._read_exactly(fresh) else None

    def _read_exactly(self, view: memoryview) -> bool:
        """Reads as many bytes as `view` takes; False where this end has ended the stream."""
        n_read = min(self._n_kept - self._n_used, len(view))
        view[:n_read] = self._kept[self._n_used : self._n_used + n_read]
        self._n_used += n_read
        while n_read < len(view):
            n_more = self._wait_for(view[n_read:], is_whole=True)
            if not n_more:
                return False
            n_read += n_more
        return True

    def _wait_for(self, view: memoryview, *, is_whole: bool) -> int:
        """How many bytes came; 0 where this end has ended the stream."""
        silent_since = None
        while True:
            try:
                n_read = self._transport.read_into(view, is_whole=is_whole)
            except BlockingIOError:
                if self._has_ended:
                    return 0
                silent_since = silent_since or time.monotonic() - TICK_SECONDS
                self._check_time(silent_since)
                continue
            except OSError as exc:
                if self._has_ended:
                    return 0
                raise NodeUnreachableError(f"The {self.peer} is gone: {refusal(exc)}.") from exc
            if n_read == 0 and not self._has_ended:
                raise NodeUnreachableError(f"The {self.peer} is gone: it closed the connection within the stream.")
            if self._opened_by is not None:
                self._check_time(time.monotonic())
            return n_read

    def _check_time(self, silent_since: float) -> None:
        now = time.monotonic()
        if self._opened_by is not None:
            if now >= self._opened_by:
                raise NodeUnreachableError(f"The {self.peer} did not say what opens a stream in time.")
        elif now - silent_since >= self._patience_seconds:
            raise NodeUnreachableError(
                f"The {self.peer} has said nothing for {self._patience_seconds:g} s: it hangs, or is cut off."
            )

    def write_message(self, pieces: Sequence[Piece], n_bytes: int) -> None:
        """Writes a message of `n_bytes` where its pieces lie; waits while the other end takes nothing.

        Raises:
            OSError: The connection is broken, or the stream was ended here.
            FrameError: The message is too long for a record.
        """
        if n_bytes > MAX_CONTENT_BYTES:
            raise FrameError(
                f"A message of {n_bytes} bytes cannot be sent: at most {MAX_CONTENT_BYTES} travel at once."
            )
        with self._writing:
            if self._has_ended:
                raise BrokenPipeError(f"The stream with the {self.peer} has ended.")
            self._transport.write((RECORD.pack(Record.MESSAGE, n_bytes), *pieces), n_bytes + RECORD.size)

    def begin(self, opening: Sequence[Buffer]) -> None:
        """Writes what the end that dials begins with.

        Raises:
            OSError: The connection is broken.
        """
        with self._writing:
            self._transport.write(opening, sum(map(len, opening)))

    def beat(self) -> None:
        """Tells the other end that this process is at work, unless a message is just being written, which tells it."""
        if self._has_ended or not self._writing.acquire(blocking=False):
            return
        try:
            if self._transport.can_write():
                self._transport.write((NAMED[Record.HEARTBEAT],), RECORD.size)
        except OSError:
            return  # who reads finds out
        finally:
            self._writing.release()

    def end(self, error: NodeError | None = None) -> None:
        """Ends the stream and tells the other end, with the reason if any. Any thread; the first call counts."""
        with self._ending:
            if self._has_ended:
                return
            if not self._writing.acquire(timeout=_END_SECONDS):  # the other end takes nothing
                self._has_ended = True
                self._transport.shutdown()
                return
            try:
                self._has_ended = True
                self._say_last(error_record(error) if error else NAMED[Record.END])
            finally:
                self._writing.release()

    def _say_last(self, record: bytes) -> None:
        try:
            if self._transport.can_write():
                self._transport.write((record,), len(record))
                self._transport.finish()
                return
        except OSError:
            pass
        self._transport.shutdown()

    def drain(self, seconds: float) -> None:
        """Drops what still comes, until the other end has ended, too: else it might not get to read the reason."""
        deadline = time.monotonic() + seconds
        with self._reading:
            while time.monotonic() < deadline:
                try:
                    if not self._transport.read_into(self._kept, is_whole=False):
                        return
                except BlockingIOError:
                    continue
                except OSError:
                    return

    def close(self) -> None:
        """Ends the connection at once and frees its socket. Any thread, several times."""
        PULSE.remove(self)
        self._has_ended = True
        self._transport.shutdown()
        held = [lock for lock in (self._reading, self._writing) if lock.acquire(timeout=_LEAVE_SECONDS)]
        self._transport.close()
        for lock in held:
            lock.release()
