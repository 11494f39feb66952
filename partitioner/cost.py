"""What a plan is predicted to cost."""

import math
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise, product

from partitioner.cluster import CLIENT, Cluster
from partitioner.codec import NO_CODEC, CodecTable
from partitioner.cost_faults import input_faults, plan_faults
from partitioner.errors import CostModelError, PlanError
from partitioner.front import FloatArray
from partitioner.graph import Graph
from partitioner.plan import Candidate, CostEstimate, HopCost, Plan, SharedCost, Stage, StageCost
from partitioner.profile import Profile
from partitioner.stage_memory import Int64Array, format_mebibytes, stage_memory_bytes
from partitioner.stage_tables import StageTables, stage_tables

QUEUE_LIMIT = 4
"""Boundary tensors that may wait before and after a stage; the agents' default."""


@dataclass(frozen=True, eq=False)
class CostModel:
    """Predicts plans of one graph on one cluster, from what was measured there.

    - Latency: input hop + Σ (stage + hop), in the order of the flow; a hop takes `fixed + bytes / rate`.
    - Resources: each device is busy for what its stages keep it busy, each link direction for `bytes / rate` at the
      rate that it sustains. Neither need be what a lone request takes. Each shared medium is busy for all hops over
      its links, one after another; each shared processor for all stages on its devices, each times the part of its
      cores that the device uses. The bottleneck is the busiest of them.
    - Codecs: a stage decodes what it takes and encodes what it sends; the hop carries the coded bytes.
    - Replicas: requests go round, so that each of r devices is busy for 1 / r of its stage; request k takes the link
      from replica k mod r of one stage to replica k mod s of the next, so that each link in use bears 1 / lcm(r, s).
    - Throughput: `batch · min(window / latency, 1 / bottleneck)`.

    Stage times are described in `stage_tables`, memory in `stage_memory`. Immutable: shared freely between threads.

    Raises:
        CostModelError: The three do not belong together, or hold impossible figures; all faults are named.
    """

    graph: Graph
    cluster: Cluster
    profile: Profile
    queue_limit: int = QUEUE_LIMIT
    codecs: CodecTable | None = None
    """None: plans use no codec."""
    window: int | None = None
    """Most requests in flight, which also limits what can wait before a stage; None: what suits each plan."""

    def __post_init__(self) -> None:
        faults = input_faults(self.graph, self.cluster, self.profile, self.codecs)
        if self.window is not None and self.window < 1:
            faults = (*faults, f"the window is {self.window}, wanted 1 or more")
        if faults:
            pair = f"{self.graph.name!r} cannot be predicted on {self.cluster.name!r}"
            raise CostModelError(f"{pair}: {'; '.join(faults)}.")

    def stage_seconds_matrix(self, device: str) -> FloatArray:
        """(n_units + 1, n_units + 1) float64 at [start, stop]: what a lone request takes, handover and computing.

        Infinity where no stage can be. Read-only, as the two others.
        """
        return self._tables_of[device].seconds

    def stage_busy_matrix(self, device: str) -> FloatArray:
        """Like `stage_seconds_matrix`: for how long a request keeps the device busy."""
        return self._tables_of[device].busy

    def stage_compute_matrix(self, device: str) -> FloatArray:
        """Like `stage_seconds_matrix`: computing alone."""
        return self._tables_of[device].compute

    def stage_memory_matrix(self, device: str) -> Int64Array:
        """(n_units + 1, n_units + 1) int64 bytes at [start, stop]; 0 where start >= stop. Read-only."""
        return self._memory_of[device]

    def predict(self, plan: Plan) -> CostEstimate:
        """Cost of a plan. Memory is told, not judged: see `memory_faults`.

        Raises:
            PlanError: The plan does not fit the graph or the cluster; all faults are named.
        """
        faults = plan_faults(plan, self.graph, self.cluster, self.codecs)
        if faults:
            raise PlanError(f"Plan {plan.describe()!r} does not fit: {'; '.join(faults)}.")
        stages = self._stage_costs(plan)
        hops = self._hop_costs(plan)
        latency = hops[0].seconds
        for stage, hop in zip(stages, hops[1:], strict=True):
            latency = latency + stage.seconds + hop.seconds
        resource, bottleneck = _busiest(stages, hops)
        return CostEstimate(
            latency_seconds=latency,
            bottleneck_seconds=bottleneck,
            bottleneck_resource=resource,
            throughput_per_second=plan.batch * min(plan.window / latency, 1.0 / bottleneck),
            stages=stages,
            hops=hops,
        )

    def candidate(self, stages: tuple[Stage, ...]) -> Candidate:
        """The plan with these stages and the window suggested for it, or the most there may be, and its cost.

        Raises:
            PlanError: The stages do not fit the graph or the cluster.
        """
        probe = Plan(model_sha256=self.graph.model_sha256, batch=self.graph.batch, stages=stages, window=1)
        cost = self.predict(probe)
        window = suggested_window(cost.latency_seconds + cost.stretch_seconds, cost.bottleneck_seconds)
        plan = replace(probe, window=min(window, self.window or window))
        return Candidate(plan=plan, cost=self.predict(plan))

    def memory_faults(self, plan: Plan) -> tuple[str, ...]:
        """Devices that cannot bear what a plan places on them; empty where all can.

        Raises:
            PlanError: The plan does not fit the graph or the cluster.
        """
        self.predict(plan)
        base = {profile.device: profile.base_memory_bytes for profile in self.profile.devices}
        needed = dict(base)
        for stage in plan.stages:
            for name in stage.devices:
                needed[name] += int(self.stage_memory_matrix(name)[stage.start, stage.stop]) - base[name]
        return tuple(
            f"Plan places {format_mebibytes(n_bytes)} on {name!r} "
            f"(memory {format_mebibytes(self.cluster.device_of[name].memory_bytes)}): "
            f"move a split point or choose another device."
            for name, n_bytes in needed.items()
            if name in {name for stage in plan.stages for name in stage.devices}
            if n_bytes > self.cluster.device_of[name].memory_bytes
        )

    def wire_bytes(self, position: int, codec: str) -> int:
        """Bytes of the boundary at a position in a codec."""
        if codec == NO_CODEC or self.codecs is None:
            return self.boundary_bytes[position]
        return self.codecs.coding_of[codec].wire_bytes[position]

    def output_error(self, position: int, codec: str) -> float:
        """Relative L2 error of the outputs that the codec brings at a position; 0 without one."""
        if codec == NO_CODEC or self.codecs is None:
            return 0.0
        return self.codecs.coding_of[codec].output_errors[position]

    def coding_seconds(self, device: str, position: int, codec: str) -> tuple[float, float]:
        """(encode, decode) seconds of the boundary at a position on a device; 0 without a codec."""
        if codec == NO_CODEC or self.codecs is None:
            return 0.0, 0.0
        rate, n_bytes = self.codecs.rate_of[device, codec], self.boundary_bytes[position]
        return rate.encode_seconds(n_bytes), rate.decode_seconds(n_bytes)

    def _stage_costs(self, plan: Plan) -> tuple[StageCost, ...]:
        codecs = [NO_CODEC, *(stage.codec for stage in plan.stages)]
        return tuple(self._stage_cost(stage, codec) for stage, codec in zip(plan.stages, codecs, strict=False))

    def _stage_cost(self, stage: Stage, received_codec: str) -> StageCost:
        span = stage.start, stage.stop
        decoding = {name: self.coding_seconds(name, stage.start, received_codec)[1] for name in stage.devices}
        encoding = {name: self.coding_seconds(name, stage.stop, stage.codec)[0] for name in stage.devices}
        seconds, busy = (
            {name: decoding[name] + float(matrix(name)[span]) + encoding[name] for name in stage.devices}
            for matrix in (self.stage_seconds_matrix, self.stage_busy_matrix)
        )
        busiest = max(stage.devices, key=busy.__getitem__)
        watts, source = self.cluster.device_of[busiest].active_watts, self.cluster.device_of[busiest].power_source
        return StageCost(
            device=stage.device,
            seconds=max(seconds.values()),
            compute_seconds=max(float(self.stage_compute_matrix(name)[span]) for name in stage.devices),
            busy_seconds=busy[busiest] / len(stage.devices),
            memory_bytes=max(int(self.stage_memory_matrix(name)[span]) for name in stage.devices),
            n_replicas=len(stage.devices),
            joules=None if watts is None else watts * busy[busiest],
            power_source="" if watts is None else source,
            decode_seconds=max(decoding.values()),
            encode_seconds=max(encoding.values()),
            processors=self._processor_costs(busy) if self.cluster.processors else (),
        )

    def _processor_costs(self, busy: dict[str, float]) -> tuple[SharedCost, ...]:
        """Of one stage, by for how long a request keeps each of its devices busy that it goes to."""
        longest = max(busy.values())
        parts: dict[str, list[float]] = defaultdict(list)
        for device, seconds in busy.items():
            for name, weight in self.cluster.shares_of.get(device, ()):
                parts[name].append(weight * (seconds / longest))
        each = longest / len(busy)
        return tuple(SharedCost(name=name, busy_seconds=math.fsum(used) * each) for name, used in parts.items())

    def _hop_costs(self, plan: Plan) -> tuple[HopCost, ...]:
        places = ((CLIENT,), *(stage.devices for stage in plan.stages), (CLIENT,))
        positions = (0, *(stage.stop for stage in plan.stages))
        codecs = (NO_CODEC, *(stage.codec for stage in plan.stages))
        return tuple(
            self._hop_cost(sources, targets, position, codec)
            for (sources, targets), position, codec in zip(pairwise(places), positions, codecs, strict=True)
        )

    def _hop_cost(self, sources: tuple[str, ...], targets: tuple[str, ...], position: int, codec: str) -> HopCost:
        n_bytes = self.wire_bytes(position, codec)
        links = [self.cluster.link_of[pair] for pair in product(sources, targets)]
        n_turns = math.lcm(len(sources), len(targets))
        return HopCost(
            source=sources[0],
            target=targets[0],
            n_bytes=n_bytes,
            seconds=max(link.seconds(n_bytes) for link in links),
            busy_seconds=max(link.busy_seconds(n_bytes) for link in links) / n_turns,
            output_error=self.output_error(position, codec),
            media=self._medium_costs(sources, targets, n_bytes) if self.cluster.media else (),
        )

    def _medium_costs(self, sources: tuple[str, ...], targets: tuple[str, ...], n_bytes: int) -> tuple[SharedCost, ...]:
        """Of one hop, whose requests go round: the slowest link on a medium, times the share of requests on it."""
        n_turns = math.lcm(len(sources), len(targets))
        pairs = [(sources[turn % len(sources)], targets[turn % len(targets)]) for turn in range(n_turns)]
        slowest: dict[str, float] = {}
        n_on: dict[str, int] = defaultdict(int)
        for pair in pairs:
            seconds = self.cluster.link_of[pair].busy_seconds(n_bytes)
            for name in self.cluster.media_of.get(pair, ()):
                slowest[name] = max(seconds, slowest.get(name, 0.0))
                n_on[name] += 1
        return tuple(
            SharedCost(name=name, busy_seconds=seconds * (n_on[name] / n_turns)) for name, seconds in slowest.items()
        )

    @cached_property
    def boundary_bytes(self) -> tuple[int, ...]:
        """Bytes that cross each position 0 … n_units."""
        return tuple(self.graph.boundary_bytes(position) for position in range(self.graph.n_units + 1))

    @cached_property
    def _tables_of(self) -> dict[str, StageTables]:
        profiles = {profile.device: profile for profile in self.profile.devices}
        return {name: stage_tables(self.graph, profiles[name]) for name in self.cluster.device_of}

    @cached_property
    def _memory_of(self) -> dict[str, Int64Array]:
        profiles = {profile.device: profile for profile in self.profile.devices}
        limit = min(self.queue_limit, self.window or self.queue_limit)
        matrices = {name: stage_memory_bytes(self.graph, profiles[name], limit) for name in self.cluster.device_of}
        for matrix in matrices.values():
            matrix.flags.writeable = False
        return matrices


def suggested_window(latency_seconds: float, bottleneck_seconds: float) -> int:
    """Requests in flight that keep the bottleneck busy: ⌈latency / bottleneck⌉, and one because times vary.

    Raises:
        ValueError: One of them is not positive and finite.
    """
    if not (0 < bottleneck_seconds < math.inf and 0 <= latency_seconds < math.inf):
        raise ValueError(f"No window for a latency of {latency_seconds} s and a bottleneck of {bottleneck_seconds} s.")
    return math.ceil(latency_seconds / bottleneck_seconds) + 1


def _busiest(stages: tuple[StageCost, ...], hops: tuple[HopCost, ...]) -> tuple[str, float]:
    busy: dict[str, float] = defaultdict(float)
    for stage in stages:
        busy[f"device:{stage.device}"] += stage.busy_seconds
        for processor in stage.processors:
            busy[f"processor:{processor.name}"] += processor.busy_seconds
    for hop in hops:
        busy[f"link:{hop.source}->{hop.target}"] += hop.busy_seconds
        for medium in hop.media:
            busy[f"medium:{medium.name}"] += medium.busy_seconds
    return max(busy.items(), key=lambda item: item[1])
