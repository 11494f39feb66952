"""What is said between a coordinator and a node, as values. `wire_codec` turns them into protobuf and back."""

from dataclasses import dataclass

import numpy as np


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


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobRef:
    """Content, named by its digest."""

    sha256: str
    n_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name, element type and shape of one tensor."""

    name: str
    dtype: str
    """NumPy's name."""
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardRef:
    """An ONNX graph and the blobs that hold its weights; the graph names a blob by its digest."""

    graph: BlobRef
    blobs: tuple[BlobRef, ...] = ()


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
    """Where the next stage's node listens; empty for the last stage, whose frames go to the subscriber."""
    link: LinkEmulation | None = None
    """Of the hop to the next node. The last stage's is named by the subscriber."""
    pace_seconds: float = 0.0
    """Device emulation: the stage ends no earlier than this after its start."""
    queue_limit: int = 4


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTrace:
    """What one stage spent on one request, by its own clock."""

    stage: int
    queue_seconds: float
    decode_seconds: float
    compute_seconds: float
    encode_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorFrame:
    """Tensors of one request on their way to a stage, or to the client."""

    deployment: str
    epoch: int
    request: int
    stage: int
    tensors: tuple[tuple[str, np.ndarray], ...]
    """(name, values); decoded arrays are read-only views of the received bytes."""
    trace: tuple[StageTrace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFrame:
    """A request that ended in an error; travels on to the client like a result."""

    deployment: str
    epoch: int
    request: int
    stage: int
    """Stage that it goes to next."""
    error: str
    """Name of a class in `node_agent.errors`."""
    message: str
    """Names the stage and the node."""
    trace: tuple[StageTrace, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFrame:
    """A message whose only sense is its size; answered by `n_answers` of `answer_bytes`."""

    request: int
    payload: bytes | memoryview
    """A decoded one is a view of the received bytes."""
    link_back: LinkEmulation | None = None
    answer_bytes: int = 0
    n_answers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeFrame:
    """Asks the node of the last stage for the results of a deployment."""

    deployment: str
    epoch: int
    link_back: LinkEmulation | None = None


Frame = TensorFrame | ErrorFrame | ProbeFrame | SubscribeFrame
