"""What nodes are told so that they bear the stages of a plan, and what speaks against it."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from coordinator.errors import DeploymentError
from coordinator.fleet import Fleet
from coordinator.provisioning import shard_ref
from node_agent import messages
from node_agent.messages import CodingPace, NextHop, StageLoad
from partitioner.codec import NO_CODEC
from partitioner.cost import QUEUE_LIMIT
from partitioner.onnx_io import Model
from partitioner.plan import Candidate, Plan, StageCost
from partitioner.shard import Shard
from partitioner.tensors import TensorSpec


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
