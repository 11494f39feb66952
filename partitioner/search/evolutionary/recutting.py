"""The best cuts for a given order of devices under a bound, by dynamic programming over positions alone."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlan
from partitioner.search.problem import SearchProblem


def recut(problem: SearchProblem, order: Sequence[int], bound: float) -> EncodedPlan | None:
    """The plan of least latency that uses these devices in this order with no resource busier than `bound` seconds.

    Time: O(len(order) · positions²). None where there is no such plan. Pins and the most stages are not looked at.
    """
    kept, client = problem.positions, problem.n_devices
    hops = np.where(problem.busy_seconds[:, :, kept] <= bound, problem.hop_seconds[:, :, kept], np.inf)
    reached = np.full(len(kept), np.inf)
    reached[0] = 0.0
    arrivals: list[FloatArray] = []
    for source, device in pairwise([client, *order]):
        arrivals.append(reached + hops[source, device])
        reached = _least(problem, device, arrivals[-1], bound)
    if not np.isfinite(reached[-1] + hops[order[-1], client, -1]):
        return None
    plan: EncodedPlan = []
    slot = len(kept) - 1
    for device, arrival in zip(reversed(order), reversed(arrivals), strict=True):
        plan.append((device, int(kept[slot])))
        seconds = problem.allowed_seconds[device, kept, kept[slot]]
        is_kept = problem.work_seconds[device, kept, kept[slot]] <= bound
        slot = int(np.argmin(np.where(is_kept, arrival + seconds, np.inf)))
    return plan[::-1]


def _least(problem: SearchProblem, device: int, arrival: FloatArray, bound: float) -> FloatArray:
    """(n_positions,) least latency with which a stage on `device` stops at each, having its input at `arrival`."""
    starts = np.flatnonzero(np.isfinite(arrival))
    if not len(starts):
        return np.full_like(arrival, np.inf)
    rows = device, problem.positions[starts]
    is_kept = problem.work_seconds[rows][:, problem.positions] <= bound
    seconds = problem.allowed_seconds[rows][:, problem.positions]
    totals = np.where(is_kept, seconds, np.inf) + arrival[starts, None]
    least: FloatArray = totals.min(axis=0)
    return least
