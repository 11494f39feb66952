"""Where the machines are and what should run there, as values."""

from dataclasses import dataclass
from pathlib import Path

DEFAULT_SSH_PORT = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class SshEndpoint:
    """An SSH server and how to log in there."""

    host: str
    port: int = DEFAULT_SSH_PORT
    user: str
    key: Path | None = None
    """Private key; None: those of the SSH agent and the user's usual ones."""
    fingerprint: str | None = None
    """`SHA256:…` of the host's key, which then counts alone; None: the user's known_hosts counts."""

    def __str__(self) -> str:
        port = "" if self.port == DEFAULT_SSH_PORT else f":{self.port}"
        return f"{self.user}@{self.host}{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPolicy:
    """How an installed agent may be spoken to."""

    is_mutual: bool
    """Whether it serves mutual TLS with the certificate that lies on the node."""
    allows_plaintext: bool
    """Whether it may serve other machines in clear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What an installed agent is told."""

    name: str
    port: int
    is_loopback: bool
    """Whether only its own machine may reach it."""
    tls: TlsPolicy = TlsPolicy(is_mutual=False, allows_plaintext=False)
    tcp_port: int = 0
    """Of the data plane `tcp`; 0: any free one."""
    threads: int | None = None
    providers: tuple[str, ...] = ()
    optimisation: str | None = None
    limits: tuple[str, ...] = ()
    """Options that say how much others may take of the agent, as its command line has them."""
    cores: tuple[int, ...] = ()
    memory_bytes: int | None = None
    """Most that the system lets it have; None: 90 % of the machine's."""
    cpu_quota: float | None = None
    """Most that it may use, in cores; None: all."""
    has_gpu: bool = False
    """Whether the runtime for CUDA is installed instead of the one for processors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One machine of the inventory."""

    name: str
    address: str
    """Host name or IP address at which the other nodes find its agent."""
    ssh: SshEndpoint
    jump: SshEndpoint | None = None
    """The connection goes through this one."""
    scope: str = "auto"
    """`system`: for the whole machine, needs root; `user`: in the home of the login; `auto`: system if possible."""
    folder: str | None = None
    """Where a `user` installation lies; None: below ~/.local."""
    python: str | None = None
    """Interpreter on the machine; None: the newest that fits."""
    agent: AgentSettings
