"""How an agent is configured, and the texts that say so."""

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from node_agent.errors import AgentConfigError
from node_agent.limits import Limits

DEFAULT_PROVIDERS = ("CPUExecutionProvider",)
OPTIMISATIONS = ("none", "basic", "extended", "all")
"""How much of a graph the runtime may rewrite, least first. On the same model, `extended` takes about twice as long as
`all`: honest unequal devices on one machine."""

MAX_CORES = 4096

_UNITS = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files of one end of a mutual TLS connection."""

    certificate: Path
    key: Path
    authority: Path
    """Certificate of the authority that must have signed the other end's."""
    revoked: Path | None = None
    """Its list of those that it vouches for no more; None: this end knows of none."""

    @classmethod
    def of_node(cls, folder: Path) -> "TlsFiles":
        """Those of a node, by the names that `splitfront pki` gives them."""
        return cls(
            certificate=folder / "node.pem",
            key=folder / "node.key",
            authority=folder / "ca.pem",
            revoked=folder / "revoked.pem",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """All that an agent is told at its start."""

    name: str
    store: Path
    listen: Address = Address(host="127.0.0.1", port=0)
    limits: Limits = field(default_factory=Limits)
    n_threads: int = 1
    providers: tuple[str, ...] = DEFAULT_PROVIDERS
    """Execution providers of onnxruntime, best first."""
    slowdown: float = 0.0
    """Device emulation: how many times slower than this machine; 0 emulates nothing."""
    optimisation: str = "all"
    """One of `OPTIMISATIONS`."""
    cores: tuple[int, ...] = ()
    """Numbers of the processors that the process may use; empty: all that the system lets it use."""
    tls: TlsFiles | None = None
    tcp_port: int | None = 0
    """Where the data plane `tcp` listens, on the host of `listen`; 0: a free one; None: nowhere."""
    allow_plaintext: bool = False
    """Whether an address that other machines reach may be served without TLS."""
    without_trials: bool = False
    """Whether shards are opened without having been tried in a limited process."""

    def check(self) -> None:
        """Raises `AgentConfigError` naming all faults at once."""
        faults = []
        if not self.name or len(self.name) > 200:
            faults.append("the name must have 1 to 200 characters")
        faults += self.limits.faults()
        if self.n_threads < 1:
            faults.append(f"threads must be 1 or more, got {self.n_threads}")
        if self.slowdown != 0 and not 1 <= self.slowdown < 1e6:
            faults.append(f"slowdown must be 0 (off) or at least 1, got {self.slowdown:g}")
        if self.optimisation not in OPTIMISATIONS:
            faults.append(f"the optimisation must be {', '.join(OPTIMISATIONS)}, got {self.optimisation!r}")
        if self.tcp_port is not None and not 0 <= self.tcp_port < 1 << 16:
            faults.append(f"the port of the data plane tcp must be 0 to 65535, got {self.tcp_port}")
        if self.tcp_port and self.tcp_port == self.listen.port:
            faults.append(f"--tcp-port must be another one than that of --listen, got {self.tcp_port} for both")
        if not self.listen.is_loopback and self.tls is None and not self.allow_plaintext:
            faults.append(
                f"{self.listen} can be reached by other machines: give --pki, or --tls-cert, --tls-key and --tls-ca, "
                "or say --allow-plaintext on a network that you trust"
            )
        if faults:
            raise AgentConfigError("; ".join(faults))


def parse_address(text: str) -> Address:
    """Address of `HOST:PORT` or `[IPV6]:PORT`.

    Raises:
        AgentConfigError: `text` is no such thing.
    """
    host, separator, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    is_bracketed = bare != host
    is_valid = separator and bare and port.isascii() and port.isdigit() and int(port) < 65536
    if not is_valid or (":" in bare) != is_bracketed:
        raise AgentConfigError(f"{text!r} is no address: want HOST:PORT such as 127.0.0.1:50051 or [::1]:0")
    return Address(host=bare, port=int(port))


def parse_tcp_port(text: str) -> int | None:
    """Port of the data plane `tcp`; None of `off`.

    Raises:
        AgentConfigError: `text` is no such thing.
    """
    if text == "off":
        return None
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 16:
        raise AgentConfigError(f"{text!r} is no port: want 0 to 65535, or off")
    return int(text)


def parse_bytes(text: str) -> int:
    """Bytes of `1048576`, `500MB` or `2GiB`.

    Raises:
        AgentConfigError: `text` is no such thing.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    if match is None or match[2] not in _UNITS:
        raise AgentConfigError(f"{text!r} is no size: want a number and B, kB, MB, GB, KiB, MiB or GiB, such as 2GiB")
    return int(float(match[1]) * _UNITS[match[2]])


def parse_cores(text: str) -> tuple[int, ...]:
    """Numbers of processors of `0,2-3`, ascending, each once.

    Raises:
        AgentConfigError: `text` is no such thing.
    """
    cores: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,4})(?:-([0-9]{1,4}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < MAX_CORES:
            raise AgentConfigError(f"{text!r} names no cores: want numbers and ranges such as 0,2-3")
        cores.update(range(first, last + 1))
    return tuple(sorted(cores))


def cores_text(cores: Sequence[int]) -> str:
    """`0,2-3`: what `parse_cores` reads."""
    ranges: list[list[int]] = []
    for core in sorted(set(cores)):
        if ranges and core == ranges[-1][-1] + 1:
            ranges[-1][1:] = [core]
        else:
            ranges.append([core])
    return ",".join("-".join(map(str, span)) for span in ranges)


def default_store() -> Path:
    """Folder for the store of this user."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "splitfront" / "store"
