"""One pipeline in simulated time, built from its parts, run once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from partitioner.cluster import CLIENT
from partitioner.front import FloatArray
from partitioner.media import SharedMedium
from partitioner.plan import CostEstimate, Plan
from partitioner.processors import SharedProcessor
from partitioner.simulation.events import Clock, Count
from partitioner.simulation.line import Pipe, Queue, Sink, Station, Taker
from partitioner.simulation.load import Client, Load
from partitioner.simulation.pace import SharedCores, SharedPace
from partitioner.simulation.resource import Resource
from partitioner.simulation.result import QueueLoad, ResourceLoad, SimulationResult


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Times:
    """Times of every request."""

    stages: tuple[FloatArray, ...]
    """What it takes from the beginning of each stage to its result."""
    busy: tuple[FloatArray, ...]
    """For how long it keeps the stage's device from then on."""
    delays: tuple[FloatArray, ...]
    sending: tuple[float, ...]
    """Seconds for which a message keeps each link."""
    leaving: tuple[float, ...]
    """Seconds after which it is on its way, no longer than it keeps the link."""
    pipe_limits: tuple[float, ...]
    """Messages that fill each link, and one."""
    stage_limits: tuple[float, ...]
    """Requests that may have left each device without a result, where that takes longer than the device is busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    """Integrals over time, at one moment."""

    now: float
    busy_seconds: tuple[float, ...]
    areas: tuple[float, ...]


class Line:
    """One pipeline and its client, built for one run."""

    def __init__(
        self,
        plan: Plan,
        cost: CostEstimate,
        times: Times,
        load: Load,
        *,
        shared_media: Sequence[SharedMedium],
        shared_processors: Sequence[SharedProcessor] = (),
        queue_limit: int,
    ) -> None:
        self._clock = Clock()
        self._load = load
        self._resources: dict[str, Resource] = {}
        self._cores = {one.name: SharedCores(f"processor:{one.name}", self._clock) for one in shared_processors}
        self._paces = {
            device: SharedPace(self._cores[one.name], weight)
            for one in shared_processors
            for device, weight in one.shares
        }
        self._queues = [Queue("client out", self._clock, math.inf)]
        self._queues += [
            Queue(f"stage {index} {end}", self._clock, queue_limit * len(stage.devices))
            for index, stage in enumerate(plan.stages)
            for end in ("in", "out")
        ]
        self._client = Client(self._clock, load, self._queues[0], self._note)
        self._connect(plan, cost, times, shared_media)
        self._started = self._stopped = self._snapshot()

    def _connect(self, plan: Plan, cost: CostEstimate, times: Times, shared_media: Sequence[SharedMedium]) -> None:
        medium_of = {pair: f"medium:{medium.name}" for medium in shared_media for pair in medium.links}
        targets: list[Taker] = [*self._queues[1::2], Sink(self._client.take_result)]
        places = ((CLIENT,), *(stage.devices for stage in plan.stages), (CLIENT,))
        for index, ((sources, ends), target) in enumerate(zip(pairwise(places), targets, strict=True)):
            turns = range(math.lcm(len(sources), len(ends)))
            pairs = [(sources[turn % len(sources)], ends[turn % len(ends)]) for turn in turns]
            links = [self._resource(medium_of.get(pair, f"link:{pair[0]}->{pair[1]}")) for pair in pairs]
            pipe = Pipe(self._clock, times.delays[index].tolist(), times.pipe_limits[index] * len(links), target)
            sending, leaving = (
                [seconds] * self._load.n_total for seconds in (times.sending[index], times.leaving[index])
            )
            ready = None if sending == leaving else leaving
            Station(self._queues[2 * index], links, sending, pipe, ready=ready)
            if index < len(cost.stages):
                self._connect_stage(index, [self._device(name) for name in ends], times)

    def _connect_stage(self, index: int, devices: list[Resource], times: Times) -> None:
        """A stage whose device may be free before the result is there, or after."""
        source, target = self._queues[2 * index + 1 : 2 * index + 3]
        seconds, busy = times.stages[index], times.busy[index]
        if np.array_equal(seconds, busy):
            Station(source, devices, busy.tolist(), target)
        elif np.all(seconds <= busy):
            Station(source, devices, busy.tolist(), target, ready=seconds.tolist())
        else:
            rest = np.maximum(seconds - busy, 0.0).tolist()
            pipe = Pipe(self._clock, rest, times.stage_limits[index], target)
            ready = np.minimum(seconds, busy).tolist()
            Station(source, devices, busy.tolist(), pipe, ready=ready)

    def _device(self, name: str) -> Resource:
        lane = f"device:{name}"
        return self._resources.setdefault(lane, Resource(lane, self._clock, self._paces.get(name)))

    @property
    def _loaded(self) -> tuple[Resource | SharedCores, ...]:
        """What is busy, in the order of the flow, processors last."""
        return (*self._resources.values(), *self._cores.values())

    def _resource(self, name: str) -> Resource:
        return self._resources.setdefault(name, Resource(name, self._clock))

    def run(self, batch: int) -> SimulationResult:
        """Lets all requests come, until the last measured one ended."""
        self._client.start()
        self._clock.run()
        first, stop = self._load.n_warm_up, self._load.n_warm_up + self._load.n_measured
        latencies = np.array(self._client.ended_at[first:stop]) - np.array(self._client.came_at[first:stop])
        latencies.flags.writeable = False
        seconds = self._stopped.now - self._started.now
        busy = np.subtract(self._stopped.busy_seconds, self._started.busy_seconds) / seconds
        means = np.subtract(self._stopped.areas, self._started.areas) / seconds
        return SimulationResult(
            batch=batch,
            latency_seconds=latencies,
            seconds=seconds,
            mean_in_system=float(means[0]),
            resources=tuple(
                ResourceLoad(name=loaded.name, busy_share=float(share))
                for loaded, share in zip(self._loaded, busy, strict=True)
            ),
            queues=tuple(
                QueueLoad(name=name, mean=float(mean), peak=length.peak)
                for (name, length), mean in zip(self._lengths(), means[1:], strict=True)
            ),
        )

    def _lengths(self) -> list[tuple[str, Count]]:
        return [("client backlog", self._client.backlog), *((queue.name, queue.length) for queue in self._queues)]

    def _note(self, request: int) -> None:
        """Hears of each result; the measured time lies between those of two requests."""
        if request == self._load.n_warm_up - 1:
            self._started = self._snapshot()
        if request == self._load.n_warm_up + self._load.n_measured - 1:
            self._stopped = self._snapshot()
            self._clock.stop()

    def _snapshot(self) -> _Snapshot:
        counts = (self._client.in_system, *(length for _, length in self._lengths()))
        return _Snapshot(
            now=self._clock.now,
            busy_seconds=tuple(resource.busy_seconds() for resource in self._loaded),
            areas=tuple(count.area() for count in counts),
        )
