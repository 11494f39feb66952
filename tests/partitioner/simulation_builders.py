"""Plans by their times alone, and an evaluator of plain lines that shares nothing with the simulation."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from partitioner.cluster import CLIENT
from partitioner.plan import Candidate, CostEstimate, HopCost, Plan, Stage, StageCost


def plan_of_times(stages, hops=None, *, window=1, batch=1) -> Candidate:
    """A plan from (device, seconds) and (fixed seconds, busy seconds); sums of the estimate are impossible figures."""
    chosen = hops or [(0.0, 0.0)] * (len(stages) + 1)
    places = (CLIENT, *(device for device, _ in stages), CLIENT)
    cost = CostEstimate(
        latency_seconds=-1.0,
        bottleneck_seconds=-1.0,
        bottleneck_resource="unread",
        throughput_per_second=-1.0,
        stages=tuple(StageCost(device=device, seconds=seconds, memory_bytes=0) for device, seconds in stages),
        hops=tuple(
            HopCost(source=source, target=target, n_bytes=1, seconds=fixed + busy, busy_seconds=busy)
            for (source, target), (fixed, busy) in zip(pairwise(places), chosen, strict=True)
        ),
    )
    spans = tuple(Stage(device=device, start=i, stop=i + 1) for i, (device, _) in enumerate(stages))
    return Candidate(plan=Plan(model_sha256="a" * 64, batch=batch, stages=spans, window=window), cost=cost)


def slower(cost: CostEstimate, index: int, factor: float) -> CostEstimate:
    """The estimate with one stage slower."""
    stages = list(cost.stages)
    stages[index] = replace(stages[index], seconds=stages[index].seconds * factor)
    return replace(cost, stages=tuple(stages))


def closed_form(cost: CostEstimate) -> tuple[float, float]:
    """Latency and bottleneck of a plan that shares nothing, from its times alone."""
    latency = sum(stage.seconds for stage in cost.stages) + sum(hop.seconds for hop in cost.hops)
    busy = [*(stage.seconds for stage in cost.stages), *(hop.busy_seconds for hop in cost.hops)]
    return latency, max(busy)


def latencies_by_recurrence(stages, delays, busy, limits, queue_limit, *, window=None, arrivals=None):
    """Latencies of a line that shares nothing, by the max-plus recurrence of a blocking tandem queue.

    Every moment of request n follows from moments of n itself and of earlier requests.
    `stages` and `delays` are (n_stages, n) and (n_stages + 1, n); `busy` and `limits` are one number for each link.
    """
    n_stages, n = np.shape(stages)
    never = -np.inf

    def before(row, request, distance):
        return row[request - int(distance)] if distance != np.inf and request >= distance else never

    came, ended = np.zeros(n), np.zeros(n)
    send, sent, arrived, delivered = (np.zeros((n_stages + 1, n)) for _ in range(4))
    begun, handed = np.zeros((n_stages, n)), np.zeros((n_stages, n))
    for i in range(n):
        came[i] = arrivals[i] if arrivals is not None else max(before(ended, i, window), 0.0)
        ready = came[i] if window is None else max(came[i], before(ended, i, window))
        for k in range(n_stages + 1):
            send[k, i] = max(ready, before(sent[k], i, 1))
            sent[k, i] = max(send[k, i] + busy[k], before(delivered[k], i, limits[k]))
            arrived[k, i] = max(sent[k, i] + delays[k][i], before(arrived[k], i, 1))
            if k == n_stages:
                ended[i] = arrived[k, i]
                break
            room = before(begun[k], i, queue_limit)
            delivered[k, i] = max(arrived[k, i], before(delivered[k], i, 1), room)
            begun[k, i] = max(delivered[k, i], before(handed[k], i, 1))
            handed[k, i] = max(begun[k, i] + stages[k][i], before(send[k + 1], i, queue_limit))
            ready = handed[k, i]
        delivered[n_stages, i] = ended[i]
    return ended - came
