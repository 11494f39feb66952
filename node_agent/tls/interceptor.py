"""Whom a node's gRPC server serves: each call is held against the certificate on its connection.

gRPC believes any certificate of the authority, knows no roles and, in Python, no list of revoked ones; nor can its
lowest version of TLS be set, but it says which one a connection has.
"""

import logging
import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import grpc

from node_agent.dataplane.grpc_link import SERVICE
from node_agent.errors import PeerRefusedError
from node_agent.tls.identity import CONTROL, DATA, Role
from node_agent.tls.live import LiveTls
from node_agent.wire_errors import errors_to_status

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]  # a generic type only where types are checked

_HEALTH = "grpc.health.v1.Health"
_TLS_1_3 = b"TLSv1.3"
_logger = logging.getLogger(__name__)


def allowed_roles(service: str) -> frozenset[Role]:
    """Who may call the methods of a service; what is not known is for those who may control."""
    return DATA if service in (SERVICE, _HEALTH) else CONTROL


class RoleInterceptor(grpc.ServerInterceptor):
    """Refuses calls that the certificate of the other end does not entitle it to."""

    def __init__(self, tls: LiveTls) -> None:
        self._tls = tls

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """The handler, behind a check of the other end."""
        handler: Any = continuation(handler_call_details)
        if handler is None:
            return None
        _, service, method = str(handler_call_details.method).split("/", 2)
        allowed = allowed_roles(service)

        def check(context: grpc.ServicerContext) -> None:
            with errors_to_status(context, method):
                try:
                    self._check(context, allowed, method)
                except PeerRefusedError as exc:
                    _logger.warning("a call was refused", extra={"peer": context.peer(), "reason": str(exc)})
                    raise

        return _guarded(handler, check)

    def _check(self, context: grpc.ServicerContext, allowed: frozenset[Role], method: str) -> None:
        said: Any = context.auth_context()
        (version, *_) = said.get("ssl_tls_version", (_TLS_1_3,))
        if version != _TLS_1_3:
            raise PeerRefusedError(f"{method} is refused over {version.decode()}: speak TLS 1.3.")
        self._tls.check(peer_certificate(context), allowed, method)


def peer_certificate(context: grpc.ServicerContext) -> bytes:
    """That of the other end as DER, which the handshake has verified; empty where there is none."""
    said: Any = context.auth_context()
    (pem, *_) = said.get("x509_pem_cert", (b"",))
    return ssl.PEM_cert_to_DER_cert(pem.decode()) if pem else b""


def _guarded(handler: Any, check: Callable[[grpc.ServicerContext], None]) -> "Handler":
    """`handler`, with a check before it does anything."""

    def one(behaviour: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            check(context)
            return behaviour(request, context)

        return answer

    def many(behaviour: Callable[[Any, Any], Iterator[Any]]) -> Callable[[Any, Any], Iterator[Any]]:
        def answers(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            check(context)
            yield from behaviour(request, context)

        return answers

    coding = (handler.request_deserializer, handler.response_serializer)
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(many(handler.stream_stream), *coding)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(many(handler.unary_stream), *coding)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(one(handler.stream_unary), *coding)
    return grpc.unary_unary_rpc_method_handler(one(handler.unary_unary), *coding)
