"""The file of known hosts, in the form of OpenSSH."""

import struct
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from deploy.errors import HostKeyError

_UNREADABLE = (
    InvalidHostKey,
    paramiko.SSHException,
    ValueError,
    IndexError,
    OverflowError,
    AssertionError,
    struct.error,
)
"""What paramiko says to lines that it cannot read. OpenSSH leaves them out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKeys:
    """What the file says to one host."""

    trusted: tuple[paramiko.PKey, ...] = ()
    """The host's own that are not revoked; of several of one kind the first."""
    revoked: frozenset[bytes] = frozenset()
    """Those that no host may have any more."""


def read_known_keys(path: Path, name: str) -> KnownKeys:
    """The keys for a host; none where there is no file. Authorities for hosts (`@cert-authority`) are not asked.

    Args:
        path: Of the file.
        name: Of the host; `[name]:port` for another port than 22.

    Raises:
        HostKeyError: The file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return KnownKeys()
    except OSError as exc:
        raise HostKeyError(f"{path} cannot be read: {exc.strerror}.") from exc
    words = [line.split() for line in lines if not line.lstrip().startswith("#")]
    marked = [_entry(rest) for marker, *rest in filter(None, words) if marker == "@revoked"]
    revoked = frozenset(entry.key.asbytes() for entry in marked if entry)
    trusted: dict[str, paramiko.PKey] = {}
    for entry in (_entry(line) for line in words if line and not line[0].startswith("@")):
        if entry and _is_of(entry, name) and entry.key.asbytes() not in revoked:
            trusted.setdefault(entry.key.get_name(), entry.key)
    return KnownKeys(trusted=tuple(trusted.values()), revoked=revoked)


def add_known_key(path: Path, name: str, key: paramiko.PKey) -> None:
    """Remembers the key of a host, in a line of its own."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, SEEK_END)
            file.write(b"" if file.read(1) == b"\n" else b"\n")
        file.write(f"{name} {key.get_name()} {key.get_base64()}\n".encode("ascii"))


def _entry(words: list[str]) -> HostKeyEntry | None:
    try:
        return HostKeyEntry.from_line(" ".join(words[:3]))
    except _UNREADABLE:
        return None


def _is_of(entry: HostKeyEntry, name: str) -> bool:
    keys = paramiko.HostKeys()
    for one in entry.hostnames:
        keys.add(one, entry.key.get_name(), entry.key)
    try:
        return keys.lookup(name) is not None
    except _UNREADABLE:  # a hashed name that is none
        return False
