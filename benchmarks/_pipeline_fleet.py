"""Our side: nodes of this machine, and plans whose stages are given, not searched."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks._pipeline_contest import GRPC, WINDOWS, Contestant, Run, keep_in_flight
from coordinator.config import parse_cluster
from coordinator.deployment import deploy_plan
from coordinator.fleet import Fleet, connect_fleet
from coordinator.loadgen import ANSWER_SECONDS, Workload
from coordinator.pipeline import Answer, Pipeline
from partitioner.cluster import CLIENT
from partitioner.onnx_io import Model
from partitioner.plan import Candidate, CostEstimate, HopCost, Plan, Stage, StageCost

_INSTANT = 1e-6
"""Seconds of what is not modelled: cost estimates have no zeroes."""


@contextmanager
def local_fleet(
    nodes: Sequence[Mapping[str, object]], plane: str, links: Mapping[str, object] | None = None
) -> Iterator[Fleet]:
    """Agents of this machine with one thread for operators each."""
    content = {"name": "pipeline", "nodes": [{"local": True, "threads": 1, **node} for node in nodes]}
    others = {"links": links, "data_plane": plane if plane != GRPC else None}
    config = parse_cluster(content | {key: value for key, value in others.items() if value})
    with (
        tempfile.TemporaryDirectory(prefix="splitfront-") as folder,
        connect_fleet(config, run_dir=Path(folder)) as fleet,
    ):
        yield fleet


@contextmanager
def pinned_fleet(cores: Sequence[int], plane: str, links: Mapping[str, object] | None = None) -> Iterator[Fleet]:
    """One unpaced node for each core, kept to it."""
    with local_fleet([{"name": f"core-{core}", "cores": [core]} for core in cores], plane, links) as fleet:
        yield fleet


def chain(
    fleet: Fleet, model: Model, points: Sequence[int], *, window: int, seconds: Sequence[float] | None = None
) -> Candidate:
    """A plan over the first nodes of the fleet, split at `points`.

    Args:
        fleet: Its nodes take the stages in their order.
        model: What is split.
        points: Split points, ascending.
        window: Requests in flight.
        seconds: Of each stage, which paced nodes keep to; None where no node is paced.

    The hops' costs are those of the emulated links; a hop that is not emulated costs nothing.
    """
    graph = model.graph
    spans = list(pairwise([0, *points, graph.n_units]))
    names = [node.name for node in fleet.nodes[: len(spans)]]
    stages = tuple(Stage(device=name, start=a, stop=b) for name, (a, b) in zip(names, spans, strict=True))
    times = list(seconds or [_INSTANT] * len(stages))
    places = [CLIENT, *names, CLIENT]
    hops = tuple(
        _hop(fleet, source, target, graph.boundary_bytes(position))
        for (source, target), position in zip(pairwise(places), [0, *points, graph.n_units], strict=True)
    )
    busy = max(*times, *(hop.busy_seconds for hop in hops))
    return Candidate(
        plan=Plan(model_sha256=graph.model_sha256, batch=graph.batch, stages=stages, window=window),
        cost=CostEstimate(
            latency_seconds=sum(times) + sum(hop.seconds for hop in hops),
            bottleneck_seconds=busy,
            bottleneck_resource="",
            throughput_per_second=graph.batch / busy,
            stages=tuple(StageCost(device=n, seconds=s, memory_bytes=0) for n, s in zip(names, times, strict=True)),
            hops=hops,
        ),
    )


def _hop(fleet: Fleet, source: str, target: str, n_bytes: int) -> HopCost:
    link = fleet.config.link_emulation(source, target)
    busy = n_bytes / link.bytes_per_second if link and link.bytes_per_second else _INSTANT
    seconds = busy + (link.delay_seconds if link else 0.0)
    return HopCost(source=source, target=target, n_bytes=n_bytes, seconds=seconds, busy_seconds=busy)


class OurPipeline(Contestant):
    """Our pipeline as a contestant."""

    name = "ours"

    def __init__(self, pipeline: Pipeline, workload: Workload) -> None:
        self._pipeline = pipeline
        self._workload = workload

    def run(self, window: int, seconds: float) -> Run:
        """As `Contestant.run`."""

        def receive(future: "Future[Answer]") -> dict[str, np.ndarray]:
            return future.result(ANSWER_SECONDS).outputs

        return keep_in_flight(self._pipeline.submit, receive, self._workload, window=window, seconds=seconds)


@contextmanager
def our_pipeline(
    model: Model, point: int, workload: Workload, cores: Sequence[int], plane: str
) -> Iterator[OurPipeline]:
    """Two stages on two pinned nodes, live and verified."""
    with pinned_fleet(cores, plane) as fleet:
        candidate = chain(fleet, model, [point], window=max(WINDOWS))
        with deploy_plan(fleet, model, candidate) as deployment:
            yield OurPipeline(deployment.pipeline, workload)
