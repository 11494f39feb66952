"""All options of gRPC channels and servers, and their credentials, in one place."""

from typing import Any

import grpc

from node_agent.config import TlsFiles
from node_agent.tls.contexts import read_tls_files
from node_agent.tls.diagnosis import refuse_revoked
from node_agent.tls.live import LiveTls
from node_agent.tls.material import Material

_UNLIMITED = -1
_PING_MILLISECONDS = 2000
"""A ping follows so much silence, and has as long to be answered: a frozen or cut-off node is found in 2 to 4 s."""

Options = tuple[tuple[str, Any], ...]

CHANNEL_OPTIONS: Options = (
    ("grpc.max_receive_message_length", _UNLIMITED),  # the default of 4 MB is below one activation
    ("grpc.max_send_message_length", _UNLIMITED),
    # Only with all three is a frozen peer found; a killed one shows at once.
    ("grpc.keepalive_time_ms", _PING_MILLISECONDS),
    ("grpc.keepalive_timeout_ms", _PING_MILLISECONDS),
    ("grpc.http2.ping_timeout_ms", _PING_MILLISECONDS),
    ("grpc.enable_retries", 0),  # recovery is ours
    ("grpc.enable_http_proxy", 0),  # nodes are near; a proxy of the environment is not meant for them
    ("grpc.use_local_subchannel_pool", 1),  # one connection per channel: data does not queue behind control
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def server_options(max_message_bytes: int) -> Options:
    """Options of a server that takes messages up to `max_message_bytes`."""
    return (
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", _UNLIMITED),
        ("grpc.so_reuseport", 0),  # else a second server on the same port comes up silently
        ("grpc.http2.min_ping_interval_without_data_ms", _PING_MILLISECONDS // 2),
        ("grpc.keepalive_permit_without_calls", 1),
    )


def open_channel(address: str, tls: TlsFiles | None) -> grpc.Channel:
    """A channel to `address`. It connects with its first call.

    Raises:
        AgentConfigError: A TLS file cannot be read.
        PeerRefusedError: What listens there shows a certificate that was revoked.
    """
    if tls is None:
        return grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
    refuse_revoked(address, tls)
    authority, key, certificate = read_tls_files(tls)
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    return grpc.secure_channel(address, credentials, options=CHANNEL_OPTIONS)


def server_credentials(tls: LiveTls) -> grpc.ServerCredentials:
    """Credentials of a server that wants a certificate of its clients, too, and has a new one when its files do."""
    given = tls.material

    def fresh() -> grpc.ServerCertificateConfiguration | None:
        """Asked before each handshake; None: nothing has changed."""
        nonlocal given
        material = tls.material
        if material is given:
            return None
        given = material
        return _configuration(material)

    wanted: Any = fresh  # its type lacks None
    return grpc.dynamic_ssl_server_credentials(_configuration(given), wanted, require_client_authentication=True)


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], root_certificates=material.authority
    )
