"""Why TLS keeps two ends apart: to a gRPC client all its refusals look like a dead node."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from node_agent.config import Address, TlsFiles, parse_address
from node_agent.errors import AgentConfigError, NodeError, NodeUnreachableError, PeerRefusedError, TlsRefusedError
from node_agent.tls.certificate import Certificate, Revocations, pem_content, read_certificate, read_revocations
from node_agent.tls.contexts import HUNG_UP, any_client_context, client_context, refusal
from node_agent.tls.identity import CONTROL, Identity, Role, check_peer, identity_of
from node_agent.tls.material import EXPIRED, NOT_YET_VALID, REVOKED, load_material, moment_text

_SECONDS = 2.0
_LEAST_WAIT_SECONDS = 0.2
"""And four times what the handshake took: so long may a refusal be on its way."""
_WRONG_PURPOSE = 26
_OTHER_NAME = {62, 64}
_OTHER_AUTHORITY = {2, 7, 18, 19, 20, 21, 30}
"""Numbers of OpenSSL: the host or the IP address is not named; the issuer or its signature is not known."""
_NO_TLS = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "BAD_RECORD_TYPE"}


def explained(error: NodeUnreachableError, address: str, tls: TlsFiles | None, allowed: frozenset[Role]) -> NodeError:
    """`error`, or a better one where TLS is the cause."""
    why = diagnose_tls(address, tls, allowed=allowed)
    return TlsRefusedError(f"Cannot speak to the node at {address}: {why}") if why else error


def diagnose_tls(
    address: str, tls: TlsFiles | None, *, allowed: frozenset[Role] = CONTROL, timeout_seconds: float = _SECONDS
) -> str:
    """Why TLS keeps this end from a node, and what to do.

    Args:
        address: Where the node listens, for gRPC or for the data plane `tcp`.
        tls: Files of this end; None: it speaks in clear.
        allowed: Roles that may do there what this end wants.
        timeout_seconds: For each of at most two connections.

    Returns:
        A sentence on one line; empty where TLS is not in the way, or nobody listens.
    """
    try:
        where = parse_address(address)
        if tls is None:
            return _why_not_in_clear(where, timeout_seconds)
        mine = load_material(tls)
        if mine.identity.role not in allowed:
            return (
                f"this end is the {mine.identity}, and what it wants is for a {' or '.join(sorted(allowed))}: use a "
                "certificate of that role."
            )
        return _why_not_under_tls(where, tls, timeout_seconds)
    except AgentConfigError as exc:
        return str(exc)


def refuse_revoked(address: str, tls: TlsFiles) -> None:
    """Looks whether a node's certificate was revoked, over a connection of its own: gRPC cannot be told.

    Whatever else is wrong shows when gRPC connects. Costs nothing while none is revoked.

    Raises:
        PeerRefusedError: It was.
        AgentConfigError: The list cannot be read.
    """
    if tls.revoked is None or not _read_list(tls).serials:
        return
    try:
        with _shaken(parse_address(address), client_context(tls), _SECONDS / 2):
            return
    except ssl.SSLCertVerificationError as exc:
        if exc.verify_code == REVOKED:
            raise PeerRefusedError(f"The node at {address} is not spoken to: its certificate was revoked.") from exc
    except OSError:
        return


def _read_list(tls: TlsFiles) -> Revocations:
    try:
        return read_revocations(pem_content(tls.revoked.read_bytes(), "X509 CRL")) if tls.revoked else Revocations()
    except (OSError, ValueError) as exc:
        raise AgentConfigError(f"The list {tls.revoked} cannot be used: {exc}.") from exc


def check_listener(tls: TlsFiles, der: bytes, address: str) -> None:
    """Looks whether what listens is a node of the cluster of this end.

    Raises:
        PeerRefusedError: It is something else.
        AgentConfigError: The certificate of this end cannot be read.
    """
    try:
        mine = identity_of(read_certificate(pem_content(tls.certificate.read_bytes(), "CERTIFICATE")).uris)
    except (OSError, ValueError) as exc:
        raise AgentConfigError(f"The certificate {tls.certificate} cannot be used: {exc}.") from exc
    try:
        shown = read_certificate(der)
    except ValueError as exc:
        raise PeerRefusedError(f"What listens at {address} shows a certificate that cannot be read: {exc}.") from exc
    check_peer(
        shown,
        cluster=mine.cluster,
        allowed=frozenset({Role.NODE}),
        wanted=f"To listen at {address}",
        revoked=Revocations(),  # OpenSSL has looked
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a handshake showed."""

    der: bytes
    is_closed: bool
    """Whether the other end closed the connection then: in TLS 1.3 that is how it refuses a certificate."""


