"""What was measured of a live pipeline, beside what was predicted."""

from dataclasses import dataclass

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
    """What the cost model said before."""

    latency_seconds: float
    throughput_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """The resource that was busy longest for each request, by the stage times of the same run."""

    resource: str
    """`device:NAME` or `link:SOURCE->TARGET`."""
    busy_seconds: float
    bound_per_second: float
    """batch / busy_seconds: no pipeline can be faster."""


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
    """Largest of all outputs of all requests, against the whole model."""
    predicted: Prediction
    bottleneck: Bottleneck
    stages: tuple[StageMeasurement, ...]
    input_send_seconds: float
    """Mean time for which the client's link to the first stage was busy."""
    spans: tuple[Span, ...]
    """A few single-stream requests."""


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
