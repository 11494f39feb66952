"""Stages as they will run: each between the client and the client, in the company that they will have.

What a node does with a message beside computing (threads that hand over, copies, a quota that is spent) shows only
there. Links are not emulated meanwhile, and every lone request has a probe of the same bytes beside it, after the same
rest, so that what is left of a round trip belongs to the stage.
"""

import random
import secrets
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from coordinator.company import Company, Span, TriedStage
from coordinator.connecting import no_emulation, open_pipeline
from coordinator.fleet import Fleet, FleetNode
from coordinator.lease import LEASE_SECONDS, renewed_lease
from coordinator.pipeline import Answer, Pipeline
from coordinator.provisioning import send_shards, sending_lane, shard_ref
from coordinator.stage_orders import wire_specs
from coordinator.statistics import quantile_estimate
from node_agent.dataplane.probing import Prober
from node_agent.drawing import draw_tensors
from node_agent.errors import NodeError
from node_agent.messages import StageLoad
from partitioner.cost import QUEUE_LIMIT
from partitioner.onnx_io import Model
from partitioner.profile import StageTrial
from partitioner.shard import Shard
from partitioner.tensors import TensorSpec

N_VISITS = 2
"""How often each stage is deployed, in turn with the others, so that drift shows in all."""
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

OnTrial = Callable[[str, int, int, str], None]
"""Called with node, done, total and what is being done."""


@dataclass(slots=True)
class _Samples:
    """Seconds of all visits of a stage."""

    compute: list[float] = field(default_factory=list)
    handover: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    memory_bytes: int = 0


def try_stages(
    fleet: Fleet,
    model: Model,
    companies: Sequence[Company],
    *,
    seconds: float,
    seed: int,
    on_trial: OnTrial,
) -> dict[str, tuple[StageTrial, ...]]:
    """Runs stages as pipelines of their own, and times them one request at a time and under load.

    Args:
        fleet: Whose nodes they run on; other stages rest meanwhile.
        model: Whose units are run.
        companies: Stages that run in turn, and under load at the same time, as far as they have processors.
        seconds: For each company, all visits together, deployment not counted.
        seed: Of the inputs and the order.
        on_trial: Told before each visit.

    Returns:
        Trials by device.

    Raises:
        NodeError: A node failed, or refused a stage.
    """
    trials = Trials(fleet, model, companies, seed=seed, on_trial=on_trial)
    order = random.Random(seed)  # noqa: S311 - an order, not a secret
    visits = [company for _ in range(N_VISITS) for company in order.sample(list(companies), len(companies))]
    for n_done, company in enumerate(visits):
        what = " with ".join(f"{name}[{start}:{stop}]" for name, (start, stop) in company.stages)
        on_trial(company.stages[0][0], n_done, len(visits), f"trying {what}")
        trials.visit(company, seconds=seconds / N_VISITS)
    found = trials.found()
    for name in found:
        on_trial(name, len(visits), len(visits), "tried")
    return found


class Trials:
    """Stages whose shards are on the nodes, and what their visits so far found."""

    def __init__(
        self, fleet: Fleet, model: Model, companies: Iterable[Company], *, seed: int, on_trial: OnTrial
    ) -> None:
        """Cuts the stages of all companies and sends them.

        Raises:
            NodeError: A node failed, or refused a blob.
        """
        stages = tuple(dict.fromkeys(stage for company in companies for stage in company.stages))
        self._fleet = fleet
        self._seed = seed
        self._shards = {stage: model.cut(*stage[1]) for stage in stages}
        self._samples = {stage: _Samples() for stage in stages}
        for name, spans in self._spans_of().items():
            lane = sending_lane(on_trial, name)
            send_shards(fleet.node_of[name].client, model, [self._shards[name, span] for span in spans], lane)

    def _spans_of(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        for name, span in self._shards:
            found.setdefault(name, []).append(span)
        return found

    def visit(self, company: Company, *, seconds: float) -> None:
        """Deploys the stages of a company, times them alone and under load, and takes them off.

        Args:
            company: One of those given at first.
            seconds: For both together, deployment not counted.

        Raises:
            NodeError: A node failed, or refused a stage.
        """
        with self.live(company) as trial:
            trial.time_lone(seconds=seconds / 2)
            trial.time_loaded(seconds=seconds / 2)

    @contextmanager
    def live(self, company: Company) -> Iterator["LiveTrial"]:
        """The stages of a company, deployed for as long as the context lasts, to be timed as often as wanted.

        Raises:
            NodeError: A node failed, or refused a stage.
        """
        with ExitStack() as stack:

            def guest(stage: TriedStage) -> _Guest:
                node, shard, samples = self._fleet.node_of[stage[0]], self._shards[stage], self._samples[stage]
                pipeline = stack.enter_context(_deployed(node, shard, samples))
                inputs = draw_tensors(wire_specs(shard.receives), np.random.default_rng(self._seed))
                return _Guest(node=node, shard=shard, samples=samples, pipeline=pipeline, inputs=inputs)

            groups = [[guest(stage) for stage in group] for group in company.groups]
            yield LiveTrial(groups, company.rest_seconds, self._seed)

    def found(self) -> dict[str, tuple[StageTrial, ...]]:
        """Trials by device, of stages all of which were visited."""

        def trial(name: str, span: Span) -> StageTrial:
            return _trial(span, self._samples[name, span], is_paced=self._fleet.node_of[name].is_paced)

        return {name: tuple(trial(name, span) for span in spans) for name, spans in self._spans_of().items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Guest:
    """A stage that is tried, and where its times go."""

    node: FleetNode
    shard: Shard
    samples: _Samples
    pipeline: Pipeline
    inputs: Mapping[str, np.ndarray]

    def prober(self) -> Prober:
        """A stream over which messages go there and back without a stage."""
        plane = self.node.input_plane
        return Prober(self.node.data_address(plane), plane, tls=self.node.tls)

    def hop_seconds(self, prober: Prober) -> float:
        """From the client and back to it, without the stage."""
        return prober.round_trip(_n_bytes(self.shard.receives), _n_bytes(self.shard.sends))

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

    def __init__(self, groups: Sequence[Sequence[_Guest]], rest_seconds: float, seed: int) -> None:
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
        with ExitStack() as stack:
            probers = {guest: stack.enter_context(guest.prober()) for guest in self._guests}
            for guest in self._guests:
                guest.answer()
                guest.hop_seconds(probers[guest])
            n_rounds, ends_at = 0, time.perf_counter() + seconds
            while n_rounds < n_least or time.perf_counter() < ends_at:
                for guest in self._guests:
                    self._rest()
                    answer = guest.answer()
                    self._rest()
                    guest.take(answer, guest.hop_seconds(probers[guest]))
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
def _deployed(node: FleetNode, shard: Shard, samples: _Samples) -> Iterator[Pipeline]:
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


def _trial(span: Span, samples: _Samples, *, is_paced: bool) -> StageTrial:
    """A paced stage waits until its time for a lone request has passed, under load as well."""
    compute = quantile_estimate(samples.compute, 0.5)
    return StageTrial(
        start=span[0],
        stop=span[1],
        compute_seconds=compute.value,
        low_seconds=compute.low,
        high_seconds=compute.high,
        handover_seconds=max(0.0, statistics.median(samples.handover)),
        busy_seconds=compute.value if is_paced else statistics.median(samples.busy),
        n_samples=len(samples.compute),
        memory_bytes=samples.memory_bytes,
    )
