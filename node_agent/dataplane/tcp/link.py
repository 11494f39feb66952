"""The way out of the plane `tcp`: whoever sends a message writes it, unless a link is emulated."""

import threading
from collections.abc import Iterable
from contextlib import suppress

from node_agent.dataplane.encoded import EncodedFrame
from node_agent.dataplane.outgoing import OutgoingLink
from node_agent.dataplane.queueing import QueueClosedError
from node_agent.dataplane.shaping import is_emulated
from node_agent.dataplane.tcp.connection import Connection
from node_agent.errors import NodeError
from node_agent.messages import LinkEmulation


class TcpLink:
    """See `stream.Link`. Without emulation `put` writes to the socket itself: no copy and no other thread.

    With emulation messages must wait for their moment, so that a queue and a thread that writes take over. They stay
    when emulation is switched off again, since order must be kept.
    """

    def __init__(
        self, connection: Connection, emulation: LinkEmulation | None = None, backlog: Iterable[bytes] = ()
    ) -> None:
        """An open link. The messages of `backlog` are the first on it; nobody waits for them.

        Raises:
            RequestRejectedError: The emulation is out of range.
        """
        self._connection = connection
        self._switching = threading.Lock()
        self._direct_seconds = 0.0
        """For how long the link was busy until there was a queue."""
        self._queue: OutgoingLink | None = None
        waiting = tuple(backlog)
        if waiting or is_emulated(emulation):
            self._begin_queue(OutgoingLink(emulation, waiting))

    def _begin_queue(self, queue: OutgoingLink) -> None:
        self._direct_seconds = self._connection.busy_seconds
        self._queue = queue
        threading.Thread(
            target=self._write_queue, args=(queue,), name=f"link to the {self._connection.peer}", daemon=True
        ).start()

    def _write_queue(self, queue: OutgoingLink) -> None:
        with suppress(OSError, NodeError):  # who reads finds out; an error that ends the link was told by `close`
            for content in queue:
                self._connection.write_message(EncodedFrame(content, (), len(content)))
        queue.close()
        self._connection.end()

    @property
    def busy_seconds(self) -> float:
        """By the model where the link is emulated, else time spent in writing."""
        if self._queue is None:
            return self._connection.busy_seconds
        return self._direct_seconds + self._queue.busy_seconds

    @property
    def sent_bytes(self) -> int:
        """Bytes that were written."""
        return self._connection.sent_bytes

    def emulate(self, emulation: LinkEmulation | None) -> None:
        """Emulates another link from the next message on; see `stream.Link`."""
        with self._switching:
            if self._queue is None and is_emulated(emulation):
                self._begin_queue(OutgoingLink(emulation))
            elif self._queue is not None:
                self._queue.emulate(emulation)

    def put(self, message: EncodedFrame) -> None:
        """Writes a message, or gives it to the emulated link; see `stream.Link`."""
        if self._queue is not None:
            return self._queue.put(message)
        try:
            self._connection.write_message(message)
        except OSError as exc:
            raise QueueClosedError from exc

    def finish(self) -> None:
        """Ends the link after what was put; see `stream.Link`."""
        if self._queue is not None:
            self._queue.finish()
        else:
            self._connection.end()

    def close(self, error: NodeError | None = None) -> tuple[bytes, ...]:
        """Ends the link now; see `stream.Link`."""
        left = self._queue.close(error) if self._queue is not None else ()
        self._connection.end(error)
        return left
