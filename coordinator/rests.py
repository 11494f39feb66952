"""How long the processors rest before a stage's lone request: what they do after it is part of the latency.

After a rest caches are cold, frequencies low, virtual processors handed to others: on one machine 50 ms of it made a
stage of 34 ms take 35 to 47.
"""

import statistics
from collections.abc import Mapping, Sequence

from partitioner.plan import Candidate

Span = tuple[int, int]
Rests = Mapping[tuple[str, Span], float]
"""Seconds by device and span."""

LONGEST_SECONDS = 0.04
"""A longer rest was not seen to change anything more, and makes trials long."""


def rests_of(front: Sequence[Candidate], host_of: Mapping[str, str]) -> Rests:
    """The rest before each stage of the front; the median where several plans have the stage.

    In single stream a machine works on its stages in turn. What is left of the latency is its rest, as often as it has
    stages.

    Args:
        front: Predicted plans.
        host_of: Machine of each device.
    """
    found: dict[tuple[str, Span], list[float]] = {}
    for candidate in front:
        for stage in candidate.plan.stages:
            for device in stage.devices:
                rest = _rest_seconds(candidate, host_of, device)
                found.setdefault((device, (stage.start, stage.stop)), []).append(rest)
    return {key: statistics.median(rests) for key, rests in found.items()}


def _rest_seconds(candidate: Candidate, host_of: Mapping[str, str], device: str) -> float:
    working = [
        cost.compute_seconds
        for stage, cost in zip(candidate.plan.stages, candidate.cost.stages, strict=True)
        if any(host_of[one] == host_of[device] for one in stage.devices)
    ]
    rest = (candidate.cost.latency_seconds - sum(working)) / len(working)
    return min(max(rest, 0.0), LONGEST_SECONDS)
