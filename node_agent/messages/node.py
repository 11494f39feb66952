"""What a node is and how it is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDescription:
    """What a node is."""

    name: str
    protocol: int
    version: str
    """Of the splitfront on the node."""
    machine: str
    """`x86_64`, `aarch64`."""
    cpu: str
    n_cores: int
    memory_bytes: int
    resident_bytes: int
    """Of the agent's process, idle."""
    python: str
    runtime: str
    """`onnxruntime 1.32.0`."""
    providers: tuple[str, ...]
    """Those in use, best first."""
    n_threads: int
    slowdown: float
    """Factor by which stages are paced; 0 where they take the time that they take, however little the system leaves."""
    host_id: str
    """The same for two nodes on one machine."""
    codecs: tuple[str, ...] = ("none",)
    """Those that boundary tensors can be encoded and decoded with here; empty for a node of an older version."""
    optimisation: str = "all"
    """Level at which sessions are optimised: one of `config.OPTIMISATIONS`; empty for a node of an older version."""
    governor: str = ""
    """Frequency governor of the first core used; empty where unknown."""
    temperature_class: str = ""
    """`cool` below 60 °C, `warm` below 80 °C, `hot` above; empty where unknown."""
    cpu_limit: float = 0.0
    """Cores' worth of time that the system's quota leaves to the agent; 0: no quota. Such a node is limited, not paced:
    its times are those of real computations."""
    energy_meter: str = ""
    """Where `NodeStatus.joules` come from: `rapl`, `nvml`; empty without a meter."""
    cores: tuple[int, ...] = ()
    """Numbers of the processors that the agent may use."""
    tcp_port: int = 0
    """Where the data plane `tcp` listens, on the host at which the node is reached; 0: it does not."""
    trials: str = ""
    """How new shards are tried before they are opened: `limited`, what is lacking in that, or `none` and why. Empty for
    a node of an older version, which opens them untried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """How a node is."""

    uptime_seconds: float
    resident_bytes: int
    store_bytes: int
    store_quota_bytes: int
    n_stages: int
    warnings: tuple[str, ...] = ()
    """What makes times on the node doubtful now, a sentence each."""
    temperature_celsius: float = 0.0
    """Of the hottest zone of the processor; 0 where unknown."""
    joules: float = 0.0
    """Read from the energy meter since the agent started, never falling; 0 without a meter."""
    instance: str = ""
    """Drawn by the agent when it started: another one means that it holds none of the stages that it was given before.
    Empty for a node of an older version."""
