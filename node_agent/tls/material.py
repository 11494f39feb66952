"""What the TLS files of one end hold, judged as the other end would judge it."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from node_agent.config import TlsFiles
from node_agent.errors import AgentConfigError
from node_agent.tls.certificate import Certificate, Revocations, pem_content, read_certificate, read_revocations
from node_agent.tls.contexts import read_tls_files, server_context, verification_fault
from node_agent.tls.identity import Identity, identity_of

NOT_YET_VALID, EXPIRED, REVOKED = 9, 10, 23
"""Numbers that OpenSSL gives to what is against a certificate. These three may befall a running agent; any other means
that files do not belong together."""
_LIST_FAULTS = {3: "is of another authority", 8: "is not signed by it", 11: "is not yet valid", 12: "has expired"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What one end needs for TLS."""

    authority: bytes
    key: bytes
    certificate: bytes
    """All three are PEM."""
    listening: ssl.SSLContext
    """Of the end that listens."""
    own: Certificate
    identity: Identity
    revoked: Revocations
    warning: str
    """Why other ends will refuse this one; empty where they will not."""


def load_material(tls: TlsFiles, *, is_running: bool = False, known: Revocations | None = None) -> Material:
    """What the files hold.

    Args:
        tls: Where they are.
        is_running: Whether this end is at work already: that its certificate has ended or was revoked is then a
            warning, since the list that says so must count.
        known: The list that is known by now; an older one is none.

    Raises:
        AgentConfigError: A file cannot be read, or they do not go together; says which, and never what is in them.
    """
    authority, key, certificate = read_tls_files(tls)
    try:
        own = read_certificate(pem_content(certificate, "CERTIFICATE"))
        identity = identity_of(own.uris)
    except ValueError as exc:
        _ = server_context(tls)  # says it if it is no certificate at all
        raise AgentConfigError(
            f"The certificate {tls.certificate} cannot be used: {exc}. Use one that `splitfront pki issue` made."
        ) from exc
    fault = verification_fault(tls)
    warning = _fault_text(tls, own, fault) if fault else ""
    is_timely = getattr(fault, "verify_code", 0) in (NOT_YET_VALID, EXPIRED, REVOKED)
    if fault and not (is_timely and is_running):
        raise AgentConfigError(warning)
    return Material(
        authority=authority,
        key=key,
        certificate=certificate,
        listening=server_context(tls),
        own=own,
        identity=identity,
        revoked=_revocations(tls, known or Revocations()),
        warning=warning,
    )


def _revocations(tls: TlsFiles, known: Revocations) -> Revocations:
    if tls.revoked is None:
        return known
    try:
        found = read_revocations(pem_content(tls.revoked.read_bytes(), "X509 CRL"))
    except (OSError, ValueError) as exc:
        raise AgentConfigError(f"The list {tls.revoked} cannot be used: {exc}.") from exc
    if found.number < known.number:
        raise AgentConfigError(f"The list {tls.revoked} is older than the one that is known.")
    return found


def _fault_text(tls: TlsFiles, own: Certificate, fault: ssl.SSLError) -> str:
    what, clock = (
        f"The certificate {tls.certificate}",
        f"this machine's clock, which says {moment_text(datetime.now(UTC))}",
    )
    if not isinstance(fault, ssl.SSLCertVerificationError):
        return f"{what} cannot be used ({fault.reason})."
    code = fault.verify_code
    if code == EXPIRED:
        return f"{what} expired on {moment_text(own.not_after)}: renew it (`splitfront pki renew`), or set {clock}."
    if code == NOT_YET_VALID:
        return f"{what} is not yet valid, but from {moment_text(own.not_before)} on: set {clock}."
    if code == REVOKED:
        return f"{what} was revoked: if this end is still trusted, make a new key and have it issued anew."
    if code in _LIST_FAULTS:
        return f"The list of revoked certificates {tls.revoked} {_LIST_FAULTS[code]}: take that of {tls.authority}."
    return f"{what} is not of the authority {tls.authority} ({fault.verify_message}): take both from one cluster."


def moment_text(moment: datetime) -> str:
    """`2026-11-20 08:00 UTC`."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
