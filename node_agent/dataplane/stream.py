"""What a data plane is made of: streams of messages between two nodes. Each plane has its own; all else is shared."""

from collections.abc import Iterator
from typing import Protocol

from node_agent.dataplane.encoded import Buffer, EncodedFrame
from node_agent.errors import NodeError
from node_agent.messages import LinkEmulation


class Link(Protocol):
    """The way out: from those who send messages to the other end, emulating a link on request. Thread-safe."""

    @property
    def busy_seconds(self) -> float:
        """Emulated: sending time by the model. Otherwise: time spent in handing messages to the transport."""
        ...

    @property
    def sent_bytes(self) -> int:
        """Bytes that were written."""
        ...

    def emulate(self, emulation: LinkEmulation | None) -> None:
        """Emulates another link from the next message on.

        Raises:
            RequestRejectedError: The emulation is out of range.
        """
        ...

    def put(self, message: EncodedFrame) -> None:
        """Sends a message, waiting while the link is busy.

        Raises:
            QueueClosedError: The link is closed, or was while the message waited: the other end does not have it whole.
        """
        ...

    def finish(self) -> None:
        """Ends the link when all that was put has been written; nothing more may be put."""
        ...

    def close(self, error: NodeError | None = None) -> tuple[bytes, ...]:
        """Ends the link now; the other end is told the error, if one is given.

        Returns:
            The messages that nobody began to write, oldest first.
        """
        ...


class IncomingStream(Protocol):
    """An accepted stream as the end that reads it sees it."""

    @property
    def address(self) -> str:
        """Where the other end listens."""
        ...

    def received(self) -> Iterator[Buffer]:
        """Messages as they come; ends when the other end ends the stream. Used by one thread.

        Raises:
            NodeError: The stream broke, or the other end said why it ends it.
        """
        ...

    def close(self) -> None:
        """Ends the stream at once; `received` ends. Any thread may call it, several times."""
        ...


class TwoWayStream(IncomingStream, Protocol):
    """An accepted stream that also carries messages to the other end."""

    @property
    def link(self) -> Link:
        """The way to the other end."""
        ...
