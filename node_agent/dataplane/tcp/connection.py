"""Records over one connected socket."""

import threading
import time
from collections.abc import Iterator, Sequence

from node_agent.dataplane.encoded import Buffer, EncodedFrame
from node_agent.dataplane.tcp.pulse import PULSE
from node_agent.dataplane.tcp.reading import RecordReader
from node_agent.dataplane.tcp.records import (
    MAX_CONTENT_BYTES,
    NAMED,
    PREAMBLE_BYTES,
    RECORD,
    Record,
    Wanted,
    error_record,
    read_preamble,
)
from node_agent.dataplane.tcp.sockets import Transport
from node_agent.errors import FrameError, NodeError, NodeUnreachableError

_END_SECONDS = 0.5
"""Who ends a stream waits so long for a message that is just being written, and for room to say that it ends."""
_LEAVE_SECONDS = 1.0
"""Who frees a socket waits so long until others have left it."""
_DRAINED_BYTES = 1 << 16
_MESSAGE = int(Record.MESSAGE)
_RECORD_BYTES = RECORD.size
_record = RECORD.pack
_now = time.perf_counter


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
        self.busy_seconds = 0.0
        """Spent in writing messages."""
        self.sent_bytes = 0
        """Of messages."""
        self._transport = transport
        self._reader = RecordReader(
            transport,
            peer=peer,
            opened_by=opened_by,
            patience_seconds=patience_seconds,
            max_message_bytes=max_message_bytes,
        )
        self._writing, self._ending = threading.Lock(), threading.Lock()
        self._has_ended = False

    def read_wanted(self) -> Wanted:
        """What the end that dialed wants.

        Raises:
            NodeError: Something else came, or nothing in time.
        """
        return read_preamble(self._reader.start(PREAMBLE_BYTES))

    def await_acceptance(self) -> None:
        """Returns when the other end has taken the stream.

        Raises:
            NodeError: It told why not, or did nothing in time.
        """
        if self._reader.content_of(Record.ACCEPTED) is None:
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
        self._reader.open()
        PULSE.add(self)

    def messages(self) -> Iterator[Buffer]:
        """Messages as they come, read-only; ends when either end ends the stream.

        Raises:
            NodeError: The other end told an error, broke the rules, or is gone.
        """
        return self._reader.messages()

    def write_message(self, message: EncodedFrame) -> None:
        """Writes a message, its tensors from where they lie; waits while the other end takes nothing.

        Raises:
            OSError: The connection is broken, or the stream was ended here.
            FrameError: The message is too long for a record.
        """
        n_bytes = message.n_bytes
        if n_bytes > MAX_CONTENT_BYTES:
            raise FrameError(
                f"A message of {n_bytes} bytes cannot be sent: at most {MAX_CONTENT_BYTES} travel at once."
            )
        self._writing.acquire()  # `with` takes twice as long
        try:
            if self._has_ended:
                raise BrokenPipeError(f"The stream with the {self.peer} has ended.")
            started = _now()
            self._transport.write(message.pieces(_record(_MESSAGE, n_bytes)), n_bytes + _RECORD_BYTES)
            self.busy_seconds += _now() - started
            self.sent_bytes += n_bytes
        finally:
            self._writing.release()

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
        """Ends the stream and tells the other end, with the reason if any. Any thread; the first call counts.

        Where there is a reason, nothing that still comes is taken.
        """
        deadline = time.monotonic() + _END_SECONDS
        with self._ending:
            if self._has_ended:
                return
            if not self._writing.acquire(timeout=_END_SECONDS):  # the other end takes nothing
                self._stop(at_once=True)
                self._transport.shutdown()
                return
            try:
                self._stop(at_once=error is not None)
                self._say_last(error_record(error) if error else NAMED[Record.END], deadline)
            finally:
                self._writing.release()

    def _stop(self, *, at_once: bool) -> None:
        self._has_ended = True
        self._reader.stop(at_once=at_once)

    def _say_last(self, record: bytes, deadline: float) -> None:
        try:
            if self._transport.can_write(max(0.0, deadline - time.monotonic())):
                self._transport.write((record,), len(record))
                self._transport.finish()
                return
        except OSError:
            pass
        self._transport.shutdown()

    def drain(self, seconds: float) -> None:
        """Drops what still comes, until the other end has ended, too: else it might not get to read the reason."""
        deadline = time.monotonic() + seconds
        with self._reader.lock:
            while time.monotonic() < deadline:
                try:
                    if not self._transport.read(_DRAINED_BYTES):
                        return
                except BlockingIOError:
                    continue
                except OSError:
                    return

    def close(self) -> None:
        """Ends the connection at once and frees its socket. Any thread, several times."""
        PULSE.remove(self)
        self._stop(at_once=True)
        self._transport.shutdown()
        held = [lock for lock in (self._reader.lock, self._writing) if lock.acquire(timeout=_LEAVE_SECONDS)]
        self._transport.close()
        for lock in held:
            lock.release()
