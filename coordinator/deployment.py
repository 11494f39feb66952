"""Putting a plan on the machines, proving that it computes the model, and taking it off again."""

import math
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise

from coordinator.errors import DeploymentError
from coordinator.fleet import Fleet, FleetNode
from coordinator.opening import OnLane
from coordinator.output_gate import OutputErrors, OutputGate
from coordinator.pipeline import FrameSource, Pipeline
from coordinator.provisioning import send_shards, sending_lane, shard_ref
from coordinator.replicas import FailingSink, SinksInTurn, SourcesTogether
from node_agent import messages
from node_agent.dataplane.plane import open_sender, subscribe
from node_agent.errors import NodeError
from node_agent.messages import CodingPace, LinkEmulation, NextHop, StageLoad, SubscribeFrame
from partitioner.cluster import CLIENT
from partitioner.codec import NO_CODEC
from partitioner.onnx_io import Model
from partitioner.plan import Candidate, Plan, StageCost
from partitioner.shard import Shard
from partitioner.tensors import TensorSpec

QUEUE_LIMIT = 4

LinkTo = Callable[[str, str], LinkEmulation | None]
"""How the link from one place to another is emulated."""


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
    def n_ways(self) -> int:
        """Ways that requests may go, one after the other: more than one where several nodes bear a stage in turn."""
        return n_ways(self.candidate.plan)


def n_ways(plan: Plan) -> int:
    """Ways that requests of a plan may go; see `Deployment.n_ways`."""
    return math.lcm(*(len(stage.devices) for stage in plan.stages))


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
        opened = [fleet.node_of[device].client.load_stage(load) for device, load in reversed(loads)]
        with connect_plan(fleet, model, candidate, deployment=name, epoch=epoch, window=window) as pipeline:
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
    if plan.stages[-1].codec != NO_CODEC:
        return f"its last stage sends in codec {plan.stages[-1].codec!r}, but results travel as they are"
    return None


def check_node_codecs(fleet: Fleet, plan: Plan) -> None:
    """Makes sure that nodes at both ends of a boundary have its codec.

    Raises:
        DeploymentError: Some have not; all are named.
    """
    lacks = [
        f"'{device}' lacks {stage.codec}"
        for stage, follower in pairwise(plan.stages)
        for device in (*stage.devices, *follower.devices)
        if stage.codec not in (NO_CODEC, *fleet.node_of[device].description.codecs)
    ]
    if lacks:
        raise DeploymentError(
            f"Plan {plan.describe()!r} cannot be run: {', '.join(dict.fromkeys(lacks))}. Install "
            "splitfront[compression] there, or choose a plan without."
        )


def stage_loads(
    fleet: Fleet, candidate: Candidate, shards: tuple[Shard, ...], *, deployment: str, epoch: int
) -> tuple[tuple[str, StageLoad], ...]:
    """The order for each node that bears a stage, as (device, order), first stage first."""
    stages = candidate.plan.stages
    followers = [*(stage.devices for stage in stages[1:]), ()]
    loads = []
    for index, (stage, shard, cost) in enumerate(zip(stages, shards, candidate.cost.stages, strict=True)):
        load = StageLoad(
            deployment=deployment,
            epoch=epoch,
            stage=index,
            n_stages=len(stages),
            shard=shard_ref(shard),
            receives=wire_specs(shard.receives),
            sends=wire_specs(shard.sends),
            pace_seconds=cost.compute_seconds,
            queue_limit=min(QUEUE_LIMIT, candidate.plan.window),
            codec="" if stage.codec == NO_CODEC else stage.codec,
            coding_pace=_coding_pace(cost),
        )
        loads += [(device, _towards(load, _hops(fleet, device, followers[index]))) for device in stage.devices]
    return tuple(loads)


def _hops(fleet: Fleet, device: str, followers: Sequence[str]) -> tuple[NextHop, ...]:
    def hop(follower: str) -> NextHop:
        plane = fleet.config.plane_of(device, follower)
        return NextHop(
            address=fleet.node_of[follower].data_address(plane),
            link=fleet.config.link_emulation(device, follower),
            plane=plane,
        )

    return tuple(map(hop, followers))


