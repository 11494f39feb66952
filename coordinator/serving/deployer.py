"""Putting plans on nodes that may be lost while that is done, and taking them off again."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np

from coordinator.connecting import connect_plan
from coordinator.deployment import verify_answers
from coordinator.errors import MeasurementError, PlanRefusedError
from coordinator.opening import OnLane
from coordinator.pipeline import Pipeline
from coordinator.provisioning import send_shards, sending_lane
from coordinator.serving.replanning import devices_of
from coordinator.serving.roster import Roster
from coordinator.side_by_side import run_side_by_side
from coordinator.stage_orders import check_node_codecs, check_runnable, stage_loads
from node_agent.errors import NodeError, NodeUnreachableError, StageMissingError
from node_agent.messages import StageLoad
from partitioner.onnx_io import Model
from partitioner.plan import Candidate, Stage
from partitioner.shard import Shard

VERIFY_SECONDS = 30.0
"""For the first answer of a plan, at least; on slow devices many times the latency that is predicted."""
_UNLOAD_SECONDS = 3.0

WhyGiveUp = Callable[[], str | None]


@dataclass(frozen=True, kw_only=True)
class Canary:
    """One request, and what the whole model answers to it."""

    inputs: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ndarray]


class Deployer(Protocol):
    """Puts plans of one deployment on nodes. Thread-safe."""

    canary: Canary
    sent_bytes: int
    """Weights and graphs that nodes lacked, all plans together."""
    sending_seconds: float
    """That this took, nodes side by side."""

    def bring_up(self, candidate: Candidate, epoch: int, why_give_up: WhyGiveUp) -> Pipeline:
        """A plan, live and verified, beside what is loaded already.

        Raises:
            PlanRefusedError: A node could not make its stage ready.
            NodeError: A node was lost, or there was a reason to give up.
            OutputMismatchError: The plan does not compute what the whole model computes; it was taken off.
        """
        ...

    def adopt(self, candidate: Candidate, epoch: int, first_request: int, why_give_up: WhyGiveUp) -> Pipeline:
        """A plan that is loaded already, connected and verified; nothing is sent or loaded.

        Raises:
            NodeError: It is not there as it should be.
            OutputMismatchError: It does not compute what the whole model computes.
        """
        ...

    def fits_beside(self, candidate: Candidate, running: Candidate) -> bool:
        """Whether the nodes can hold the stages of both at once, by what is predicted of their memory."""
        ...

    def newest_epoch(self, nodes: Iterable[str]) -> int:
        """The highest epoch of which these nodes hold stages; 0 where they hold none. One that is lost is left out."""
        ...

    def take_down(self, nodes: Iterable[str], *, first_epoch: int = 0, last_epoch: int | None = None) -> None:
        """Frees the stages of these epochs on these nodes; one that does not answer is left alone after seconds."""
        ...


class PlanDeployer:
    """The `Deployer` of a model on the nodes of a roster."""

    def __init__(
        self,
        roster: Roster,
        model: Model,
        *,
        name: str,
        lease_seconds: float,
        seed: int = 0,
        on_lane: OnLane = lambda _lane, _n_done, _n_total, _what: None,
    ) -> None:
        """Computes what the whole model answers to the canary.

        Args:
            roster: The nodes.
            model: What is served.
            name: Of the deployment.
            lease_seconds: After which nodes free stages that no heartbeat asks after; 0: never.
            seed: Of the canary.
            on_lane: Told how far weights are on their way, a lane for each node.
        """
        self._roster = roster
        self._model = model
        self._name = name
        self._lease_seconds = lease_seconds
        self._shards: dict[tuple[int, int], Shard] = {}
        inputs, expected = model.sample_answers(seed)
        self.canary = Canary(inputs=inputs, expected=expected)
        self._on_lane = on_lane
        self.sent_bytes = 0
        self.sending_seconds = 0.0

    def bring_up(self, candidate: Candidate, epoch: int, why_give_up: WhyGiveUp) -> Pipeline:
        """See `Deployer`."""
        plan = candidate.plan
        check_runnable(plan, self._model)
        check_node_codecs(self._roster.fleet, plan)
        shards = tuple(self._shard(stage) for stage in plan.stages)
        try:
            calls = [
                partial(self._send, name, shard)
                for stage, shard in zip(plan.stages, shards, strict=True)
                for name in stage.devices
            ]
            began = time.perf_counter()
            self.sent_bytes += sum(run_side_by_side(calls, why_give_up=why_give_up))
            self.sending_seconds += time.perf_counter() - began
            loads = stage_loads(self._roster.fleet, candidate, shards, deployment=self._name, epoch=epoch)
            run_side_by_side(
                [partial(self._load, candidate, name, load) for name, load in loads],
                why_give_up=why_give_up,
                on_late=lambda name: self.take_down([name], first_epoch=epoch, last_epoch=epoch),
            )
            return self._connected(candidate, epoch, 0, why_give_up)
        except BaseException:
            self._in_background(lambda: self.take_down(devices_of(plan), first_epoch=epoch, last_epoch=epoch))
            raise

    def adopt(self, candidate: Candidate, epoch: int, first_request: int, why_give_up: WhyGiveUp) -> Pipeline:
        """See `Deployer`."""
        places = [(name, index) for index, stage in enumerate(candidate.plan.stages) for name in stage.devices]
        calls = [partial(self._check_loaded, candidate, epoch, name, index) for name, index in places]
        run_side_by_side(calls, why_give_up=why_give_up)
        return self._connected(candidate, epoch, first_request, why_give_up)

    def _check_loaded(self, candidate: Candidate, epoch: int, name: str, index: int) -> None:
        """Raises `StageMissingError` unless a node holds its stage of a plan, at work."""
        wanted = (self._name, epoch, index, self._shard(candidate.plan.stages[index]).sha256, "")
        found = {
            (one.deployment, one.epoch, one.stage, one.shard_sha256, one.failure)
            for one in self._roster.node(name).client.list_stages()
        }
        if wanted not in found:
            raise StageMissingError(f"Node '{name}' does not hold stage {index} of {self._name!r}, epoch {epoch}.")

    def _shard(self, stage: Stage) -> Shard:
        span = (stage.start, stage.stop)
        if span not in self._shards:
            self._shards[span] = self._model.cut(*span)
        return self._shards[span]

    def _send(self, name: str, shard: Shard) -> int:
        return send_shards(self._roster.node(name).client, self._model, [shard], sending_lane(self._on_lane, name))

    def _load(self, candidate: Candidate, name: str, load: StageLoad) -> str:
        """Name of the node, which now holds the stage."""
        try:
            self._roster.node(name).client.load_stage(replace(load, lease_seconds=self._lease_seconds))
        except NodeError as error:
            following = [device for stage in candidate.plan.stages[load.stage + 1 :][:1] for device in stage.devices]
            raise PlanRefusedError(
                f"Stage {load.stage} on '{name}' cannot be made ready: {error}",
                device=name,
                next_device=following[0] if len(following) == 1 else None,
                is_unreachable=isinstance(error, NodeUnreachableError),
            ) from error
        return name

    def _connected(self, candidate: Candidate, epoch: int, first_request: int, why_give_up: WhyGiveUp) -> Pipeline:
        def connect() -> Pipeline:
            return connect_plan(
                self._roster.fleet,
                self._model,
                candidate,
                deployment=self._name,
                epoch=epoch,
                first_request=first_request,
            )

        [pipeline] = run_side_by_side([connect], why_give_up=why_give_up, on_late=Pipeline.close)
        try:
            seconds = VERIFY_SECONDS + 20 * candidate.cost.latency_seconds
            run_side_by_side([lambda: self._verify(pipeline, candidate, seconds)], why_give_up=why_give_up)
        except BaseException:
            self._in_background(pipeline.close)
            raise
        return pipeline

    def _verify(self, pipeline: Pipeline, candidate: Candidate, seconds: float) -> None:
        canary = self.canary
        try:
            verify_answers(pipeline, candidate, canary.inputs, canary.expected, timeout_seconds=seconds)
        except MeasurementError as error:
            raise NodeUnreachableError(str(error)) from error

    def fits_beside(self, candidate: Candidate, running: Candidate) -> bool:
        """See `Deployer`."""
        needed = _memory_of(candidate)
        held = _memory_of(running)
        return all(
            needed[name] + held[name] <= self._roster.node(name).device.memory_bytes
            for name in needed.keys() & held.keys()
        )

    def newest_epoch(self, nodes: Iterable[str]) -> int:
        """See `Deployer`."""

        def newest(name: str) -> int:
            try:
                stages = self._roster.node(name).client.list_stages()
            except NodeError:
                return 0
            return max((one.epoch for one in stages if one.deployment == self._name), default=0)

        return max(run_side_by_side([partial(newest, name) for name in nodes]), default=0)

    def take_down(self, nodes: Iterable[str], *, first_epoch: int = 0, last_epoch: int | None = None) -> None:
        """See `Deployer`."""

        def unload(name: str) -> None:
            # A node that is gone holds nothing; the lease frees what one that is cut off holds.
            with suppress(NodeError):
                self._roster.node(name).client.unload_stage(self._name, first_epoch=first_epoch, last_epoch=last_epoch)

        threads = [self._in_background(partial(unload, name)) for name in nodes]
        for thread in threads:
            thread.join(_UNLOAD_SECONDS)

    def _in_background(self, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=work, name=f"take down {self._name}", daemon=True)
        thread.start()
        return thread


def _memory_of(candidate: Candidate) -> dict[str, int]:
    """Bytes that a plan needs on each device."""
    needed: dict[str, int] = {}
    for stage, cost in zip(candidate.plan.stages, candidate.cost.stages, strict=True):
        for name in stage.devices:
            needed[name] = needed.get(name, 0) + cost.memory_bytes
    return needed
