"""Stages: the order to load one, and what comes of it."""

from dataclasses import dataclass

from node_agent.messages.content import ShardRef, TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkStep:
    """A time during which an emulated link stays as it is."""

    seconds: float
    """How long."""
    bytes_per_second: float
    delay_seconds: float = 0.0


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
    steps: tuple[LinkStep, ...] = ()
    """In place of the rate and the delay: what they are from the first message on, and then from the beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextHop:
    """One of the nodes that bear the next stage."""

    address: str
    """Where it listens for `plane`."""
    link: LinkEmulation | None = None
    plane: str = "grpc"
    """As `StageLoad.next_plane`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodingPace:
    """How long an emulated device takes at least to code one request."""

    decode_seconds: float
    """For what the stage receives; 0 where that comes as it is."""
    encode_seconds: float
    """For what it sends."""


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
    lease_seconds: float = 0.0
    """The node frees the stages of a deployment whose lease nobody renewed for so long; 0: it keeps them."""
    next_plane: str = "grpc"
    """Data plane of the hop to the next node: one of `dataplane.planes.PLANES`; empty is `grpc`."""
    codec: str = ""
    """In which the stage sends, one of `codecs.CODECS`; empty: as they are. The last stage sends as it is."""
    next_hops: tuple[NextHop, ...] = ()
    """Instead of `next_address`, `next_plane` and `link`, where several nodes bear the next stage in turn."""
    coding_pace: CodingPace | None = None

    @property
    def hops(self) -> tuple[NextHop, ...]:
        """Where frames go: request r to number r modulo their number; empty for the last stage."""
        if self.next_hops or not self.next_address:
            return self.next_hops
        return (NextHop(address=self.next_address, link=self.link, plane=self.next_plane),)


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
    shard_sha256: str = ""
    """Of the shard's graph."""
    failure: str = ""
    """What ended the stage for good; empty while it works."""
