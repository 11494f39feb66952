"""A sweep's results as values: what was to be measured, what was done, and every sample.

A *case* is one thing to measure. A *run* measures a case once; each case has several *repeats*, and a repeat whose
condition was not in force, or that failed, has several *attempts*. A *sample* is one request of a run.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from partitioner.codec import NO_CODEC
from partitioner.plan import Plan

Scenario = Literal["single_stream", "offline"]
"""One request in flight, or the window full."""
RunState = Literal["done", "invalid", "failed"]
"""`invalid`: measured, but the network condition was not in force; `failed`: not measured."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to measure: all that a sweep varies, but the repeat."""

    model: str
    """As it was asked for: a name of the zoo, or a file."""
    cluster: str
    """Name of the cluster."""
    nodes: tuple[str, ...]
    """Those that plans may use, in the order of the cluster."""
    condition: str
    """Name of the network condition."""
    plan_label: str
    """`split 12`, `whole model on pi-1`, … ; of one plan wherever it occurs."""
    plan: Plan
    """Holds model digest, batch, window, and the codec of each stage."""
    data_plane: str = "grpc"
    codec: str = NO_CODEC
    """Of every boundary."""

    @cached_property
    def key(self) -> str:
        """Digest of all fields, 24 digits: the same case has the same key in every sweep."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFound:
    """What a direction of a link was asked to be and was found to be, before a run."""

    source: str
    target: str
    round_trip_seconds: float | None = None
    """As found, of an empty message there and back; None where it was not looked at."""
    bytes_per_second: float | None = None
    asked_round_trip_seconds: float | None = None
    """None: nothing was asked."""
    asked_bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceUse:
    """What a request of the pipeline took of a resource on average, the window full."""

    resource: str
    """`device:NAME`, `link:SOURCE->TARGET`, `medium:NAME` or `processor:NAME`."""
    busy_seconds: float
    tensor_bytes: float | None = None
    """That a link carried for it, in their codec and without headers; None of what is no link."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One answered request."""

    scenario: Scenario
    request: int
    sent_seconds: float
    """Since the run began, by the client's clock, as the next."""
    received_seconds: float
    compute_seconds: tuple[float, ...] = ()
    """Of each stage, by the clock of its node."""

    @property
    def latency_seconds(self) -> float:
        """Round trip."""
        return self.received_seconds - self.sent_seconds


@dataclass(frozen=True, kw_only=True)
class Run:
    """A case, measured once."""

    sweep: str
    """Name of the sweep."""
    case_key: str
    repeat: int
    attempt: int
    """0 for the first."""
    position: int
    """In the sweep's random order."""
    state: RunState
    reason: str = ""
    """Why it is not `done`; empty where it is."""
    began_at: str
    """UTC, ISO 8601."""
    seconds: float
    """That it took, deploying and taking off counted."""
    coordinator: str = ""
    """Who measured: host and process."""
    links: tuple[LinkFound, ...] = ()
    resources: tuple[ResourceUse, ...] = ()
    """The busiest first; empty where the window was not filled, and in runs of a splitfront that did not keep it."""
    environment: Mapping[str, object] = field(default_factory=dict)
    """Versions, processors, governor, temperature and load, before and after, as JSON."""
    predicted_latency_seconds: float | None = None
    predicted_throughput_per_second: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    """By name, SI: `latency_seconds` (median, single stream), `throughput_per_second` (samples, offline),
    `loaded_latency_seconds`, `max_relative_error`, `reference_latency_seconds`, `reference_throughput_per_second`, …"""
    samples: tuple[Sample, ...] = ()
    """In the order of arrival; empty where a reader left them in the store."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What was asked for, as it was planned."""

    name: str
    """Unique in a store."""
    spec: Mapping[str, object]
    """The sweep file, validated, as JSON."""
    seed: int
    created_at: str
    """UTC, ISO 8601."""
    versions: Mapping[str, str]
    cases: tuple[Case, ...]
    n_repeats: int
    """At least, for each case."""
    order: tuple[tuple[str, int], ...]
    """(case key, repeat) in the order in which they are measured, those included that are only for wide intervals."""

    @property
    def n_planned(self) -> int:
        """Runs, at least."""
        return sum(repeat < self.n_repeats for _, repeat in self.order)
