"""Frames over gRPC: one long-lived stream of raw bytes per neighbour, in both directions of the pipeline."""

import logging
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import grpc

from node_agent.channel_options import open_channel
from node_agent.config import TlsFiles
from node_agent.dataplane.frame import encode
from node_agent.dataplane.outgoing import OutgoingLink
from node_agent.dataplane.push import PushStream, StageFinder
from node_agent.errors import NodeError, NodeUnreachableError
from node_agent.messages import LinkEmulation, SubscribeFrame
from node_agent.wire_errors import error_from_rpc

SERVICE = "splitfront.node.v1.DataPlane"

ACCEPTED = ("splitfront-accepted", "1")
"""Initial metadata of a stream that the node has taken. Headers alone prove nothing: a refusal has them, too."""

_logger = logging.getLogger(__name__)


class GrpcStream:
    """One accepted stream of raw bytes and the channel that it has for itself."""

    def __init__(
        self, address: str, call: str, requests: Iterable[bytes], tls: TlsFiles | None, timeout_seconds: float
    ) -> None:
        """Opens the stream.

        Raises:
            NodeUnreachableError: The node did not take the stream within `timeout_seconds`.
            NodeError: What the node says against it.
            AgentConfigError: A TLS file cannot be read.
        """
        self.address = address
        self._call_name = call
        self._channel = open_channel(address, tls)
        method: Any = self._channel.stream_stream(f"/{SERVICE}/{call}", None, None)
        self._call: Any = method(iter(requests))
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
            self._call.cancel()

        timer = threading.Timer(timeout_seconds, give_up)
        timer.daemon = True
        timer.start()
        is_accepted = ACCEPTED in (tuple(pair) for pair in self._call.initial_metadata() or ())
        if not is_accepted:
            self._call.code()  # waits for the end
        timer.cancel()
        if is_accepted:
            return
        if is_late.is_set():
            raise NodeUnreachableError(
                f"The node at {self.address} did not take {self._call_name} within {timeout_seconds:g} s: "
                "check the address and whether an agent runs there."
            )
        raise error_from_rpc(self._call, self.address, self._call_name)

    def received(self) -> Iterator[bytes]:
        """Messages as they come, until the node ends the stream.

        Raises:
            NodeError: The stream broke, or the node said why it ends it.
        """
        try:
            yield from self._call
        except grpc.RpcError as exc:
            raise error_from_rpc(exc, self.address, self._call_name) from exc

    def close(self) -> None:
        """Ends stream and channel."""
        self._call.cancel()
        self._channel.close()


class GrpcPushStream(GrpcStream):
    """A stream on which frames go to a node."""

    def __init__(
        self, address: str, *, link: LinkEmulation | None, tls: TlsFiles | None, timeout_seconds: float
    ) -> None:
        """As `GrpcStream`; `link` is emulated on the way there.

        Raises:
            RequestRejectedError: The link to emulate is out of range.
        """
        self.link = OutgoingLink(link)
        try:
            super().__init__(address, "Push", self.link, tls, timeout_seconds)
        except NodeError:
            self.link.close()  # else the thread that writes would wait for messages for ever
            raise


def open_results(address: str, wish: SubscribeFrame, *, tls: TlsFiles | None, timeout_seconds: float) -> GrpcStream:
    """A stream on which the frames of a deployment come; raises as `GrpcStream`."""
    return GrpcStream(address, "Results", (encode(wish).joined(),), tls, timeout_seconds)


class PushReader:
    """Serves one Push call. A thread of its own reads, so that the stream's end can be told at any time."""

    def __init__(self, received: Iterator[bytes], stages: StageFinder) -> None:
        self._received = received
        self._answers = OutgoingLink()
        self._stream = PushStream(stages, self._answers)
        self._reader = threading.Thread(target=self._read, name="push stream", daemon=True)

    def answers(self) -> Iterator[bytes]:
        """Reads the stream until it ends; gives the answers to its probes.

        Raises:
            NodeError: Why the stream ends, where it does not end as it should.
        """
        self._reader.start()
        try:
            yield from self._answers
        finally:
            self._answers.close()

    def close(self, error: NodeError | None = None) -> None:
        """Ends the stream from this side; the other end is told the error, if one is given."""
        self._answers.close(error)

    def _read(self) -> None:
        try:
            self._stream.take_all(self._received)
            self._answers.finish()
        except NodeError as exc:
            # Afresh: its traceback would hold the frame until garbage is collected.
            self._answers.close(type(exc)(*exc.args))
        except grpc.RpcError:  # the other end is gone
            self._answers.close()
        except Exception:
            _logger.exception("push stream broke")
            self._answers.close(
                NodeError("A push stream broke on the node for a reason that is not the sender's: see its log.")
            )
