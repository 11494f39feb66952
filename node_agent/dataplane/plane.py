"""Streams to nodes over either data plane: two ways to carry the same frames, with one interface."""

from collections.abc import Iterator
from contextlib import contextmanager

from node_agent.config import TlsFiles
from node_agent.dataplane import grpc_link
from node_agent.dataplane.planes import GRPC, plane_named
from node_agent.dataplane.sender import AnswerListener, FrameSender
from node_agent.dataplane.subscription import Subscription
from node_agent.dataplane.tcp import dialing
from node_agent.errors import NodeUnreachableError
from node_agent.messages import LinkEmulation, SubscribeFrame
from node_agent.tls.diagnosis import explained
from node_agent.tls.identity import DATA

_OPEN_SECONDS = 10.0


def open_sender(
    plane: str,
    address: str,
    *,
    link: LinkEmulation | None = None,
    tls: TlsFiles | None = None,
    timeout_seconds: float = _OPEN_SECONDS,
    on_answer: AnswerListener | None = None,
) -> FrameSender:
    """A sender of frames to a node, which has taken the stream.

    Args:
        plane: One of `planes.PLANES`.
        address: Where the node listens for this plane.
        link: Emulated on the way there.
        tls: Files of this end, where the node speaks TLS.
        timeout_seconds: How long to wait for the node to take the stream.
        on_answer: Is given each frame that comes back, by a thread of its own; only probes are answered.

    Raises:
        NodeUnreachableError: Nobody takes the stream in time, or it is refused by TLS.
        RequestRejectedError: The link to emulate is out of range, or there is no such plane.
        AgentConfigError: A TLS file cannot be read.
    """
    open_stream = grpc_link.GrpcPushStream if plane_named(plane) == GRPC else dialing.TcpPushStream
    with _explained(plane, address, tls):
        stream = open_stream(address, link=link, tls=tls, timeout_seconds=timeout_seconds)
    return FrameSender(stream, on_answer)


def subscribe(
    plane: str,
    address: str,
    wish: SubscribeFrame,
    *,
    tls: TlsFiles | None = None,
    timeout_seconds: float = _OPEN_SECONDS,
) -> Subscription:
    """Asks the node of the last stage for a deployment's results; an earlier subscriber is replaced.

    Args:
        plane: One of `planes.PLANES`.
        address: Where the node of the last stage listens for this plane.
        wish: Names the deployment, its epoch, and the link to emulate on the way back.
        tls: Files of this end, where the node speaks TLS.
        timeout_seconds: How long to wait for the node to accept.

    Raises:
        NodeUnreachableError: Nobody answers in time, or TLS refuses.
        StageMissingError: The node does not hold the last stage of this deployment and epoch.
        RequestRejectedError: The link to emulate is out of range, or there is no such plane.
        AgentConfigError: A TLS file cannot be read.
    """
    open_results = grpc_link.open_results if plane_named(plane) == GRPC else dialing.open_results
    with _explained(plane, address, tls):
        return Subscription(open_results(address, wish, tls=tls, timeout_seconds=timeout_seconds))


@contextmanager
def _explained(plane: str, address: str, tls: TlsFiles | None) -> Iterator[None]:
    """Says what TLS has against it, where nobody can be reached: gRPC does not tell, `tcp` does."""
    try:
        yield
    except NodeUnreachableError as exc:
        raise (explained(exc, address, tls, DATA) if plane_named(plane) == GRPC else exc) from exc
