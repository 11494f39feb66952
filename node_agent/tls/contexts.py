"""Contexts of TLS 1.3, mutual, from the same files as gRPC's, and refusals in words."""

import ssl

from node_agent.config import TlsFiles
from node_agent.errors import AgentConfigError


def read_tls_files(tls: TlsFiles) -> tuple[bytes, bytes, bytes]:
    """Authority, key and certificate of one end.

    Raises:
        AgentConfigError: One of the files cannot be read.
    """
    try:
        return tls.authority.read_bytes(), tls.key.read_bytes(), tls.certificate.read_bytes()
    except OSError as exc:
        raise AgentConfigError(f"Cannot read the TLS file {exc.filename}: {exc.strerror}.") from exc


def client_context(tls: TlsFiles) -> ssl.SSLContext:
    """For the end that dials: the node's certificate must be of the authority, and name the host that was dialed.

    Raises:
        AgentConfigError: A file cannot be read, or holds something else.
    """
    context = _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls)
    if tls.revoked is not None:
        _load_revocations(context, tls)
    return context


def server_context(tls: TlsFiles) -> ssl.SSLContext:
    """For the end that listens: it wants a certificate of the same authority.

    Raises:
        AgentConfigError: A file cannot be read, or holds something else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # streams are long-lived: none is resumed
    return _load(context, tls)


def any_client_context() -> ssl.SSLContext:
    """For an end that dials only to see who is there: it believes everybody, and shows no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _load(context: ssl.SSLContext, tls: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    read_tls_files(tls)  # names the file that cannot be read
    try:
        context.load_verify_locations(tls.authority)
        # An encrypted key is refused: nobody is there to be asked for its passphrase.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except (ssl.SSLError, ValueError) as exc:
        reason = getattr(exc, "reason", None) or exc
        if reason == "KEY_VALUES_MISMATCH":
            raise AgentConfigError(
                f"The key {tls.key} does not belong to the certificate {tls.certificate}: put those of one request "
                "together."
            ) from exc
        raise AgentConfigError(
            f"The TLS files {tls.certificate}, {tls.key} and {tls.authority} are not PEM in clear, or do not belong "
            f"together ({reason})."
        ) from exc
    return context


def verification_fault(tls: TlsFiles) -> ssl.SSLError | None:
    """What another end that has the same authority and list would have against this one: it shakes hands with itself.

    So OpenSSL checks all signatures, that of the list included, and nothing of it is ours.

    Raises:
        AgentConfigError: A file cannot be read, or holds something else.
    """
    server, client = server_context(tls), any_client_context()
    _load(client, tls)
    if tls.revoked is not None:
        _load_revocations(server, tls)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_side=False),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    is_waiting = True
    while is_waiting:
        is_waiting = False
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                is_waiting = True
            except ssl.SSLError as exc:
                return exc
    return None


def _load_revocations(context: ssl.SSLContext, tls: TlsFiles) -> None:
    """Has OpenSSL hold the other end's certificate against the list, whose signature it checks."""
    try:
        context.load_verify_locations(tls.revoked)
    except OSError as exc:
        reason = "it is no list in PEM" if isinstance(exc, ssl.SSLError) else exc.strerror
        raise AgentConfigError(f"Cannot read the TLS file {tls.revoked}: {reason}.") from exc
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


HUNG_UP = "it closed the connection during the handshake"
_REFUSALS = {
    "WRONG_VERSION_NUMBER": "it speaks in clear there, or no TLS 1.3; start it with --pki or --tls-cert, --tls-key, "
    "--tls-ca",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS 1.3",
    "TLSV1_ALERT_PROTOCOL_VERSION": "it speaks no TLS 1.3",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of this end",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know the authority of this end's certificate",
    "TLSV1_ALERT_DECRYPT_ERROR": "it does not believe this end's certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "by its clock this end's certificate has expired",
    "SSLV3_ALERT_BAD_CERTIFICATE": "by its clock this end's certificate is not yet valid, or it is not believed",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "this end's certificate is not made for dialing",
    "NO_CERTIFICATE_RETURNED": "it shows no certificate",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
    "UNEXPECTED_EOF_WHILE_READING": HUNG_UP,
}


def refusal(exc: OSError) -> str:
    """Why a handshake, or what came after it, failed; without a full stop."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({exc.verify_message.removesuffix('.')})"
    reason = getattr(exc, "reason", None)
    if reason is None:
        return exc.strerror or str(exc)
    return _REFUSALS.get(reason, f"{reason.lower().replace('_', ' ')}")