@contextmanager
def _shaken(where: Address, context: ssl.SSLContext, timeout_seconds: float) -> Iterator[ssl.SSLSocket]:
    """A connection after its handshake.

    Raises:
        OSError: Nobody is there, or there is a reason against the handshake.
    """
    context.set_alpn_protocols(["h2"])  # gRPC refuses who does not say it
    with (
        socket.create_connection((where.host, where.port), timeout_seconds) as connected,
        context.wrap_socket(connected, server_hostname=where.host) as secured,
    ):
        yield secured


def _look(where: Address, context: ssl.SSLContext, timeout_seconds: float) -> _Seen:
    """Shakes hands and waits for what the other end says to it.

    Raises:
        OSError: Nobody is there, or either end has a reason against the other.
    """
    started = time.monotonic()
    with _shaken(where, context, timeout_seconds) as secured:
        der = secured.getpeercert(binary_form=True) or b""
        secured.settimeout(min(timeout_seconds, _LEAST_WAIT_SECONDS + 4 * (time.monotonic() - started)))
        try:
            return _Seen(der=der, is_closed=secured.recv(1) == b"")
        except TimeoutError:  # the data plane tcp waits for this end to begin
            return _Seen(der=der, is_closed=False)
        except ConnectionResetError:
            return _Seen(der=der, is_closed=True)


def _why_not_in_clear(where: Address, timeout_seconds: float) -> str:
    try:
        _look(where, any_client_context(), timeout_seconds)
    except ssl.SSLError as exc:
        if exc.reason is None or "ALERT" not in exc.reason:
            return ""
    except OSError:
        return ""
    return f"{where} speaks TLS, and was spoken to in clear: give this end its files (cluster.yaml: security, pki)."


def _why_not_under_tls(where: Address, tls: TlsFiles, timeout_seconds: float) -> str:
    try:
        seen = _look(where, client_context(tls), timeout_seconds)
        if not seen.is_closed:
            check_listener(tls, seen.der, str(where))
            return ""
    except PeerRefusedError as exc:
        return str(exc)
    except ssl.SSLCertVerificationError as exc:
        return _against_listener(where, tls, exc, timeout_seconds)
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError) as exc:
        return _against_tls(where, exc)
    except OSError:
        return ""
    return (
        f"{where} closed the connection when it saw the certificate {tls.certificate}, against which there is nothing "
        f"here: its ca.pem is not {tls.authority}, or its clock is wrong."
    )


def _against_tls(where: Address, fault: OSError) -> str:
    if not isinstance(fault, ssl.SSLError):  # it hung up before it had read all that this end said
        return f"{where} refuses TLS: {HUNG_UP}."
    if fault.reason in _NO_TLS:
        remedy = "start the agent there with --pki, or leave TLS out of this end"
        return f"{where} speaks in clear, and was spoken to under TLS: {remedy}."
    return f"{where} refuses TLS: {refusal(fault)}."


def _against_listener(
    where: Address, tls: TlsFiles, fault: ssl.SSLCertVerificationError, timeout_seconds: float
) -> str:
    """What is against the certificate of what listens, with what that one says."""
    shown = _certificate_at(where, timeout_seconds)
    whose = f"the certificate of {where}"
    identity = _identity(shown)
    if identity is not None:
        whose += f", {identity},"
    clock = f"set this machine's clock, which says {moment_text(datetime.now(UTC))}"
    texts = {
        REVOKED: "was revoked: have the node make a new key and issue anew, if it is still trusted",
        _WRONG_PURPOSE: "is not one to listen with: start the agent with that of a node",
        **dict.fromkeys(_OTHER_NAME, f"does not name {where.host}: issue it anew with --address {where.host}"),
        **dict.fromkeys(
            _OTHER_AUTHORITY, f"is not of the authority {tls.authority}: give both ends the ca.pem of one cluster"
        ),
    }
    if shown is not None:
        begins, ends = moment_text(shown.not_before), moment_text(shown.not_after)
        texts[EXPIRED] = f"expired on {ends}: renew it (`splitfront pki renew`), or {clock}"
        texts[NOT_YET_VALID] = f"is not yet valid, but from {begins} on: {clock}"
    return f"{whose} {texts.get(fault.verify_code, f'is not accepted ({fault.verify_message})')}."


def _certificate_at(where: Address, timeout_seconds: float) -> Certificate | None:
    with suppress(OSError, ValueError), _shaken(where, any_client_context(), timeout_seconds) as secured:
        return read_certificate(secured.getpeercert(binary_form=True) or b"")
    return None


def _identity(certificate: Certificate | None) -> Identity | None:
    with suppress(ValueError):
        return identity_of(certificate.uris) if certificate else None
    return None
