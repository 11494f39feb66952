"""Putting a plan on the machines, proving that it computes the model, and taking it off again."""

import secrets
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from coordinator.connecting import connect_plan
from coordinator.fleet import Fleet, FleetNode
from coordinator.lease import LEASE_SECONDS, free_stages, renewed_lease
from coordinator.loadgen import ANSWER_SECONDS
from coordinator.opening import OnLane
from coordinator.output_gate import OutputErrors, OutputGate
from coordinator.pipeline import Pipeline
from coordinator.provisioning import send_shards, sending_lane
from coordinator.side_by_side import run_side_by_side
from coordinator.stage_orders import check_node_codecs, check_runnable, stage_loads
from node_agent.messages import StageLoad
from partitioner.onnx_io import Model
from partitioner.plan import Candidate
from partitioner.shard import Shard

N_TIMES_PREDICTED = 4.0
"""So much longer may an answer take than predicted, beyond the time that any may take."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A live plan."""

    name: str
    epoch: int
    candidate: Candidate
    sent_bytes: int
    """Weights and graphs that the nodes lacked."""
    sending_seconds: float
    """For them, all nodes side by side."""
    session_seconds: float
    """For opening the stages, all nodes side by side: of the node that took longest."""
    pipeline: Pipeline

    @property
    def gate(self) -> OutputGate:
        """What its answers are held against."""
        return OutputGate.of(self.candidate.cost)

    @property
    def answer_seconds(self) -> float:
        """For how long an answer is waited for, the window full: well beyond what it is predicted to take."""
        cost, window = self.candidate.cost, self.candidate.plan.window
        return ANSWER_SECONDS + N_TIMES_PREDICTED * (cost.latency_seconds + window * cost.bottleneck_seconds)

    @property
    def n_ways(self) -> int:
        """See `Plan.n_ways`."""
        return self.candidate.plan.n_ways


@contextmanager
def deploy_plan(
    fleet: Fleet,
    model: Model,
    candidate: Candidate,
    *,
    window: int | None = None,
    on_lane: OnLane = lambda _lane, _n_done, _n_total, _what: None,
) -> Iterator[Deployment]:
    """A plan, live and verified for as long as the context lasts.

    Args:
        fleet: The nodes.
        model: What the plan splits.
        candidate: The plan.
        window: Most requests in flight; that of the plan where None.
        on_lane: Told how far the weights are on their way, a lane for each node.

    Raises:
        DeploymentError: The plan is of a kind that cannot be run.
        OutputMismatchError: The pipeline does not compute what the whole model computes, but for the error that its
            codecs are predicted to bring; it was taken off.
        NodeError: A node refused its stage or could not be reached.
    """
    check_runnable(candidate.plan, model)
    check_node_codecs(fleet, candidate.plan)
    name = f"{model.graph.name}-{secrets.token_hex(4)}"
    epoch = 1
    stages = candidate.plan.stages
    shards = tuple(model.cut(stage.start, stage.stop) for stage in stages)
    places = [(device, shard) for stage, shard in zip(stages, shards, strict=True) for device in stage.devices]
    nodes = [fleet.node_of[device] for device in dict.fromkeys(device for device, _ in places)]

    def send(device: str, shard: Shard) -> int:
        return send_shards(fleet.node_of[device].client, model, [shard], sending_lane(on_lane, device))

    started = time.perf_counter()
    sent = sum(run_side_by_side([partial(send, *place) for place in places]))
    sending_seconds = time.perf_counter() - started
    loads = stage_loads(fleet, candidate, shards, deployment=name, epoch=epoch)
    try:
        with renewed_lease(nodes, name):
            session_seconds = _load_stages(fleet, loads)
            with connect_plan(fleet, model, candidate, deployment=name, epoch=epoch, window=window) as pipeline:
                live = Deployment(
                    name=name,
                    epoch=epoch,
                    candidate=candidate,
                    sent_bytes=sent,
                    sending_seconds=sending_seconds,
                    session_seconds=session_seconds,
                    pipeline=pipeline,
                )
                verify_deployment(live, model)
                yield live
    finally:
        for node in nodes:
            free_stages(node, name)


def _load_stages(fleet: Fleet, loads: Iterable[tuple[str, StageLoad]]) -> float:
    """Loads all stages side by side; seconds for the sessions of the node that took longest.

    Raises:
        NodeError: A node refused its stage. What another one has still to load is freed when it has.
    """

    def load_stage(device: str, load: StageLoad) -> tuple[FleetNode, str, float]:
        node = fleet.node_of[device]
        loaded = node.client.load_stage(replace(load, lease_seconds=LEASE_SECONDS))
        return node, load.deployment, loaded.session_seconds

    opened = run_side_by_side(
        [partial(load_stage, *each) for each in loads], on_late=lambda late: free_stages(*late[:2])
    )
    seconds: dict[str, float] = defaultdict(float)
    for node, _, session_seconds in opened:
        seconds[node.name] += session_seconds
    return max(seconds.values())


def verify_deployment(deployment: Deployment, model: Model, *, seed: int = 0) -> OutputErrors:
    """How far the answers to one input are off the whole model's, the worst of all ways that requests may go.

    Raises:
        OutputMismatchError: One is further off than the plan's gate permits.
    """
    return verify_answers(
        deployment.pipeline,
        deployment.candidate,
        *model.sample_answers(seed),
        timeout_seconds=deployment.answer_seconds,
    )


def verify_answers(
    pipeline: Pipeline,
    candidate: Candidate,
    inputs: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    *,
    timeout_seconds: float = 60.0,
) -> OutputErrors:
    """As `verify_deployment`, for a pipeline of a plan and what the whole model answers to `inputs`.

    Raises:
        OutputMismatchError: An answer is further off than the plan's gate permits.
        MeasurementError: One did not come in time.
    """
    gate, errors = OutputGate.of(candidate.cost), OutputErrors()
    for _ in range(candidate.plan.n_ways):
        answer = pipeline.infer(inputs, timeout_seconds=timeout_seconds)
        errors = errors.worse(gate.check(answer.outputs, expected))
    return errors
