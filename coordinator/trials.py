"""Stages as they will run: one at a time, between the client and the client, through the data plane.

What a node does with a message beside computing (threads that hand over, copies, a quota that is spent) shows only
there. Links are not emulated meanwhile, and are probed as they are, so that what is left of a round trip belongs to the
stage.
"""

import random
import secrets
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from coordinator.deployment import QUEUE_LIMIT, open_pipeline, wire_specs
from coordinator.fleet import FleetNode
from coordinator.pipeline import Answer, Pipeline
from coordinator.probing import LinkFit, find_link
from coordinator.provisioning import send_shards, sending_lane, shard_ref
from coordinator.statistics import quantile_estimate
from node_agent.dataplane.probing import probe
from node_agent.drawing import draw_tensors
from node_agent.errors import NodeError
from node_agent.messages import ProbeRequest, StageLoad, SubscribeFrame
from partitioner.onnx_io import Model
from partitioner.profile import StageTrial
from partitioner.shard import Shard
from partitioner.tensors import TensorSpec

Span = tuple[int, int]

Hops = tuple[LinkFit, LinkFit]
"""From the client and to it."""

N_VISITS = 2
"""How often each stage is deployed, in turn with the others, so that drift shows in all."""
N_WARM_UP = 3
MIN_REQUESTS = 5
"""Of each visit, one by one and under load alike, however long they take."""
WINDOW = QUEUE_LIMIT
"""Requests in flight under load."""
PAUSE_SECONDS = (0.02, 0.06)
"""Between requests one by one, drawn anew each time. In a pipeline the others work meanwhile, and what a processor does
after a pause (caches, frequency, a quota that fills up) is part of the latency."""
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
    node: FleetNode,
    model: Model,
    spans: Sequence[Span],
    *,
    seconds: float,
    seed: int,
    on_trial: OnTrial,
    hops: Hops | None = None,
) -> tuple[StageTrial, ...]:
    """Runs each span as a stage of its own on a node, and times it alone and under load.

    Args:
        node: Where to; its other stages rest meanwhile.
        model: Whose units are run.
        spans: Units [start, stop).
        seconds: For each span, all visits together, deployment not counted.
        seed: Of the inputs and the order.
        on_trial: Told before each visit.
        hops: What `bare_hops` found; probed anew where None.

    Raises:
        NodeError: The node failed, or refused a stage.
    """
    shards = {span: model.cut(*span) for span in spans}
    send_shards(node.client, model, shards.values(), sending_lane(on_trial, node.name))
    hops = hops or bare_hops(node)
    samples = {span: _Samples() for span in spans}
    order = random.Random(seed)  # noqa: S311 - an order, not a secret
    visits = [span for _ in range(N_VISITS) for span in order.sample(list(spans), len(spans))]
    for n_done, span in enumerate(visits):
        on_trial(node.name, n_done, len(visits), f"trying units {span[0]} … {span[1]}")
        _visit(node, shards[span], hops, samples[span], seconds=seconds / N_VISITS, seed=seed)
    on_trial(node.name, len(visits), len(visits), "tried")
    return tuple(_trial(span, samples[span], is_paced=node.is_paced) for span in spans)


def bare_hops(node: FleetNode) -> Hops:
    """The links from and to the client as they are, with no emulation."""
    upload = ProbeRequest(target_address=node.address, link=None, link_back=None)
    ask = partial(probe, tls=node.tls)
    return find_link(ask, upload), find_link(ask, replace(upload, is_download=True))


def _visit(node: FleetNode, shard: Shard, hops: Hops, samples: _Samples, *, seconds: float, seed: int) -> None:
    slowdown = node.description.slowdown or 1.0
    specs = wire_specs(shard.receives)
    inputs = draw_tensors(specs, np.random.default_rng(seed))
    hop_seconds = hops[0].seconds(_n_bytes(shard.receives)) + hops[1].seconds(_n_bytes(shard.sends))
    with _deployed(node, shard, samples) as pipeline:
        for _ in range(N_WARM_UP):
            pipeline.infer(inputs)
        for answer in _one_by_one(pipeline, inputs, seconds / 2):
            compute = answer.trace[0].compute_seconds
            samples.compute.append(compute * slowdown)
            samples.handover.append(answer.latency_seconds - compute - hop_seconds)
        samples.busy.append(_busy_seconds(_under_load(pipeline, inputs, seconds / 2)))


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
    )
    try:
        samples.memory_bytes = max(samples.memory_bytes, node.client.load_stage(load).memory_bytes)
        wish = SubscribeFrame(deployment=name, epoch=1)
        names = tuple(spec.name for spec in shard.receives)
        with open_pipeline(node, node, wish, link=None, input_names=names, window=WINDOW) as pipeline:
            yield pipeline
    finally:
        with suppress(NodeError):  # a node that is gone holds nothing
            node.client.unload_stage(name)


def _n_bytes(specs: Sequence[TensorSpec]) -> int:
    return sum(spec.n_bytes for spec in specs)


def _one_by_one(pipeline: Pipeline, inputs: Mapping[str, np.ndarray], seconds: float) -> list[Answer]:
    """Answers of lone requests, after pauses of random length, so that none falls into step with anything."""
    draw = random.Random(len(inputs))  # noqa: S311 - pauses, not secrets
    answers: list[Answer] = []
    ends_at = time.perf_counter() + seconds
    while len(answers) < MIN_REQUESTS or time.perf_counter() < ends_at:
        time.sleep(draw.uniform(*PAUSE_SECONDS))
        answers.append(pipeline.infer(inputs))
    return answers


def _under_load(pipeline: Pipeline, inputs: Mapping[str, np.ndarray], seconds: float) -> list[Answer]:
    ends_at = time.perf_counter() + seconds
    futures: list[Future[Answer]] = []
    while len(futures) < WINDOW + MIN_REQUESTS or time.perf_counter() < ends_at:
        futures.append(pipeline.submit(inputs))
    return [future.result() for future in futures]


def _busy_seconds(answers: Sequence[Answer]) -> float:
    """From answer to answer while the stage had enough to do; else its compute time."""
    steady = answers[WINDOW:]
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
