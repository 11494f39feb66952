"""A cluster in memory for services: nodes that die and come back, plans that double numbers, links that misbehave."""

import itertools
import queue
import threading
import time

import numpy as np

from coordinator.errors import OutputMismatchError, PlanRefusedError
from coordinator.pipeline import Pipeline
from coordinator.serving.deployer import Canary
from coordinator.serving.pulse import ANSWER_SECONDS
from node_agent.errors import NodeUnreachableError
from node_agent.messages import ErrorFrame, TensorFrame
from partitioner.plan import Candidate, CostEstimate, HopCost, Plan, Stage, StageCost

N_UNITS = 12
POISON = -1.0
"""A stage fails on it."""


def candidate_on(*devices, throughput=100.0, latency=0.01, window=4, memory=1 << 20):
    """A plan of equal stages on these devices, in this order."""
    edges = np.linspace(0, N_UNITS, len(devices) + 1).astype(int)
    stages = tuple(
        Stage(device=device, start=int(start), stop=int(stop))
        for device, start, stop in zip(devices, edges, edges[1:], strict=False)
    )
    places = ("client", *devices, "client")
    cost = CostEstimate(
        latency_seconds=latency,
        bottleneck_seconds=1 / throughput,
        bottleneck_resource=f"device:{devices[0]}",
        throughput_per_second=throughput,
        stages=tuple(StageCost(device=device, seconds=latency, memory_bytes=memory) for device in devices),
        hops=tuple(
            HopCost(source=one, target=two, n_bytes=8, seconds=1e-4, busy_seconds=1e-5)
            for one, two in itertools.pairwise(places)
        ),
    )
    return Candidate(plan=Plan(model_sha256="ab" * 32, batch=1, stages=stages, window=window), cost=cost)


def x_of(number):
    return {"x": np.full(2, number, np.float64)}


class Wire:
    """Sink and source of a pipeline: a thread carries frames from the one to the other, or misbehaves."""

    def __init__(self, compute, mischief=lambda frames: frames):
        self.frames = queue.SimpleQueue()
        self.answers = queue.SimpleQueue()
        self.busy_seconds = 0.0
        self._compute = compute
        self._mischief = mischief
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def send(self, frame):
        self.frames.put(frame)

    def _carry(self):
        while (frame := self.frames.get()) is not None:
            for one in self._mischief([self._compute(frame)]):
                self.answers.put(one)

    def break_off(self, error):
        self.answers.put(error)

    def __iter__(self):
        while (frame := self.answers.get()) is not None:
            if isinstance(frame, Exception):
                raise frame
            yield frame

    def close(self):
        self.frames.put(None)
        self.answers.put(None)


class FakeCluster:
    """Nodes by name. Deploys plans that double what they are given."""

    def __init__(self, *names):
        self.instances = {name: f"{name}-1" for name in names}
        self.dead = set()
        self.silent = set()
        """Heartbeats are not answered in time."""
        self.liars = set()
        self.cut = set()
        """(source, target) that do not reach each other."""
        self.loaded = []
        """(devices, epoch) of what was brought up."""
        self.freed = []
        self.left = set()
        """Epochs that another coordinator left on the nodes."""
        self.is_roomy = True
        self.mischief = lambda frames: frames
        self.hold = {}
        """Epoch → event that its answers wait for."""
        self.on_load = lambda candidate, epoch: None
        self.wires = {}
        self.sent_bytes = 0
        self.sending_seconds = 0.0
        self.canary = Canary(inputs=x_of(7), expected={"y": x_of(14)["x"]})

    # Of `Members`

    def drop(self, name):
        pass

    def renew(self, name):
        if name in self.dead:
            raise NodeUnreachableError(f"{name} is gone")

    # What happens to nodes

    def kill(self, name):
        self.dead.add(name)
        self.break_streams(name)

    def revive(self, name):
        self.instances[name] += "+"
        self.dead.discard(name)

    def restart(self, name):
        self.kill(name)
        self.revive(name)

    def break_streams(self, name):
        for devices, wire in list(self.wires.values()):
            if name in devices:
                wire.break_off(NodeUnreachableError(f"the stream to {name} broke"))

    def hearts(self):
        return {name: FakeHeart(self, name) for name in self.instances}

    # Of `Deployer`

    def bring_up(self, candidate, epoch, why_give_up):
        devices = [stage.device for stage in candidate.plan.stages]
        self.on_load(candidate, epoch)
        for index, name in enumerate(devices):
            following = devices[index + 1] if index + 1 < len(devices) else None
            if name in self.dead or (name, following) in self.cut:
                raise PlanRefusedError(f"no {name}", device=name, next_device=following, is_unreachable=True)
        if (reason := why_give_up()) is not None:
            raise NodeUnreachableError(reason)
        pipeline = self._connect(devices, epoch, 0)
        if np.any(pipeline.infer(self.canary.inputs).outputs["y"] != self.canary.expected["y"]):
            pipeline.close()
            raise OutputMismatchError(f"wrong on {devices}")
        self.loaded.append((tuple(devices), epoch))
        return pipeline

    def _connect(self, devices, epoch, first_request):
        wire = Wire(lambda frame: self._compute(devices, frame), self.mischief)
        self.wires[epoch] = (tuple(devices), wire)
        return Pipeline(
            deployment="d",
            epoch=epoch,
            sink=wire,
            source=wire,
            input_names=("x",),
            window=8,
            first_request=first_request,
        )

    def _compute(self, devices, frame):
        values = dict(frame.tensors)["x"]
        if values[0] != 7 and frame.epoch in self.hold:
            self.hold[frame.epoch].wait(20)
        parts = {"deployment": "d", "epoch": frame.epoch, "request": frame.request, "stage": len(devices)}
        if values[0] == POISON:
            return ErrorFrame(**parts, error="StageFailedError", message=f"stage 0 on {devices[0]!r} failed")
        factor = 3.0 if self.liars & set(devices) else 2.0
        return TensorFrame(**parts, tensors=(("y", values * factor),))

    def adopt(self, candidate, epoch, first_request, why_give_up):
        if epoch not in self.left:
            raise NodeUnreachableError("nothing runs")
        return self._connect([stage.device for stage in candidate.plan.stages], epoch, first_request)

    def newest_epoch(self, nodes):
        return max(self.left, default=0)

    def fits_beside(self, candidate, running):
        return self.is_roomy

    def take_down(self, nodes, *, first_epoch=0, last_epoch=None):
        self.freed.append((frozenset(nodes), first_epoch, last_epoch))


class FakeHeart:
    def __init__(self, cluster, name):
        self._cluster = cluster
        self._name = name

    def beat(self):
        if self._name in self._cluster.dead:
            raise NodeUnreachableError(f"{self._name} refuses")
        if self._name in self._cluster.silent:
            time.sleep(ANSWER_SECONDS)
            raise NodeUnreachableError(f"{self._name} is silent")
        return self._cluster.instances[self._name]

    def close(self):
        pass


def wait_until(is_so, seconds=20.0):
    ends_at = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends_at, "it did not happen"
        time.sleep(0.005)
