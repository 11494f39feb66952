"""The way from those who send messages to the one thread that writes them, emulating a link on request."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from node_agent.dataplane.encoded import EncodedFrame
from node_agent.dataplane.pacing import wait_until
from node_agent.dataplane.queueing import QueueClosedError
from node_agent.dataplane.shaping import Passage, ShapedLink, check_emulation, is_emulated
from node_agent.errors import NodeError
from node_agent.messages import LinkEmulation

_WAITING_MESSAGES = 2
"""A link that is not emulated holds as many, beside the one that is being written: enough to write without a pause."""

_IN_FLIGHT_BYTES = 256 << 20
"""An emulated link holds as many, being the pipe; a sender that outruns it waits."""


@dataclass(frozen=True, slots=True)
class _Message:
    content: bytes
    due: float
    """When it may be written, on the clock of `time.perf_counter`."""


class OutgoingLink:
    """Messages on their way to the stream that writes them.

    Any number of threads `put`; one thread iterates, and writes each message it is given before it asks for the next.
    `put` returns when the link can take another message, so that a slow link slows its sender down.
    """

    def __init__(self, emulation: LinkEmulation | None = None, backlog: Iterable[bytes] = ()) -> None:
        """An open link. The messages of `backlog` are the first on it; nobody waits for them."""
        self._order = threading.Lock()
        self._changed = threading.Condition()
        self._messages: deque[_Message] = deque()
        self._n_held_bytes = 0
        self._closed = threading.Event()
        self._is_finishing = False
        self._error: NodeError | None = None
        self._emulation: LinkEmulation | None = None
        self._shaped: ShapedLink | None = None
        self.busy_seconds = 0.0
        """Emulated: sending time by the model. Otherwise: time spent in handing messages to the transport, which is
        slow where the network is, and where the other end does not take them."""
        self.sent_bytes = 0
        self.emulate(emulation)
        for content in backlog:
            passage = self._schedule(len(content))
            self._append(content, passage.arrive_at if passage else 0.0)

    def emulate(self, emulation: LinkEmulation | None) -> None:
        """Emulates another link from the next message on; the same one goes on undisturbed.

        Raises:
            RequestRejectedError: The emulation is out of range.
        """
        check_emulation(emulation)
        with self._order:
            if emulation != self._emulation:
                self._emulation = emulation
                self._shaped = ShapedLink(emulation) if emulation and is_emulated(emulation) else None

    def put(self, message: EncodedFrame) -> None:
        """Gives a message to the link, waiting while the link is busy. It is copied, since it may wait for long.

        Raises:
            QueueClosedError: The link was closed; the message is not sent.
        """
        content = message.joined()
        with self._order:
            passage = self._schedule(len(content))
            if passage is not None:
                wait_until(passage.free_at, self._closed)
            with self._changed:
                self._changed.wait_for(self._has_room)
                if self._closed.is_set() or self._is_finishing:
                    raise QueueClosedError
                self._append(content, passage.arrive_at if passage else 0.0)
                self._changed.notify_all()

    def _schedule(self, n_bytes: int) -> Passage | None:
        """The way of a message that is given to an emulated link now; None where nothing is emulated."""
        if self._shaped is None:
            return None
        passage = self._shaped.schedule(time.perf_counter(), n_bytes)
        self.busy_seconds += passage.busy_seconds
        return passage

    def _append(self, content: bytes, due: float) -> None:
        self._messages.append(_Message(content, due))
        self._n_held_bytes += len(content)

    def _has_room(self) -> bool:
        if self._closed.is_set() or not self._messages:
            return True
        if self._shaped is None:
            return len(self._messages) < _WAITING_MESSAGES
        return self._n_held_bytes < _IN_FLIGHT_BYTES

    def __iter__(self) -> Iterator[bytes]:
        """Messages when they are due; ends when the link is closed, by the error given to `close` if any."""
        while (message := self._next_due()) is not None:
            started = time.perf_counter()
            yield message.content
            self._account(message, time.perf_counter() - started)
        if self._error is not None:
            raise self._error

    def _next_due(self) -> _Message | None:
        """Takes the oldest message at its moment; until then it stays where `close` finds it."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed.is_set() or self._messages or self._is_finishing)
            if self._closed.is_set() or not self._messages:
                return None
            message = self._messages[0]
        if message.due and not wait_until(message.due, self._closed):
            return None
        with self._changed:
            if self._closed.is_set():
                return None
            self._messages.popleft()
            self._n_held_bytes -= len(message.content)
            self._changed.notify_all()
        return message

    def _account(self, message: _Message, seconds: float) -> None:
        self.sent_bytes += len(message.content)
        if not message.due:
            self.busy_seconds += seconds

    def finish(self) -> None:
        """Ends the link when all that was put has been written; nothing more may be put."""
        with self._changed:
            self._is_finishing = True
            self._changed.notify_all()

    def close(self, error: NodeError | None = None) -> tuple[bytes, ...]:
        """Ends the link now. The iterating thread ends, raising `error` when one is given.

        Returns:
            The messages that were never given to the iterating thread, oldest first.
        """
        with self._changed:
            if not self._closed.is_set():
                self._error = error
                self._closed.set()
            left, self._messages = tuple(message.content for message in self._messages), deque()
            self._changed.notify_all()
        return left
