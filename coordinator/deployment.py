"""Putting a plan on the machines, proving that it computes the model, and taking it off again."""

import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import numpy as np

from coordinator.connecting import connect_plan
from coordinator.fleet import Fleet
from coordinator.lease import LEASE_SECONDS, renewed_lease
from coordinator.loadgen import ANSWER_SECONDS
from coordinator.opening import OnLane
from coordinator.output_gate import OutputErrors, OutputGate
from coordinator.pipeline import Pipeline
from coordinator.provisioning import send_shards, sending_lane
from coordinator.stage_orders import check_node_codecs, check_runnable, stage_loads
from node_agent.errors import NodeError
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
    """For opening the stages, one after another."""
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

    def send(place: tuple[str, Shard]) -> int:
        device, shard = place
        return send_shards(fleet.node_of[device].client, model, [shard], sending_lane(on_lane, device))

    started = time.perf_counter()
    with ThreadPoolExecutor(max_workers=len(places)) as pool:
        sent = sum(pool.map(send, places))
    sending_seconds = time.perf_counter() - started
    loads = stage_loads(fleet, candidate, shards, deployment=name, epoch=epoch)
    try:
        opened = [
            fleet.node_of[device].client.load_stage(replace(load, lease_seconds=LEASE_SECONDS))
            for device, load in reversed(loads)
        ]
        nodes = [fleet.node_of[device] for device in dict.fromkeys(device for device, _ in loads)]
        with (
            renewed_lease(nodes, name),
            connect_plan(fleet, model, candidate, deployment=name, epoch=epoch, window=window) as pipeline,
        ):
            live = Deployment(
                name=name,
                epoch=epoch,
                candidate=candidate,
                sent_bytes=sent,
                sending_seconds=sending_seconds,
                session_seconds=sum(loaded.session_seconds for loaded in opened),
                pipeline=pipeline,
            )
            verify_deployment(live, model)
            yield live
    finally:
        for device, _ in places:
            with suppress(NodeError):  # a node that is gone holds nothing; the others are still to be freed
                fleet.node_of[device].client.unload_stage(name)


def verify_deployment(deployment: Deployment, model: Model, *, seed: int = 0) -> OutputErrors:
    """How far the answers to one input are off the whole model's, the worst of all ways that requests may go.

    Raises:
        OutputMismatchError: One is further off than the plan's gate permits.
    """
    inputs = model.sample_inputs(seed)
    return verify_answers(
        deployment.pipeline,
        deployment.candidate,
        inputs,
        model.run_whole(inputs),
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
