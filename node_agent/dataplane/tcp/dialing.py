"""The end of the plane `tcp` that dials: streams to and from a node."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from node_agent.config import Address, TlsFiles, parse_address
from node_agent.dataplane.encoded import Buffer
from node_agent.dataplane.frame import encode
from node_agent.dataplane.tcp.connection import Connection
from node_agent.dataplane.tcp.link import TcpLink
from node_agent.dataplane.tcp.records import MAX_CONTENT_BYTES, RECORD, Record, Wanted, preamble
from node_agent.dataplane.tcp.sockets import PlainTransport, TlsTransport, Transport, prepare
from node_agent.errors import AgentConfigError, NodeError, NodeUnreachableError, RequestRejectedError
from node_agent.messages import LinkEmulation, SubscribeFrame
from node_agent.tls.contexts import client_context, refusal
from node_agent.tls.diagnosis import check_listener

PATIENCE_SECONDS = 4.0
"""Silence after which a node counts as gone. It says a heartbeat every second."""


class TcpStream:
    """A stream that a node has taken."""

    def __init__(self, address: str, connection: Connection) -> None:
        self.address = address
        self._connection = connection

    def received(self) -> Iterator[Buffer]:
        """Messages as they come, until the node ends the stream; see `stream.IncomingStream`."""
        return self._connection.messages()

    def close(self) -> None:
        """Ends the stream at once."""
        self._connection.close()


class TcpPushStream(TcpStream):
    """A stream on which frames go to a node."""

    def __init__(
        self, address: str, *, link: LinkEmulation | None, tls: TlsFiles | None, timeout_seconds: float
    ) -> None:
        """Opens the stream; `link` is emulated on the way there.

        Raises:
            NodeUnreachableError: The node did not take the stream within `timeout_seconds`.
            NodeError: What the node says against it.
            RequestRejectedError: The link to emulate is out of range.
            AgentConfigError: A TLS file cannot be read.
        """
        connection = _dial(address, (preamble(Wanted.PUSH),), tls, timeout_seconds)
        super().__init__(address, connection)
        try:
            self.link = TcpLink(connection, link)
        except NodeError:
            self.close()
            raise


def open_results(address: str, wish: SubscribeFrame, *, tls: TlsFiles | None, timeout_seconds: float) -> TcpStream:
    """A stream on which the frames of a deployment come; raises as `TcpPushStream`."""
    message = encode(wish).joined()
    opening = (preamble(Wanted.RESULTS), RECORD.pack(Record.MESSAGE, len(message)), message)
    return TcpStream(address, _dial(address, opening, tls, timeout_seconds))


def _dial(address: str, opening: Sequence[Buffer], tls: TlsFiles | None, timeout_seconds: float) -> Connection:
    """A connection on which a stream was accepted."""
    deadline = time.monotonic() + timeout_seconds
    try:
        where = parse_address(address)
    except AgentConfigError as exc:
        raise RequestRejectedError(str(exc)) from exc
    try:
        connected = socket.create_connection((where.host, where.port), timeout_seconds)
    except OSError as exc:
        raise NodeUnreachableError(
            f"Cannot reach the data plane tcp of the node at {address} ({exc.strerror or exc}): start an agent there, "
            "or check address and firewall."
        ) from exc
    prepare(connected)
    try:
        transport = PlainTransport(connected) if tls is None else _secured(connected, tls, where, deadline)
    except BaseException:
        connected.close()
        raise
    connection = Connection(
        transport,
        peer=f"node at {address}",
        opened_by=deadline,
        patience_seconds=PATIENCE_SECONDS,
        max_message_bytes=MAX_CONTENT_BYTES,
    )
    try:
        with suppress(OSError):  # who reads finds out why
            connection.begin(opening)
        connection.await_acceptance()
    except NodeError:
        connection.close()
        raise
    return connection


def _secured(connected: socket.socket, tls: TlsFiles, where: Address, deadline: float) -> Transport:
    transport = TlsTransport(connected, client_context(tls), server_name=where.host)
    try:
        transport.shake_hands(deadline)
    except OSError as exc:
        raise NodeUnreachableError(f"The node at {where} cannot be spoken to under TLS: {refusal(exc)}.") from exc
    try:
        check_listener(tls, transport.peer_certificate(), str(where))
    except NodeError:
        transport.close()
        raise
    return transport
