"""Stages: the order to load one, and what comes of it."""

from dataclasses import dataclass

from node_agent.messages.content import ShardRef, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkEmulation:
    """How the sender of a link emulates it. All zero emulates nothing."""

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    """Standard deviation of the delay; order is kept."""
    bytes_per_second: float = 0.0
    """0: unlimited."""
    loss: float = 0.0
    """Probability that a packet of 1,500 bytes is lost and sent again."""
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLoad:
    """An order to make a stage ready."""

    deployment: str
    epoch: int
    stage: int
    n_stages: int
    shard: ShardRef
    receives: tuple[TensorSpec, ...]
    sends: tuple[TensorSpec, ...]
    """Those that the shard does not make are relayed from `receives`."""
    next_address: str = ""
    """Where the next stage's node listens for `next_plane`; empty for the last stage, whose frames go to the
    subscriber."""
    link: LinkEmulation | None = None
    """Of the hop to the next node. The last stage's is named by the subscriber."""
    pace_seconds: float = 0.0
    """Device emulation: the stage ends no earlier than this after its start."""
    queue_limit: int = 4
    next_plane: str = "grpc"
    """Data plane of the hop to the next node: one of `dataplane.plane.PLANES`; empty is `grpc`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageLoaded:
    """A stage is ready."""

    session_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStatus:
    """Running sums of a stage since it was loaded."""

    deployment: str
    epoch: int
    stage: int
    n_frames: int
    n_errors: int
    compute_seconds: float
    """Waiting for the pace included."""
    send_seconds: float
    """Time for which the outgoing link was busy."""
    sent_bytes: int
    n_queued: int
