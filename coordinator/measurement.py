"""What was measured of a live pipeline, beside what was predicted."""

from dataclasses import dataclass

from coordinator.serving.events import Event
from partitioner.accuracy import ErrorSummary, RankAgreement
from partitioner.codec import NO_CODEC
from partitioner.plan import CostEstimate, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Round trips seen by the client, one request in flight; seconds."""

    mean: Estimate
    p50: Estimate
    p90: Estimate
    p99: Estimate
    n_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a cost model says of a plan."""

    latency_seconds: float
    throughput_per_second: float
    output_error: float = 0.0
    """Relative L2 error of the outputs that codecs bring; 0 without lossy ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowStep:
    """A window that was tried, and kept full."""

    window: int
    throughput_per_second: Estimate
    """Samples per second."""
    latency_seconds: float
    """Median, with the window full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The resource that was busy longest for each request, by the stage times of the same run."""

    resource: str
    """`device:NAME`, `link:SOURCE->TARGET`, `medium:NAME` or `processor:NAME`."""
    busy_seconds: float
    bound_per_second: float
    """batch / busy_seconds: no pipeline can be faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaMeasurement:
    """Means of one of several devices that bear a stage in turn, over the offline run, per request that it bore."""

    device: str
    n_requests: int
    compute_seconds: float
    send_seconds: float
    """Time for which its outgoing links were busy."""
    sent_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMeasurement:
    """Means of one stage over the offline run, per request, by the clock of its node; seconds."""

    stage: int
    device: str
    start: int
    stop: int
    queue_seconds: float
    decode_seconds: float
    compute_seconds: float
    encode_seconds: float
    send_seconds: float
    """Time for which its outgoing link was busy."""
    sent_bytes: int
    predicted_compute_seconds: float
    """With one request in flight."""
    compute_median_seconds: Estimate | None = None
    """Median of computing over the offline run, the pipeline full; None in files of older versions, as all below."""
    unloaded_compute_seconds: Estimate | None = None
    """The same over the single-stream run, one request in flight."""
    corrected_compute_seconds: float | None = None
    """With one request in flight, by the cost model corrected with the live stage times of the other measured plans."""
    variation: float | None = None
    """Of computing in the offline run, as a coefficient of variation: see `statistics.robust_variation`."""
    is_paced: bool = False
    """Emulated: it takes the time that the profile says by construction, which proves nothing of the prediction."""
    codec: str = NO_CODEC
    """In which it sends."""
    predicted_sent_bytes: int | None = None
    """Of tensors as the codec leaves them; `sent_bytes` holds the frames' headers as well."""
    predicted_decode_seconds: float = 0.0
    """0 where nothing comes in a codec."""
    predicted_encode_seconds: float = 0.0
    """0 without a codec."""
    replicas: tuple[ReplicaMeasurement, ...] = ()
    """All devices that bear the stage, where there are several; the figures above are means over all requests."""

    @property
    def n_replicas(self) -> int:
        """Devices that bear it."""
        return max(1, len(self.replicas))


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where one request was, for the time-line. Network spans are what is left of the round trip."""

    request: int
    lane: str
    """`device:NAME` or `link:SOURCE->TARGET`."""
    what: str
    """`queue`, `decode`, `compute`, `encode` or `network`."""
    start_seconds: float
    """Since the first request of the picture was sent."""
    stop_seconds: float


@dataclass(frozen=True, kw_only=True)
class PlanMeasurement:
    """One deployed plan, measured."""

    label: str
    """`chosen`, `most throughput`, `whole model on pi-1`, …"""
    plan: Plan
    latency_seconds: LatencySummary
    """Single stream."""
    throughput_per_second: Estimate
    """Offline: window full; samples per second."""
    window: int
    n_requests: int
    n_errors: int
    max_relative_error: float
    """Largest of all outputs of all requests, against the whole model: see `equality.relative_error`."""
    predicted: Prediction
    """Before anything was measured."""
    bottleneck: Bottleneck
    stages: tuple[StageMeasurement, ...]
    input_send_seconds: float
    """Mean time for which the client's link to the first stage was busy."""
    spans: tuple[Span, ...]
    """A few single-stream requests."""
    window_steps: tuple[WindowStep, ...] = ()
    """Windows tried, in order; empty where the window was given."""
    corrected: Prediction | None = None
    """By the cost model corrected with the live stage times of the *other* measured plans; None where none of them
    tells of this plan's devices."""
    output_error: float | None = None
    """Largest relative L2 error of all outputs of all requests, against the whole model: what lossy codecs did; None
    without any."""

    @property
    def is_paced(self) -> bool:
        """Whether a stage is emulated, so that part of its latency is what was predicted by construction."""
        return any(stage.is_paced for stage in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFactor:
    """How long stages take on one device in a running pipeline, over what the profile says."""

    device: str
    factor: float | None
    """Median over the stages seen; None where too little was seen for it, or no one factor fits what was seen."""
    low: float
    high: float
    """Interval of the median; both ends of what was seen where there are few stages."""
    n_stages: int
    """Different spans seen on the device."""
    is_clipped: bool = False
    """Whether the median lay outside what is believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeAfter:
    """Errors of one quantity, as first predicted and as predicted after correction."""

    before: ErrorSummary
    after: ErrorSummary | None
    """Of those that could be corrected: `after.n` may be less than `before.n`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAccuracy:
    """How well a group of measured plans was predicted."""

    latency: BeforeAfter
    throughput: BeforeAfter
    stage_seconds: BeforeAfter | None
    """Of unpaced stages, one request in flight; None where there are none."""
    latency_order: RankAgreement
    throughput_order: RankAgreement
    """Predicted order, before correction, against measured order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanErrors:
    """Errors of one plan's predictions: (predicted − measured) / measured."""

    label: str
    is_paced: bool
    latency: float
    throughput: float
    corrected_latency: float | None
    corrected_throughput: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionQuality:
    """Predicted against measured, over all plans of one measurement."""

    plans: tuple[PlanErrors, ...]
    """Every measured plan, the chosen one first."""
    unpaced: GroupAccuracy | None
    """Plans without an emulated device: what the prediction is worth."""
    paced: GroupAccuracy | None
    """Plans with one: their stage times prove nothing."""
    devices: tuple[DeviceFactor, ...]
    """Those that were seen live and are not emulated."""
    warnings: tuple[str, ...]
    """Why not to trust the figures, each with what to do; empty where nothing speaks against them."""


@dataclass(frozen=True, kw_only=True)
class Measurement(PlanMeasurement):
    """The chosen plan, measured, with the plans it is compared with in the same run."""

    cost: CostEstimate
    """The prediction for the chosen plan, whole."""
    front: tuple[PlanMeasurement, ...]
    """Other plans of the front."""
    baselines: tuple[PlanMeasurement, ...]
    """The whole model on each single device that can hold it."""
    recommendation: str
    """One sentence for people: which plan to run, and `do not split` where that wins."""
    emulation: dict[str, str]
    """Device or link → how it was emulated; empty on real hardware."""
    environment: dict[str, str]
    """Machine, versions, load: what the figures hold for."""
    prediction: PredictionQuality | None = None
    """None in files of older versions."""
    events: tuple[Event, ...] = ()
    """What happened when the plan was served last, by `splitfront deploy`."""

    @property
    def plans(self) -> tuple[PlanMeasurement, ...]:
        """All that were measured, the chosen one first."""
        return (self, *self.front, *self.baselines)
