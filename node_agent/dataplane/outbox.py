"""Where the last stage leaves its frames until the client takes them."""

import threading
from collections.abc import Callable
from typing import TypeVar

from node_agent.dataplane.encoded import EncodedFrame
from node_agent.dataplane.queueing import QueueClosedError
from node_agent.dataplane.stream import Link
from node_agent.errors import NodeError

LinkOfPlane = TypeVar("LinkOfPlane", bound=Link)


class Outbox:
    """Hands frames to one subscriber at a time. Thread-safe.

    Without a subscriber `send_bytes` waits, so that the stage's own bounded queues fill and slow the sender down. What
    a subscriber was not given goes to the one that replaces it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._link: Link | None = None
        self._left: tuple[bytes, ...] = ()
        self._is_closed = False
        self._past_busy_seconds = 0.0
        self._past_sent_bytes = 0

    def subscribe(self, open_link: Callable[[tuple[bytes, ...]], LinkOfPlane]) -> LinkOfPlane:
        """The link over which all further frames go; an earlier subscriber's ends.

        Args:
            open_link: Makes it, given the messages that are the first on it.

        Raises:
            QueueClosedError: The stage has ended.
            NodeError: What `open_link` raises; there is no subscriber then.
        """
        with self._changed:
            if self._is_closed:
                raise QueueClosedError
            self._drop_link()
            link = open_link(self._left)
            self._link, self._left = link, ()
            self._changed.notify_all()
            return link

    def unsubscribe(self, link: Link, error: NodeError | None = None) -> None:
        """Ends `link`, telling the error if one is given, and frames wait again if it was the current one."""
        with self._changed:
            if self._link is link:
                self._drop_link(error)
        link.close(error)

    def _drop_link(self, error: NodeError | None = None) -> None:
        if self._link is None:
            return
        self._left = self._link.close(error)
        self._past_busy_seconds += self._link.busy_seconds
        self._past_sent_bytes += self._link.sent_bytes
        self._link = None

    def send_bytes(self, message: EncodedFrame) -> None:
        """Leaves a frame for the subscriber, waiting for one.

        Raises:
            QueueClosedError: The stage has ended.
        """
        while True:
            link = self._link or self._await_subscriber()
            try:
                return link.put(message)
            except QueueClosedError:  # the subscriber left meanwhile: wait for the next one
                continue

    def _await_subscriber(self) -> Link:
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._link is not None)
            if self._is_closed or self._link is None:
                raise QueueClosedError
            return self._link

    @property
    def busy_seconds(self) -> float:
        """For how long the links to all subscribers were busy."""
        return self._past_busy_seconds + (self._link.busy_seconds if self._link else 0.0)

    @property
    def sent_bytes(self) -> int:
        """Bytes written to all subscribers."""
        return self._past_sent_bytes + (self._link.sent_bytes if self._link else 0)

    def close(self) -> None:
        """Ends the outbox and its subscriber's link."""
        with self._changed:
            self._is_closed = True
            self._drop_link()
            self._changed.notify_all()