def _towards(load: StageLoad, hops: tuple[NextHop, ...]) -> StageLoad:
    if len(hops) == 1:
        return replace(load, next_address=hops[0].address, next_plane=hops[0].plane, link=hops[0].link)
    return replace(load, next_hops=hops)


def _coding_pace(cost: StageCost) -> CodingPace | None:
    if not cost.coding_seconds:
        return None
    return CodingPace(decode_seconds=cost.decode_seconds, encode_seconds=cost.encode_seconds)


def wire_specs(specs: tuple[TensorSpec, ...]) -> tuple[messages.TensorSpec, ...]:
    """Tensors as they are announced to a node."""
    return tuple(messages.TensorSpec(name=spec.name, dtype=spec.dtype, shape=spec.shape) for spec in specs)


def connect_plan(
    fleet: Fleet,
    model: Model,
    candidate: Candidate,
    *,
    deployment: str,
    epoch: int,
    window: int | None = None,
    first_request: int = 0,
) -> Pipeline:
    """The client's end of a plan whose stages are loaded.

    Raises:
        NodeError: A node could not be reached, or does not hold its stage.
    """
    firsts, lasts = ([fleet.node_of[device] for device in candidate.plan.stages[index].devices] for index in (0, -1))
    return open_pipeline(
        firsts,
        lasts,
        deployment=deployment,
        epoch=epoch,
        link_to=fleet.config.link_emulation,
        input_names=model.graph.boundaries[0],
        window=window or candidate.plan.window,
        is_ordered=any(stage.replicas for stage in candidate.plan.stages),
        first_request=first_request,
    )


def no_emulation(_source: str, _target: str) -> None:
    """Links as they are."""


def open_pipeline(
    firsts: Sequence[FleetNode],
    lasts: Sequence[FleetNode],
    *,
    deployment: str,
    epoch: int,
    link_to: LinkTo,
    input_names: tuple[str, ...],
    window: int,
    is_ordered: bool = False,
    first_request: int = 0,
) -> Pipeline:
    """The client's end of stages that are loaded.

    Args:
        firsts: Nodes that bear the first stage, in turn.
        lasts: Those that bear the last one.
        deployment: Name of what was loaded.
        epoch: Of it.
        link_to: Emulates the links from and to the client.
        input_names: What the first stage receives.
        window: Most requests in flight.
        is_ordered: Whether results may overtake each other, so that their order is to be restored.
        first_request: Number of the first request.

    Raises:
        NodeError: A node could not be reached, or does not hold its stage.
    """
    with ExitStack() as opened:
        sources: list[FrameSource] = []
        for node in lasts:
            wish = SubscribeFrame(deployment=deployment, epoch=epoch, link_back=link_to(node.name, CLIENT))
            plane = node.output_plane
            sources.append(subscribe(plane, node.data_address(plane), wish, tls=node.tls))
            opened.callback(sources[-1].close)
        senders: list[FailingSink] = []
        for node in firsts:
            plane, link = node.input_plane, link_to(CLIENT, node.name)
            senders.append(open_sender(plane, node.data_address(plane), link=link, tls=node.tls))
            opened.callback(senders[-1].close)
        opened.pop_all()
    sink = senders[0] if len(senders) == 1 else SinksInTurn(senders)
    pipeline = Pipeline(
        deployment=deployment,
        epoch=epoch,
        sink=sink,
        source=sources[0] if len(sources) == 1 else SourcesTogether(sources),
        input_names=input_names,
        window=window,
        is_ordered=is_ordered,
        first_request=first_request,
    )
    sink.failure.listen(pipeline.fail)
    return pipeline


def verify_deployment(deployment: Deployment, model: Model, *, seed: int = 0) -> OutputErrors:
    """How far the answers to one input are off the whole model's, the worst of all ways that requests may go.

    Raises:
        OutputMismatchError: One is further off than the plan's gate permits.
    """
    inputs = model.sample_inputs(seed)
    expected = model.run_whole(inputs)
    errors = OutputErrors()
    for _ in range(deployment.n_ways):
        errors = errors.worse(deployment.gate.check(deployment.pipeline.infer(inputs).outputs, expected))
    return errors
