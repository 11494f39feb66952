"""Who a certificate is for, and what must hold of it. Pure."""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from deploy.errors import PkiError

DEFAULT_LIFE = timedelta(days=30)
AUTHORITY_LIFE = timedelta(days=3650)
MIN_LIFE, MAX_LIFE = timedelta(hours=1), timedelta(days=398)
CLOCK_SLACK = timedelta(hours=1)
"""A certificate begins so much before it is made: a Pi has no clock of its own, and may be late after its start."""

_RENEWAL = 2 / 3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PODS = re.compile(r"\*\.(?=[^.]+\.[^.]+\.svc(\.|$))")
"""Begins the names of all pods of one Kubernetes service, which nobody knows beforehand. No other wildcard is taken."""


class Role(StrEnum):
    """What the holder of a certificate may do."""

    COORDINATOR = "coordinator"
    """Tells nodes what to do; listens nowhere."""
    NODE = "node"
    """Listens, and sends to other nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whom a certificate names."""

    cluster: str
    role: Role
    name: str

    @property
    def uri(self) -> str:
        """What stands in the certificate, and is read by `node_agent.tls.identity`."""
        return f"splitfront://cluster/{self.cluster}/role/{self.role}/{self.name}"

    def __str__(self) -> str:
        return f"{self.role} '{self.name}' of cluster '{self.cluster}'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that the authority has issued."""

    identity: Identity
    serial: int
    addresses: tuple[str, ...]
    """Names and IP addresses at which the holder may listen."""
    not_before: datetime
    not_after: datetime
    pem: bytes

    @property
    def life(self) -> timedelta:
        """From its making to its end."""
        return self.not_after - self.not_before - CLOCK_SLACK

    @property
    def due(self) -> datetime:
        """When it should be renewed: a third of its life is left then."""
        return self.not_after - self.life * (1 - _RENEWAL)

    @property
    def serial_text(self) -> str:
        """As OpenSSL shows it."""
        return f"{self.serial:X}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A signing request whose signature holds: who sends it has the key."""

    name: str
    pem: bytes


def check_name(text: str, what: str) -> str:
    """`text`, if it may be the name of a cluster, node or coordinator.

    Raises:
        PkiError: It may not.
    """
    if not _NAME.fullmatch(text):
        raise PkiError(
            f"{text[:64]!r} cannot be the name of a {what}: want letters, digits, '.', '_' and '-', 63 at most."
        )
    return text


def check_addresses(texts: Sequence[str]) -> tuple[str, ...]:
    """Names and IP addresses in the form that certificates have, each once.

    Raises:
        PkiError: One is no single machine's: a wildcard but for the pods of one service, a range, a port, a URL.
    """
    return tuple(dict.fromkeys(map(_check_address, texts)))


def _check_address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text.removeprefix("[").removesuffix("]"))
    except ValueError:
        labels = _PODS.sub("", text).split(".")
        if len(text) > 253 or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
            raise PkiError(
                f"{text[:64]!r} is no address of a node: want an IP address or a host name, without port, such as "
                "192.168.1.11 or pi-1.local."
            ) from None
        return text.lower()
    if address.is_unspecified or address.is_multicast:
        raise PkiError(f"{address} is not the address of one machine: write where the others find the node.")
    return str(address)


def check_life(life: timedelta) -> timedelta:
    """`life`, if a certificate may live so long.

    Raises:
        PkiError: It may not.
    """
    if not MIN_LIFE <= life <= MAX_LIFE:
        raise PkiError(
            f"A certificate may live for an hour to {MAX_LIFE.days} days, not for {life / timedelta(days=1):g}."
        )
    return life
