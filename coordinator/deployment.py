"""Putting a plan on the machines, proving that it computes the model, and taking it off again."""

import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np

from coordinator.errors import DeploymentError, OutputMismatchError
from coordinator.fleet import Fleet, FleetNode
from coordinator.pipeline import Pipeline
from coordinator.provisioning import send_shards, shard_ref
from node_agent import messages
from node_agent.dataplane.plane import GRPC, open_sender, subscribe
from node_agent.errors import NodeError
from node_agent.messages import StageLoad, SubscribeFrame
from partitioner.cluster import CLIENT
from partitioner.codec import NO_CODEC
from partitioner.equality import relative_error
from partitioner.onnx_io import Model
from partitioner.plan import Candidate, Plan, Stage
from partitioner.shard import Shard
from partitioner.tensors import TensorSpec

TOLERANCE = 1e-4
"""Largest relative error with which a plan may serve; nodes of another architecture round differently."""

QUEUE_LIMIT = 4


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A live plan."""

    name: str
    epoch: int
    candidate: Candidate
    sent_bytes: int
    """Weights and graphs that the nodes lacked."""
    pipeline: Pipeline


@contextmanager
def deploy_plan(fleet: Fleet, model: Model, candidate: Candidate, *, window: int | None = None) -> Iterator[Deployment]:
    """A plan, live and verified for as long as the context lasts.

    Raises:
        DeploymentError: The plan is of a kind that cannot be run.
        OutputMismatchError: The pipeline does not compute what the whole model computes; it was taken off.
        NodeError: A node refused its stage or could not be reached.
    """
    check_runnable(candidate.plan, model)
    name = f"{model.graph.name}-{secrets.token_hex(4)}"
    epoch = 1
    stages = candidate.plan.stages
    shards = tuple(model.cut(stage.start, stage.stop) for stage in stages)

    def send(stage: Stage, shard: Shard) -> int:
        return send_shards(fleet.node_of[stage.device].client, model, [shard])

    with ThreadPoolExecutor(max_workers=len(stages)) as pool:
        sent = sum(pool.map(send, stages, shards))
    loads = stage_loads(fleet, candidate, shards, deployment=name, epoch=epoch)
    try:
        for device, load in reversed(loads):
            fleet.node_of[device].client.load_stage(load)
        with _connect(fleet, model, candidate, deployment=name, epoch=epoch, window=window) as pipeline:
            verify_pipeline(pipeline, model)
            yield Deployment(name=name, epoch=epoch, candidate=candidate, sent_bytes=sent, pipeline=pipeline)
    finally:
        for stage in stages:
            with suppress(NodeError):  # a node that is gone holds nothing; the others are still to be freed
                fleet.node_of[stage.device].client.unload_stage(name)


def check_runnable(plan: Plan, model: Model) -> None:
    """Does nothing where a plan can be put on nodes.

    Raises:
        DeploymentError: It cannot.
    """
    fault = runnable_fault(plan, model)
    if fault is not None:
        raise DeploymentError(f"Plan {plan.describe()!r} cannot be run: {fault}.")


def runnable_fault(plan: Plan, model: Model) -> str | None:
    """Why a plan cannot be put on nodes; None where it can."""
    if plan.batch != model.graph.batch:
        return f"it is for batch {plan.batch}, this run's for batch {model.graph.batch}; use the run of that batch"
    if any(stage.replicas for stage in plan.stages):
        return "the nodes cannot take turns at a stage yet; search without --replicas, or choose another plan"
    if any(stage.codec != NO_CODEC for stage in plan.stages):
        return "the nodes cannot use codecs yet; search without --codecs, or choose another plan"
    return None


def stage_loads(
    fleet: Fleet, candidate: Candidate, shards: tuple[Shard, ...], *, deployment: str, epoch: int
) -> tuple[tuple[str, StageLoad], ...]:
    """The order for each stage's node, as (device, order), first stage first."""
    stages = candidate.plan.stages
    followers = [stage.device for stage in stages[1:]] + [None]
    return tuple(
        (
            stage.device,
            StageLoad(
                deployment=deployment,
                epoch=epoch,
                stage=index,
                n_stages=len(stages),
                shard=shard_ref(shard),
                receives=wire_specs(shard.receives),
                sends=wire_specs(shard.sends),
                next_address=fleet.node_of[follower].address if follower else "",
                link=fleet.config.link_emulation(stage.device, follower) if follower else None,
                pace_seconds=cost.compute_seconds,
                queue_limit=min(QUEUE_LIMIT, candidate.plan.window),
            ),
        )
        for index, (stage, shard, follower, cost) in enumerate(
            zip(stages, shards, followers, candidate.cost.stages, strict=True)
        )
    )


def wire_specs(specs: tuple[TensorSpec, ...]) -> tuple[messages.TensorSpec, ...]:
    """Tensors as they are announced to a node."""
    return tuple(messages.TensorSpec(name=spec.name, dtype=spec.dtype, shape=spec.shape) for spec in specs)


def _connect(
    fleet: Fleet, model: Model, candidate: Candidate, *, deployment: str, epoch: int, window: int | None
) -> Pipeline:
    first, last = (fleet.node_of[candidate.plan.stages[index].device] for index in (0, -1))
    return open_pipeline(
        first,
        last,
        SubscribeFrame(deployment=deployment, epoch=epoch, link_back=fleet.config.link_emulation(last.name, CLIENT)),
        link=fleet.config.link_emulation(CLIENT, first.name),
        input_names=model.graph.boundaries[0],
        window=window or candidate.plan.window,
    )


def open_pipeline(
    first: FleetNode,
    last: FleetNode,
    wish: SubscribeFrame,
    *,
    link: messages.LinkEmulation | None,
    input_names: tuple[str, ...],
    window: int,
) -> Pipeline:
    """The client's end of stages that are loaded.

    Args:
        first: Node of the first stage.
        last: Node of the last one.
        wish: Names the deployment, and the link to emulate on the way back.
        link: To emulate on the way to the first stage.
        input_names: What the first stage receives.
        window: Most requests in flight.

    Raises:
        NodeError: A node could not be reached, or does not hold its stage.
    """
    source = subscribe(GRPC, last.address, wish, tls=last.tls)
    sink = open_sender(GRPC, first.address, link=link, tls=first.tls)
    pipeline = Pipeline(
        deployment=wish.deployment,
        epoch=wish.epoch,
        sink=sink,
        source=source,
        input_names=input_names,
        window=window,
    )
    sink.failure.listen(pipeline.fail)
    return pipeline


def verify_pipeline(pipeline: Pipeline, model: Model, *, seed: int = 0) -> float:
    """Largest relative error of one request's outputs against the whole model's.

    Raises:
        OutputMismatchError: It is above `TOLERANCE`.
    """
    inputs = model.sample_inputs(seed)
    return check_outputs(pipeline.infer(inputs).outputs, model.run_whole(inputs))


def check_outputs(outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """Largest relative error of the outputs.

    Raises:
        OutputMismatchError: It is above `TOLERANCE`, or an output is missing.
    """
    errors = {name: relative_error(outputs.get(name), values) for name, values in expected.items()}
    worst = max(errors, key=errors.__getitem__)
    if not errors[worst] <= TOLERANCE:
        raise OutputMismatchError(
            f"Output '{worst}' of the pipeline differs from the whole model's by {errors[worst]:.2g} relative "
            f"(at most {TOLERANCE:g}): the plan is not served."
        )
    return errors[worst]
