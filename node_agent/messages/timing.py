"""Orders to time segments, links and codecs, and the times."""

from dataclasses import dataclass

from node_agent.messages.content import ShardRef
from node_agent.messages.stages import LinkEmulation


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSegment:
    """A shard to be timed."""

    name: str
    shard: ShardRef


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRequest:
    """An order to time segments, interleaved."""

    segments: tuple[ProfileSegment, ...]
    n_rounds: int
    budget_seconds: float
    seed: int
    tolerance: float = 0.0
    """A segment is no longer timed once half the 95 % interval of its median, over the median, is at most this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileProgress:
    """How far a profile has come."""

    n_done: int
    n_total: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSamples:
    """Times of one segment that no earlier event held, the emulated slowdown included.

    All events of a profile together hold all times, in the order in which they were taken.
    """

    name: str
    seconds: tuple[float, ...]
    session_seconds: float
    """Creating the session; the same in each event of a segment, as `memory_bytes` is."""
    memory_bytes: int


ProfileEvent = ProfileProgress | SegmentSamples


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRequest:
    """An order to time messages to another node, through the data plane."""

    target_address: str
    link: LinkEmulation | None
    link_back: LinkEmulation | None
    sizes_bytes: tuple[int, ...] = (0,)
    n_rounds: int = 1
    is_download: bool = False
    """The sizes are those of the answers: the link back is timed."""
    n_messages: int = 1
    """Sent one after another, of which only the last is waited for."""
    plane: str = "grpc"
    """Data plane that is timed: one of `dataplane.planes.PLANES`; empty is `grpc`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSample:
    """Messages of `n_bytes` there and an empty one back, or the reverse."""

    n_bytes: int
    round_trip_seconds: float
    """Until the last message has come."""
    n_messages: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecProfileRequest:
    """An order to time codecs on tensors such as a ReLU leaves: half of the values zero."""

    codecs: tuple[str, ...]
    dtype: str
    sizes_bytes: tuple[int, ...]
    """Of the tensors before encoding; rounded down to whole elements."""
    n_rounds: int
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecSample:
    """One tensor encoded and decoded once, the emulated slowdown included."""

    codec: str
    n_bytes: int
    """Before encoding."""
    wire_bytes: int
    encode_seconds: float
    decode_seconds: float
