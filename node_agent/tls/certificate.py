"""What is read of a certificate, and of a list of revoked ones. Pure; whoever calls has had the signature verified."""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from node_agent.tls.der import elements, first, only

_INTEGER, _OCTETS, _OBJECT, _UTC_TIME, _SEQUENCE = 0x02, 0x04, 0x06, 0x17, 0x30
_VERSION, _EXTENSIONS, _LIST_EXTENSIONS, _URI = 0xA0, 0xA3, 0xA0, 0x86
_ALTERNATIVE_NAME, _LIST_NUMBER = bytes((0x55, 0x1D, 17)), bytes((0x55, 0x1D, 20))
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]+)-----END \1-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate of either end."""

    serial: int
    not_before: datetime
    not_after: datetime
    uris: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocations:
    """A list of certificates that the authority vouches for no more."""

    number: int = 0
    """Grows with each list."""
    serials: frozenset[int] = frozenset()


def pem_content(pem: bytes, kind: str) -> bytes:
    """DER of the first block of `kind`, such as `CERTIFICATE`, in a PEM file.

    Raises:
        ValueError: There is none.
    """
    for match in _PEM.finditer(pem):
        if match[1].decode() == kind:
            try:
                return base64.b64decode(match[2])
            except binascii.Error as exc:
                raise ValueError(f"the {kind.lower()} is damaged") from exc
    raise ValueError(f"there is no {kind.lower()} in PEM")


def read_certificate(der: bytes) -> Certificate:
    """The certificate in `der`.

    Raises:
        ValueError: It is none.
    """
    try:
        fields = [field for field in elements(first(only(der))) if field[0] != _VERSION]
        (_, serial), _, _, (_, validity), *_ = fields
        not_before, not_after = (_time(*field) for field in elements(validity))
        names = next(
            (value for oid, value in _extensions(fields, _EXTENSIONS) if oid == _ALTERNATIVE_NAME), b"\x30\x00"
        )
        uris = tuple(content.decode("ascii") for tag, content in elements(only(names)) if tag == _URI)
    except ValueError as exc:
        raise ValueError(f"this is no certificate: {exc}") from exc
    return Certificate(serial=int.from_bytes(serial), not_before=not_before, not_after=not_after, uris=uris)


def read_revocations(der: bytes) -> Revocations:
    """The list in `der`.

    Raises:
        ValueError: It is none.
    """
    try:
        fields = list(elements(first(only(der))))
        entries = [content for tag, content in fields[3:] if tag == _SEQUENCE]  # after the issuer; times are none
        serials = frozenset(int.from_bytes(first(entry)) for entries_of in entries for _, entry in elements(entries_of))
        numbers = (value for oid, value in _extensions(fields, _LIST_EXTENSIONS) if oid == _LIST_NUMBER)
        number = int.from_bytes(only(next(numbers, b"\x02\x01\x00")))
    except ValueError as exc:
        raise ValueError(f"this is no list of revoked certificates: {exc}") from exc
    return Revocations(number=number, serials=serials)


def _extensions(fields: list[tuple[int, bytes]], tag: int) -> Iterator[tuple[bytes, bytes]]:
    """(object identifier, value) of each extension."""
    for field, content in fields:
        if field == tag:
            for _, extension in elements(only(content)):
                parts = list(elements(extension))
                if len(parts) > 1 and parts[0][0] == _OBJECT and parts[-1][0] == _OCTETS:
                    yield parts[0][1], parts[-1][1]


def _time(tag: int, content: bytes) -> datetime:
    """A moment; years of two digits are of 1950 to 2049."""
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
