"""Who the holder of a certificate is, and what that one may do on a node. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from node_agent.errors import PeerRefusedError
from node_agent.tls.certificate import Certificate, Revocations

_URI = re.compile(r"splitfront://cluster/([A-Za-z0-9._-]{1,63})/role/([a-z]+)/([A-Za-z0-9._-]{1,63})")


class Role(StrEnum):
    """What a certificate entitles to."""

    COORDINATOR = "coordinator"
    NODE = "node"


CONTROL = frozenset({Role.COORDINATOR})
"""Who may tell a node what to do."""
DATA = frozenset({Role.COORDINATOR, Role.NODE})
"""Who may send tensors and ask for results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a certificate names."""

    cluster: str
    role: Role
    name: str

    def __str__(self) -> str:
        return f"{self.role} '{self.name}' of cluster '{self.cluster}'"


def identity_of(uris: Iterable[str]) -> Identity:
    """Whom a certificate with these URIs names.

    Raises:
        ValueError: Nobody, several at once, or in a role that is not known here.
    """
    matches = [match for match in map(_URI.fullmatch, uris) if match]
    if len(matches) != 1:
        raise ValueError(f"it names {'nobody' if not matches else 'several'} with a role in a cluster")
    cluster, role, name = matches[0].groups()
    if role not in tuple(Role):
        raise ValueError(f"it has the role '{role}', which is not known here")
    return Identity(cluster=cluster, role=Role(role), name=name)


def check_peer(
    certificate: Certificate, *, cluster: str, allowed: frozenset[Role], wanted: str, revoked: Revocations
) -> Identity:
    """Who the other end is, if that one may do what it wants here.

    Args:
        certificate: That of the other end; the authority's signature on it holds.
        cluster: That of this end.
        allowed: Roles that may.
        wanted: What the other end wants, such as `LoadStage`.
        revoked: The list that this end knows.

    Raises:
        PeerRefusedError: It may not.
    """
    try:
        peer = identity_of(certificate.uris)
    except ValueError as exc:
        raise PeerRefusedError(
            f"{wanted} is refused to this certificate: {exc}. Use one that `splitfront pki issue` made."
        ) from exc
    if certificate.serial in revoked.serials:
        raise PeerRefusedError(
            f"{wanted} is refused to the {peer}: its certificate {certificate.serial:X} was revoked. Make it a new key "
            "and issue anew, if it is still trusted."
        )
    if peer.cluster != cluster:
        raise PeerRefusedError(
            f"{wanted} is refused to the {peer}: this is cluster '{cluster}'. Use a certificate of it."
        )
    if peer.role not in allowed:
        raise PeerRefusedError(
            f"{wanted} is refused to the {peer}: it is for a {' or '.join(sorted(allowed))}. Use a certificate of that "
            "role."
        )
    return peer
