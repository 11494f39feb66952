"""Where a node listens for the plane `tcp`: a thread that accepts, and one for each connection."""

import logging
import socket
import threading

from node_agent.config import Address, AgentConfig
from node_agent.dataplane.tcp.serving import OPENING_SECONDS, ServedConnection, Stages
from node_agent.errors import ListenError
from node_agent.tls.live import LiveTls

_MAX_STREAMS = 64
_MAX_CONNECTIONS = 96
"""Those included that have not said yet what they want."""
_REST_SECONDS = 0.1
_JOIN_SECONDS = 2.0
_logger = logging.getLogger(__name__)


class TcpListener:
    """Listens until `stop`. The data plane is served on the host of `config.listen`, under the same TLS."""

    def __init__(
        self,
        stages: Stages,
        config: AgentConfig,
        port: int,
        *,
        tls: LiveTls | None = None,
        opening_seconds: float = OPENING_SECONDS,
    ) -> None:
        """Listens on a port; 0 takes a free one. Who has not said after `opening_seconds` what it wants is dropped.

        `tls` is that of `config`, where it has been read already.

        Raises:
            ListenError: The address cannot be had.
            AgentConfigError: The TLS files cannot be used.
        """
        self._stages = stages
        self._opening_seconds = opening_seconds
        self._max_message_bytes = config.limits.message_bytes
        self._tls = tls or (LiveTls(config.tls) if config.tls else None)
        self._listening = _listen(config.listen.host, port)
        self.port: int = self._listening.getsockname()[1]
        """Never 0."""
        self._free_streams = threading.BoundedSemaphore(_MAX_STREAMS)
        self._lock = threading.Lock()
        self._served: dict[ServedConnection, threading.Thread] = {}
        self._stopping = threading.Event()
        self._acceptor = threading.Thread(target=self._accept_all, name="tcp listener", daemon=True)
        self._acceptor.start()

    def _accept_all(self) -> None:
        while not self._stopping.is_set():
            try:
                connected, address = self._listening.accept()
            except OSError as exc:
                if not self._stopping.wait(_REST_SECONDS):  # out of file descriptors, say
                    _logger.warning("the data plane tcp cannot accept", extra={"error": str(exc)})
                continue
            self._begin(connected, str(Address(host=address[0], port=address[1])))

    def _begin(self, connected: socket.socket, peer: str) -> None:
        with self._lock:
            if self._stopping.is_set() or len(self._served) >= _MAX_CONNECTIONS:
                connected.close()
                return
            served = ServedConnection(
                connected,
                peer,
                self._stages,
                tls=self._tls,
                max_message_bytes=self._max_message_bytes,
                free_streams=self._free_streams,
                opening_seconds=self._opening_seconds,
            )
            thread = threading.Thread(target=self._serve, args=(served,), name=f"tcp {peer}", daemon=True)
            try:
                thread.start()
            except RuntimeError as exc:  # out of threads
                connected.close()
                _logger.warning("the data plane tcp cannot serve", extra={"peer": peer, "error": str(exc)})
                return
            self._served[served] = thread

    def _serve(self, served: ServedConnection) -> None:
        try:
            served.serve()
        finally:
            with self._lock:
                del self._served[served]

    def stop(self) -> None:
        """Listens no more and ends all connections."""
        self._stopping.set()
        try:
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        finally:
            self._listening.close()
        self._acceptor.join(_JOIN_SECONDS)
        with self._lock:
            served = dict(self._served)
        for connection in served:
            connection.end()
        for thread in served.values():
            thread.join(_JOIN_SECONDS)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; on `::` it takes IPv4 as well, as gRPC does."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        is_dual = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server((host, port), family=family, dualstack_ipv6=is_dual)
    except OSError as exc:
        where = Address(host=host, port=port)
        raise ListenError(
            f"Cannot listen on {where} for the data plane tcp: {(exc.strerror or str(exc)).lower()}. "
            "Give another --tcp-port, 0 for a free one, or off."
        ) from exc
