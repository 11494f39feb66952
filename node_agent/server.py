"""A listening gRPC server around an agent."""

import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from node_agent.agent import Agent
from node_agent.channel_options import server_credentials, server_options
from node_agent.config import Address
from node_agent.dataplane.grpc_link import SERVICE
from node_agent.dataplane.tcp.listener import TcpListener
from node_agent.errors import AgentConfigError, ListenError
from node_agent.service import NODE_SERVICE, DataPlaneServicer, NodeServicer
from node_agent.tls.interceptor import RoleInterceptor
from node_agent.tls.live import LiveTls
from node_agent.wire import agent_pb2_grpc

_MAX_CALLS = 96
MAX_STREAMS = 64
"""Of the calls: each holds its thread as long as its deployment lasts."""

_GRACE_SECONDS = 1.0
_SERVICES = (NODE_SERVICE, SERVICE)


class AgentServer:
    """Serves an agent until `stop`. Threads are made when they are needed."""

    def __init__(self, agent: Agent) -> None:
        """Listens.

        Raises:
            ListenError: The address cannot be had.
            AgentConfigError: The TLS files cannot be used.
        """
        config = agent.config
        self._agent = agent
        self._tls = LiveTls(config.tls) if config.tls else None
        self._server = grpc.server(
            ThreadPoolExecutor(_MAX_CALLS, thread_name_prefix="grpc"),
            handlers=[DataPlaneServicer(agent, MAX_STREAMS, self._tls).handler()],
            interceptors=[RoleInterceptor(self._tls)] if self._tls else None,
            options=server_options(config.limits.message_bytes),
            maximum_concurrent_rpcs=_MAX_CALLS,
        )
        agent_pb2_grpc.add_NodeServicer_to_server(NodeServicer(agent), self._server)
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection((*_SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self.address = Address(host=config.listen.host, port=self._bind())
        """Where it listens; the port is never 0."""
        self._tcp = None if config.tcp_port is None else self._listen_tcp(config.tcp_port)
        agent.tcp_port = self._tcp.port if self._tcp else 0
        self._server.start()
        for service in ("", *_SERVICES):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    def _bind(self) -> int:
        config = self._agent.config
        wanted = str(config.listen)
        try:
            if self._tls is None:
                port = self._server.add_insecure_port(wanted)
            else:
                port = self._server.add_secure_port(wanted, server_credentials(self._tls))
        except RuntimeError as exc:
            raise ListenError(f"Cannot listen on {wanted}: {_reason(config.listen)}.") from exc
        if port == 0:
            raise ListenError(f"Cannot listen on {wanted}: {_reason(config.listen)}.")
        return port

    def stop(self) -> None:
        """Says NOT_SERVING, ends all stages and streams, and lets short calls end."""
        self._health.enter_graceful_shutdown()
        stopped = self._server.stop(_GRACE_SECONDS)
        self._agent.close()
        if self._tcp is not None:
            self._tcp.stop()
        stopped.wait()

    def _listen_tcp(self, port: int) -> TcpListener:
        try:
            return TcpListener(self._agent.stages, self._agent.config, port, tls=self._tls)
        except (AgentConfigError, ListenError):
            self._server.stop(None)
            raise


def _reason(address: Address) -> str:
    """Why the address cannot be had: gRPC does not say."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address.host, address.port))
        except OSError as exc:
            return (exc.strerror or str(exc)).lower()
    return "gRPC refuses it for a reason that it does not tell"
