"""TLS of the plane `tcp`: mutual, from the same files as gRPC's, and its refusals in words."""

import ssl

from node_agent.channel_options import read_tls_files
from node_agent.config import TlsFiles
from node_agent.errors import AgentConfigError


def client_context(tls: TlsFiles) -> ssl.SSLContext:
    """For the end that dials: the node's certificate must be of the authority, and name the host that was dialed.

    Raises:
        AgentConfigError: A file cannot be read, or holds something else.
    """
    return _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls)


def server_context(tls: TlsFiles) -> ssl.SSLContext:
    """For the end that listens: it wants a certificate of the same authority.

    Raises:
        AgentConfigError: A file cannot be read, or holds something else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # streams are long-lived: none is resumed
    return _load(context, tls)


def _load(context: ssl.SSLContext, tls: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    read_tls_files(tls)  # names the file that cannot be read
    try:
        context.load_verify_locations(tls.authority)
        # An encrypted key is refused: nobody is there to be asked for its password.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except (ssl.SSLError, ValueError) as exc:
        raise AgentConfigError(
            f"The TLS files {tls.certificate}, {tls.key} and {tls.authority} are not PEM in clear, or do not belong "
            f"together ({getattr(exc, 'reason', None) or exc})."
        ) from exc
    return context


_REFUSALS = {
    "WRONG_VERSION_NUMBER": "it speaks in clear there, or no TLS 1.3; start it with --tls-cert, --tls-key and --tls-ca",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS 1.3",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of this end",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know the authority of this end's certificate",
    "TLSV1_ALERT_DECRYPT_ERROR": "it does not believe this end's certificate",
    "NO_CERTIFICATE_RETURNED": "it shows no certificate",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
    "UNEXPECTED_EOF_WHILE_READING": "it closed the connection during the handshake",
}


def refusal(exc: OSError) -> str:
    """Why a handshake, or what came after it, failed; without a full stop."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({exc.verify_message.removesuffix('.')})"
    reason = getattr(exc, "reason", None)
    if reason is None:
        return exc.strerror or str(exc)
    return _REFUSALS.get(reason, f"{reason.lower().replace('_', ' ')}")
