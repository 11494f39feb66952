"""Frames over gRPC: one long-lived stream of raw bytes per neighbour, in both directions of the pipeline."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from node_agent.channel_options import open_channel
from node_agent.config import TlsFiles
from node_agent.dataplane.failure import FailureLatch
from node_agent.dataplane.frame import decode, encode
from node_agent.dataplane.outgoing import OutgoingLink
from node_agent.dataplane.queueing import QueueClosedError
from node_agent.errors import NodeError, NodeUnreachableError
from node_agent.messages import Frame, LinkEmulation, SubscribeFrame
from node_agent.wire_errors import error_from_rpc

SERVICE = "splitfront.node.v1.DataPlane"

ACCEPTED = ("splitfront-accepted", "1")
"""Initial metadata of a stream that the node has taken. Headers alone prove nothing: a refusal has them, too."""

_OPEN_SECONDS = 10.0
_logger = logging.getLogger(__name__)
_DRAIN_SECONDS = 1.0

AnswerListener = Callable[[Frame], None]


class _Stream:
    """One accepted stream of raw bytes and the channel that it has for itself."""

    def __init__(
        self, address: str, call: str, requests: Iterator[bytes], tls: TlsFiles | None, timeout_seconds: float
    ) -> None:
        self.address = address
        self._call_name = call
        self._channel = open_channel(address, tls)
        method: Any = self._channel.stream_stream(f"/{SERVICE}/{call}", None, None)
        self.call: Any = method(requests)
        try:
            self._await_acceptance(timeout_seconds)
        except NodeError:
            self.close()
            raise

    def _await_acceptance(self, timeout_seconds: float) -> None:
        """Waits for what a node says as soon as it has taken the stream, or for its refusal."""
        is_late = threading.Event()

        def give_up() -> None:
            is_late.set()
            self.call.cancel()

        timer = threading.Timer(timeout_seconds, give_up)
        timer.daemon = True
        timer.start()
        is_accepted = ACCEPTED in (tuple(pair) for pair in self.call.initial_metadata() or ())
        if not is_accepted:
            self.call.code()  # waits for the end
        timer.cancel()
        if is_accepted:
            return
        if is_late.is_set():
            raise NodeUnreachableError(
                f"The node at {self.address} did not take {self._call_name} within {timeout_seconds:g} s: "
                "check the address and whether an agent runs there."
            )
        raise self.error_from(self.call)

    def error_from(self, exc: grpc.RpcError) -> NodeError:
        """What the stream's end means."""
        return error_from_rpc(exc, self.address, self._call_name)

    def close(self) -> None:
        """Ends stream and channel."""
        self.call.cancel()
        self._channel.close()


class FrameSender:
    """Sends frames to one node, in order. Thread-safe.

    Raises on construction:
        NodeUnreachableError: Nobody takes the stream within `timeout_seconds`.
        RequestRejectedError: The link to emulate is out of range.
        AgentConfigError: A TLS file cannot be read.
    """

    def __init__(
        self,
        address: str,
        *,
        link: LinkEmulation | None = None,
        tls: TlsFiles | None = None,
        timeout_seconds: float = _OPEN_SECONDS,
        on_answer: AnswerListener | None = None,
    ) -> None:
        """Opens the stream.

        Args:
            address: Where the node listens.
            link: Emulated on the way there.
            tls: Files of this end, where the node speaks TLS.
            timeout_seconds: How long to wait for the node to take the stream.
            on_answer: Is given each frame that comes back, by a thread of its own; only probes are answered.
        """
        self.address = address
        self.failure = FailureLatch()
        """Set when the stream broke, not when it was closed here; `send` then raises it."""
        self._is_closing = False
        self._link = OutgoingLink(link)
        self._on_answer = on_answer
        try:
            self._stream = _Stream(address, "Push", iter(self._link), tls, timeout_seconds)
        except NodeError:
            self._link.close()  # else the thread that writes would wait for messages for ever
            raise
        self._reader = threading.Thread(target=self._read, name=f"answers of {address}", daemon=True)
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

    def send_bytes(self, encoded: bytes) -> None:
        """As `send`, for a frame that is encoded already."""
        self.failure.check()
        try:
            self._link.put(encoded)
        except QueueClosedError as exc:
            self.failure.check()
            raise NodeUnreachableError(f"The stream to the node at {self.address} is closed: open a new one.") from exc

    def _read(self) -> None:
        """Takes what comes back, until the stream ends."""
        try:
            for answer in self._stream.call:
                if self._on_answer is not None:
                    self._on_answer(decode(answer))
            error: NodeError = NodeUnreachableError(f"The node at {self.address} has ended the stream.")
        except NodeError as exc:
            error = exc
        except grpc.RpcError as exc:
            error = self._stream.error_from(exc)
        except Exception as exc:
            _logger.exception("an answer could not be handled", extra={"address": self.address})
            error = NodeError(f"What listens to the answers of {self.address} failed: {exc!r}.")
        self._link.close()
        if not self._is_closing:
            self.failure.set(error)

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


class Subscription:
    """Frames that come out of a deployment. Iterated by one thread, closed by any."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._is_closed = False

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        """The next frame; the iteration ends with the deployment, or with `close`.

        Raises:
            NodeUnreachableError: The node is gone.
            FrameError: What came is no frame.
        """
        try:
            return decode(next(self._stream.call))
        except grpc.RpcError as exc:
            if self._is_closed:
                raise StopIteration from exc
            raise self._stream.error_from(exc) from exc

    def close(self) -> None:
        """Ends the subscription."""
        self._is_closed = True
        self._stream.close()


def subscribe(
    address: str,
    subscribe_frame: SubscribeFrame,
    tls: TlsFiles | None = None,
    *,
    timeout_seconds: float = _OPEN_SECONDS,
) -> Subscription:
    """Asks the node of the last stage for a deployment's results; an earlier subscriber is replaced.

    Args:
        address: Where the node of the last stage listens.
        subscribe_frame: Names the deployment, its epoch, and the link to emulate on the way back.
        tls: Files of this end, where the node speaks TLS.
        timeout_seconds: How long to wait for the node to accept.

    Raises:
        NodeUnreachableError: Nobody answers.
        StageMissingError: The node does not hold the last stage of this deployment and epoch.
        RequestRejectedError: The link to emulate is out of range.
    """
    return Subscription(_Stream(address, "Results", iter((encode(subscribe_frame),)), tls, timeout_seconds))
