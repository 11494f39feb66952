"""What should be on a machine, as a value."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from deploy.facts.machine import Interpreter
from deploy.steps import Step

_SHORT = 10


def sha256_of(content: bytes) -> str:
    """Hexadecimal digest."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A package file on this machine."""

    path: Path
    sha256: str
    n_bytes: int

    @property
    def name(self) -> str:
        """Its file name, which pip reads."""
        return self.path.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedFile:
    """A file whose text the plan decides."""

    path: str
    text: str

    @property
    def sha256(self) -> str:
        """Digest of the text."""
        return sha256_of(self.text.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An installation as it should be."""

    version: str
    python: Interpreter
    wheels: tuple[Wheel, ...]
    files: tuple[ManagedFile, ...]
    address: str
    """Where the agent answers on its own machine."""
    server_name: str
    """What the agent's certificate calls it; empty: it speaks in clear."""
    identity_steps: tuple[Step, ...] = ()
    """What gives the node what it needs to serve TLS, as far as what it has will not do."""
    health_seconds: float = 60.0
    """How long a new agent may take until it is healthy."""

    @property
    def release(self) -> str:
        """Name of the release: the version, and a digest of all that it is made of."""
        parts = [self.python.path, *sorted(f"{wheel.sha256} {wheel.name}" for wheel in self.wheels)]
        return f"{self.version}-{sha256_of(chr(10).join(parts).encode())[:_SHORT]}"

    @property
    def stamp(self) -> str:
        """The release, a digest of its settings and where it answers: what has been found healthy together."""
        parts = sorted(f"{file.sha256} {file.path}" for file in self.files)
        settings = sha256_of(chr(10).join(parts).encode())[:_SHORT]
        return f"{self.release} {settings} {self.address} {self.server_name}".rstrip()
