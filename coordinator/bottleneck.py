"""What held a measured pipeline back."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from coordinator.measurement import Bottleneck, StageMeasurement
from coordinator.shared_busy import computing_seconds, shared_seconds
from partitioner.cluster import CLIENT
from partitioner.plan import CostEstimate, HopCost, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bearer:
    """A device, or the client, at one place of the flow; seconds per request of the pipeline."""

    device: str
    busy_seconds: float
    send_seconds: float
    """For all its links."""


def find_bottleneck(
    stages: Sequence[StageMeasurement], input_send_seconds: float, cost: CostEstimate | None = None, *, batch: int
) -> Bottleneck:
    """The resource that was busy longest for each request of the pipeline; see `busy_seconds`."""
    busy = busy_seconds(stages, input_send_seconds, cost)
    resource = max(busy, key=busy.__getitem__)
    return Bottleneck(resource=resource, busy_seconds=busy[resource], bound_per_second=batch / busy[resource])


def busy_seconds(
    stages: Sequence[StageMeasurement], input_send_seconds: float, cost: CostEstimate | None = None
) -> dict[str, float]:
    """For how long each resource was busy for a request of the pipeline: devices, links sending, what these share.

    The prediction tells what they share; None: nothing. Of n devices that bear a stage in turn each counts with the
    requests that it bore. Request k went from number k modulo r to number k modulo s: each source's links shared its
    sending.
    """
    client = [_Bearer(device=CLIENT, busy_seconds=0.0, send_seconds=input_send_seconds)]
    places = [client, *(_bearers(stage, cost) for stage in stages), client]
    busy: dict[str, float] = defaultdict(float)
    for sources, targets in pairwise(places):
        n_turns = math.lcm(len(sources), len(targets))
        for bearer in sources:
            busy[f"device:{bearer.device}"] += bearer.busy_seconds
        for turn in range(n_turns):
            source, target = sources[turn % len(sources)], targets[turn % len(targets)]
            busy[f"link:{source.device}->{target.device}"] += source.send_seconds * len(sources) / n_turns
    return busy | (shared_seconds(stages, input_send_seconds, cost) if cost else {})


def tensor_bytes(plan: Plan, hops: Sequence[HopCost]) -> dict[str, float]:
    """What each link carries for a request of the pipeline, by `link:SOURCE->TARGET`; replicas take turns."""
    found: dict[str, float] = defaultdict(float)
    places = [(CLIENT,), *(stage.devices for stage in plan.stages), (CLIENT,)]
    for (sources, targets), hop in zip(pairwise(places), hops, strict=True):
        n_turns = math.lcm(len(sources), len(targets))
        for turn in range(n_turns):
            found[f"link:{sources[turn % len(sources)]}->{targets[turn % len(targets)]}"] += hop.n_bytes / n_turns
    return dict(found)


def _bearers(stage: StageMeasurement, cost: CostEstimate | None) -> list[_Bearer]:
    if not stage.replicas:
        seconds = _device_seconds(stage, computing_seconds(stage, stage.compute_seconds, cost))
        return [_Bearer(device=stage.device, busy_seconds=seconds, send_seconds=stage.send_seconds)]
    n_requests = sum(replica.n_requests for replica in stage.replicas)
    return [
        _Bearer(
            device=replica.device,
            busy_seconds=_device_seconds(stage, computing_seconds(stage, replica.compute_seconds, cost))
            * replica.n_requests
            / n_requests,
            send_seconds=replica.send_seconds * replica.n_requests / n_requests,
        )
        for replica in stage.replicas
    ]


def _device_seconds(stage: StageMeasurement, compute_seconds: float) -> float:
    """For how long one request keeps a device: an emulated one does one thing after the other.

    A real one may have cores to code while it computes; there the longest counts, which no pipeline can undercut.
    """
    seconds = [compute_seconds]
    seconds += [stage.decode_seconds] if stage.predicted_decode_seconds else []
    seconds += [stage.encode_seconds] if stage.predicted_encode_seconds else []
    return sum(seconds) if stage.is_paced else max(seconds)
