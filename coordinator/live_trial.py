"""Stages that are deployed to be tried: timed one request at a time, and under load."""

import random
import secrets
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from coordinator.connecting import no_emulation, open_pipeline
from coordinator.fleet import FleetNode
from coordinator.lease import LEASE_SECONDS, renewed_lease
from coordinator.pipeline import Answer, Pipeline
from coordinator.provisioning import shard_ref
from coordinator.stage_orders import wire_specs
from node_agent.dataplane.probing import Prober
from node_agent.errors import NodeError
from node_agent.messages import StageLoad
from partitioner.cost import QUEUE_LIMIT
from partitioner.shard import Shard
from partitioner.tensors import TensorSpec

N_WARM_UP = 2
MIN_REQUESTS = 5
"""Of each visit, one by one and under load alike, however long they take."""
WINDOW = QUEUE_LIMIT - 1
"""Requests in flight under load. So many count for nothing at both ends: while they begin, and once nothing is sent any
more, a stage has less to do beside computing (with the end counted, resnet18 was predicted 5 % too fast)."""
REST_SPREAD = (0.5, 1.5)
"""Of the rest before a lone request, drawn anew each time, so that none falls into step with anything."""
STARVED_SHARE = 0.2
"""A stage at which requests wait for a smaller share of its period had nothing to do: its link was the bottleneck."""


@dataclass(slots=True)
class TrialSamples:
    """Seconds of all visits of a stage."""

    compute: list[float] = field(default_factory=list)
    handover: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Guest:
    """A stage that is tried, and where its times go."""

    node: FleetNode
    shard: Shard
    samples: TrialSamples
    pipeline: Pipeline
    prober: Prober
    """A stream over which messages go there and back without the stage."""
    inputs: Mapping[str, np.ndarray]

    def hop_seconds(self) -> float:
        """From the client and back to it, without the stage."""
        return self.prober.round_trip(_n_bytes(self.shard.receives), _n_bytes(self.shard.sends))

    def answer(self) -> Answer:
        """Of a lone request."""
        return self.pipeline.infer(self.inputs)

    def take(self, answer: Answer, hop_seconds: float) -> None:
        """Keeps the times of a lone request."""
        compute = answer.trace[0].compute_seconds
        self.samples.compute.append(compute * (self.node.description.slowdown or 1.0))
        self.samples.handover.append(answer.latency_seconds - compute - hop_seconds)


class LiveTrial:
    """Stages of a company that are deployed."""

    def __init__(self, groups: Sequence[Sequence[Guest]], rest_seconds: float, seed: int) -> None:
        self._groups = groups
        self._guests = [guest for group in groups for guest in group]
        self._rest_seconds = rest_seconds
        self._draw = random.Random(seed)  # noqa: S311 - rests, not secrets
        for _ in range(N_WARM_UP):
            for guest in self._guests:
                guest.answer()

    def time_lone(self, *, seconds: float, n_least: int = MIN_REQUESTS) -> None:
        """Times one request after another, and a probe beside each; the first of each finds caches cold: uncounted.

        Args:
            seconds: For all stages together.
            n_least: Requests for each stage, however long they take.

        Raises:
            NodeError: A node failed.
        """
        for guest in self._guests:
            guest.answer()
            guest.hop_seconds()
        n_rounds, ends_at = 0, time.perf_counter() + seconds
        while n_rounds < n_least or time.perf_counter() < ends_at:
            for guest in self._guests:
                self._rest()
                answer = guest.answer()
                self._rest()
                guest.take(answer, guest.hop_seconds())
            n_rounds += 1

    def _rest(self) -> None:
        time.sleep(self._rest_seconds * self._draw.uniform(*REST_SPREAD))

    def time_loaded(self, *, seconds: float, n_least: int = MIN_REQUESTS) -> None:
        """Times requests that wait for one another, in all stages that have processors of their own at once.

        Args:
            seconds: For all stages together.
            n_least: Requests for each stage with its window full, however long they take.

        Raises:
            NodeError: A node failed.
        """
        for group in self._groups:
            sends = [partial(guest.pipeline.submit, guest.inputs) for guest in group]
            for guest, answers in zip(group, _under_load(sends, seconds / len(self._groups), n_least), strict=True):
                guest.samples.busy.append(_busy_seconds(answers))


@contextmanager
def deployed(node: FleetNode, shard: Shard, samples: TrialSamples) -> Iterator[Pipeline]:
    """A stage between the client and the client, for as long as the context lasts.

    Raises:
        NodeError: The node failed, or refused the stage.
    """
    name = f"trial-{secrets.token_hex(4)}"
    load = StageLoad(
        deployment=name,
        epoch=1,
        stage=0,
        n_stages=1,
        shard=shard_ref(shard),
        receives=wire_specs(shard.receives),
        sends=wire_specs(shard.sends),
        queue_limit=QUEUE_LIMIT,
        lease_seconds=LEASE_SECONDS,
    )
    try:
        samples.memory_bytes = max(samples.memory_bytes, node.client.load_stage(load).memory_bytes)
        names = tuple(spec.name for spec in shard.receives)
        with (
            renewed_lease([node], name),
            open_pipeline(
                [node], [node], deployment=name, epoch=1, link_to=no_emulation, input_names=names, window=WINDOW
            ) as pipeline,
        ):
            yield pipeline
    finally:
        with suppress(NodeError):  # a node that is gone holds nothing
            node.client.unload_stage(name)


def opened_prober(node: FleetNode) -> Prober:
    """A prober of the plane that the stages of a node receive by.

    Raises:
        NodeError: The node could not be reached.
    """
    plane = node.input_plane
    return Prober(node.data_address(plane), plane, tls=node.tls)


def _n_bytes(specs: Sequence[TensorSpec]) -> int:
    return sum(spec.n_bytes for spec in specs)


def _under_load(sends: Sequence[Callable[[], Future[Answer]]], seconds: float, n_least: int) -> list[list[Answer]]:
    """Answers of stages that all work at once, none ahead of the slowest by more than its window, as in a pipeline."""
    ends_at = time.perf_counter() + seconds
    futures: list[list[Future[Answer]]] = [[] for _ in sends]
    while len(futures[0]) < n_least + 2 * WINDOW or time.perf_counter() < ends_at:
        for sent, send in zip(futures, sends, strict=True):
            sent.append(send())
    return [[future.result() for future in sent] for sent in futures]


def _busy_seconds(answers: Sequence[Answer]) -> float:
    """From answer to answer while the stage had enough to do; else its compute time."""
    steady = answers[WINDOW:-WINDOW]
    computing = statistics.median(answer.trace[0].compute_seconds for answer in steady)
    period = (steady[-1].received_at - steady[0].received_at) / (len(steady) - 1)
    waiting = statistics.median(answer.trace[0].queue_seconds for answer in steady)
    return computing if waiting < STARVED_SHARE * period else period
