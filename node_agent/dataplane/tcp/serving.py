"""One accepted connection of the plane `tcp`, from its preamble to its end."""

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from node_agent.config import Address
from node_agent.dataplane.push import PushStream, StageFinder
from node_agent.dataplane.results import OutboxFinder, take_subscription
from node_agent.dataplane.shaping import check_emulation
from node_agent.dataplane.tcp.connection import Connection
from node_agent.dataplane.tcp.link import TcpLink
from node_agent.dataplane.tcp.records import MAGIC, Wanted
from node_agent.dataplane.tcp.sockets import PlainTransport, TlsTransport, Transport, limit_unacknowledged, prepare
from node_agent.errors import FrameError, NodeError, NodeUnreachableError, RequestRejectedError
from node_agent.messages import LinkEmulation
from node_agent.tls.contexts import refusal
from node_agent.tls.identity import DATA
from node_agent.tls.live import LiveTls

OPENING_SECONDS = 10.0
"""Within which a peer must have said what it wants: nobody can hold a thread by saying nothing."""
PATIENCE_SECONDS = 30.0
"""Silence after which a peer counts as gone. Longer than at the end that dials, whose business it is to find out: a
client that rests for some seconds loses nothing."""
_DRAIN_SECONDS = 1.0
_TLS_HANDSHAKE = b"\x16"
_logger = logging.getLogger(__name__)


class Stages(StageFinder, OutboxFinder, Protocol):
    """What a connection needs of a node."""


class ServedConnection:
    """A connection that was accepted; `serve` is the main function of its thread, `end` may be called by any."""

    def __init__(
        self,
        connected: socket.socket,
        peer: str,
        stages: Stages,
        *,
        tls: LiveTls | None,
        max_message_bytes: int,
        free_streams: threading.BoundedSemaphore,
        opening_seconds: float,
    ) -> None:
        """Takes over a socket.

        Args:
            connected: As it came from the system.
            peer: Its other end, in words.
            stages: Those of the node.
            tls: The node's files, where it speaks TLS.
            max_message_bytes: Longer messages are refused.
            free_streams: Counts how many more streams the node serves.
            opening_seconds: Within which the peer must have said what it wants.
        """
        self._connected = connected
        self._peer = peer
        self._stages = stages
        self._tls = tls
        self._secured: TlsTransport | None = None
        self._max_message_bytes = max_message_bytes
        self._free_streams = free_streams
        self._opening_seconds = opening_seconds
        self._connection: Connection | None = None

    def serve(self) -> None:
        """Serves the connection until it ends. Whatever goes wrong ends this connection, and nothing else."""
        deadline = time.monotonic() + self._opening_seconds
        plain = PlainTransport(self._connected)
        try:
            prepare(self._connected)
            connection = self._connection = self._open(self._transport(plain, deadline), deadline)
        except NodeError as exc:  # the peer speaks in clear, or TLS, where it should not
            self._log("refused", str(exc))
            connection = self._open(plain, deadline)
            connection.end(exc)
        except OSError as exc:
            self._log("refused", refusal(exc))
            connection = self._open(plain, deadline)
            plain.finish()
        else:
            self._serve(connection)
        connection.drain(_DRAIN_SECONDS)
        connection.close()

    def end(self) -> None:
        """Ends the connection from this side."""
        if self._connection is not None:
            self._connection.end()
        else:
            PlainTransport(self._connected).shutdown()

    def _open(self, transport: Transport, deadline: float) -> Connection:
        return Connection(
            transport,
            peer=f"peer {self._peer}",
            opened_by=deadline,
            patience_seconds=PATIENCE_SECONDS,
            max_message_bytes=self._max_message_bytes,
        )

    def _log(self, what: str, reason: str) -> None:
        _logger.info(f"a stream of the data plane tcp {what}", extra={"peer": self._peer, "reason": reason})

    def _transport(self, plain: PlainTransport, deadline: float) -> Transport:
        """In clear or under TLS, as the node is configured.

        Raises:
            NodeUnreachableError: The peer speaks the other one.
            OSError: It says nothing in time, or TLS has something against it.
        """
        first = self._first_byte(deadline)
        if self._tls is None:
            if first == _TLS_HANDSHAKE:
                raise NodeUnreachableError(
                    f"The node at {self._address} speaks in clear, and was spoken to under TLS: start it with "
                    "--tls-cert, --tls-key and --tls-ca."
                )
            return plain
        if first == MAGIC[:1]:
            raise NodeUnreachableError(
                f"The node at {self._address} speaks TLS, and was spoken to in clear: give this end its files of TLS."
            )
        secured = TlsTransport(self._connected, self._tls.material.listening, server_name=None)
        secured.shake_hands(deadline)
        self._secured = secured
        return secured

    @property
    def _address(self) -> str:
        host, port = self._connected.getsockname()[:2]
        return str(Address(host=host, port=port))

    def _first_byte(self, deadline: float) -> bytes:
        """What the peer begins with, left where it is."""
        while True:
            try:
                return self._connected.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError("it says nothing") from None

    def _serve(self, connection: Connection) -> None:
        try:
            wanted = connection.read_wanted()
            with self._admitted(wanted, connection), self._one_stream():
                (self._push if wanted is Wanted.PUSH else self._results)(connection)
        except NodeError as exc:
            self._log("broke", str(exc))
            connection.end(exc)
        except OSError as exc:
            self._log("broke", str(exc))
        except Exception:
            _logger.exception("a stream of the data plane tcp broke", extra={"peer": self._peer})
            connection.end(NodeError("A stream broke on the node for a reason that is not the peer's: see its log."))

    def _admitted(self, wanted: Wanted, connection: Connection) -> AbstractContextManager[None]:
        """Within, the peer has a stream for as long as its certificate entitles it to one.

        Raises:
            PeerRefusedError: On entering: it does not.
        """
        if self._tls is None or self._secured is None:
            return nullcontext()
        return self._tls.admitted(self._secured.peer_certificate(), DATA, wanted.name.capitalize(), connection.end)

    @contextmanager
    def _one_stream(self) -> Iterator[None]:
        if not self._free_streams.acquire(blocking=False):
            raise RequestRejectedError("The node serves as many streams as it can: close some, or use another node.")
        try:
            yield
        finally:
            self._free_streams.release()

    def _push(self, connection: Connection) -> None:
        """Takes frames in; answers probes.

        The thread that reads writes the answers, and hears no silence meanwhile.
        """
        limit_unacknowledged(self._connected, PATIENCE_SECONDS)
        connection.accept()
        link = TcpLink(connection)
        PushStream(self._stages, link).take_all(connection.messages())
        link.finish()

    def _results(self, connection: Connection) -> None:
        """Gives out what the last stage of a deployment makes, until the deployment or the subscriber ends."""

        def open_link(emulation: LinkEmulation | None, backlog: tuple[bytes, ...]) -> TcpLink:
            check_emulation(emulation)
            connection.accept()
            return TcpLink(connection, emulation, backlog)

        received = connection.messages()
        outbox, link = take_subscription(next(received, b""), self._stages, open_link)
        try:
            for _ in received:
                raise FrameError("A second message came on a Results stream: the subscription is all that it takes.")
        except NodeError as exc:
            connection.end(exc)  # before the end of the link, which has no reason
            raise
        finally:
            outbox.unsubscribe(link)
