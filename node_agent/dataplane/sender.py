"""The sending end of a stream to another node, over any plane."""

import logging
import threading
from collections.abc import Callable

from node_agent.dataplane.decoder import FrameDecoder
from node_agent.dataplane.encoded import EncodedFrame
from node_agent.dataplane.failure import FailureLatch
from node_agent.dataplane.frame import encode
from node_agent.dataplane.queueing import QueueClosedError
from node_agent.dataplane.stream import TwoWayStream
from node_agent.errors import NodeError, NodeUnreachableError
from node_agent.messages import Frame

_DRAIN_SECONDS = 1.0
_REASON_SECONDS = 1.0
"""After a stream broke, the other end's reason is waited for as long."""

_logger = logging.getLogger(__name__)

AnswerListener = Callable[[Frame], None]


class FrameSender:
    """Sends frames to one node, in order. Thread-safe. Made by `plane.open_sender`."""

    def __init__(self, stream: TwoWayStream, on_answer: AnswerListener | None = None) -> None:
        """Takes over a stream that was accepted; `on_answer` is given each frame that comes back."""
        self.address = stream.address
        self.failure = FailureLatch()
        """Set when the stream broke, not when it was closed here; `send` then raises it."""
        self._is_closing = False
        self._stream = stream
        self._link = stream.link
        self._on_answer = on_answer
        self._reader = threading.Thread(target=self._read, name=f"answers of {self.address}", daemon=True)
        self._reader.start()

    @property
    def busy_seconds(self) -> float:
        """For how long the link was busy: by the model where it is emulated, else with writing."""
        return self._link.busy_seconds

    @property
    def sent_bytes(self) -> int:
        """Bytes that were written."""
        return self._link.sent_bytes

    def send(self, frame: Frame) -> None:
        """Sends a frame; waits while the link is busy with earlier ones.

        Raises:
            NodeUnreachableError: The node is gone, or one behind it is (the message says which).
            FrameError: The frame cannot be written, or the node could not read an earlier one.
            StageMissingError: The node has no such stage.
        """
        self.send_bytes(encode(frame))

    def send_bytes(self, message: EncodedFrame) -> None:
        """As `send`, for a frame that is encoded already."""
        self.failure.check()
        try:
            self._link.put(message)
        except QueueClosedError as exc:
            if threading.current_thread() is not self._reader:
                self._reader.join(_REASON_SECONDS)
            self.failure.check()
            raise NodeUnreachableError(f"The stream to the node at {self.address} is closed: open a new one.") from exc

    def _read(self) -> None:
        """Takes what comes back, until the stream ends."""
        decoder = FrameDecoder()
        try:
            for answer in self._stream.received():
                if self._on_answer is not None:
                    self._on_answer(decoder.decode(answer))
            error: NodeError = NodeUnreachableError(f"The node at {self.address} has ended the stream.")
        except NodeError as exc:
            error = exc
        except Exception as exc:
            _logger.exception("an answer could not be handled", extra={"address": self.address})
            error = NodeError(f"What listens to the answers of {self.address} failed: {exc!r}.")
        if not self._is_closing:
            self.failure.set(error)
        self._link.close()

    def close(self) -> None:
        """Ends the stream. What was sent is still written, if the node takes it within a second."""
        self._is_closing = True
        self._link.finish()
        if threading.current_thread() is not self._reader:
            self._reader.join(_DRAIN_SECONDS)
        self._link.close()
        self._stream.close()
        if threading.current_thread() is not self._reader:
            self._reader.join(_DRAIN_SECONDS)
