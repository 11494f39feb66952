"""The front by plain ε-constraint dynamic programming in numpy: slow, short, and unlike the exact engine inside.

It judges that engine on problems which are too large to enumerate.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.encoding import EncodedPlan, encode_plans, evaluate, non_dominated
from partitioner.search.problem import SearchProblem

CHUNK_CELLS = 1 << 21


def reference_front(problem: SearchProblem) -> FloatArray:
    """(n_points, 2) objectives of the front, least latency first."""
    plans, bound = [], np.inf
    while (plan := _least_latency_plan(problem, bound)) is not None:
        plans.append(plan)
        bottleneck = evaluate(problem, encode_plans(problem, [plan]))[0, 1]
        bound = float(np.nextafter(bottleneck, -np.inf))
    return evaluate(problem, non_dominated(problem, encode_plans(problem, plans)))


def _least_latency_plan(problem: SearchProblem, bound: float) -> EncodedPlan | None:
    programme = _Programme(problem=problem, bound=bound)
    arrivals = programme.arrivals()
    totals = arrivals[:, :, -1] + programme.hops[: problem.n_devices, problem.n_devices, -1]
    if problem.pinned_last is not None:
        totals[:, np.arange(problem.n_devices) != problem.pinned_last] = np.inf
    subset, last = np.unravel_index(np.argmin(totals), totals.shape)
    if not np.isfinite(totals[subset, last]):
        return None
    return programme.trace_back(arrivals, int(subset), int(last))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Programme:
    """Least latencies under one bound. Positions are indices into the allowed ones."""

    problem: SearchProblem
    bound: float

    @cached_property
    def stages(self) -> FloatArray:
        """(n_devices, n_positions, n_positions) seconds at [device, start, stop]; infinity above the bound."""
        kept = self.problem.positions
        seconds = self.problem.allowed_seconds[:, kept[:, None], kept[None, :]]
        is_kept = self.problem.work_seconds[:, kept[:, None], kept[None, :]] <= self.bound
        return np.where(is_kept, seconds, np.inf)

    @cached_property
    def hops(self) -> FloatArray:
        """(n_devices + 1, n_devices + 1, n_positions) seconds at [source, target, position]; the client is last."""
        kept = self.problem.positions
        is_kept = self.problem.busy_seconds[:, :, kept] <= self.bound
        return np.where(is_kept, self.problem.hop_seconds[:, :, kept], np.inf)

    def arrivals(self) -> FloatArray:
        """Least latency with which a position is reached.

        Returns:
            (2^n_devices, n_devices, n_positions) float64 seconds at [devices used, last of them, position]: everything
            before the position is computed and still lies on the last device.
        """
        n_devices = self.problem.n_devices
        table = np.full((1 << n_devices, n_devices, len(self.problem.positions)), np.inf)
        subsets = np.arange(1 << n_devices)
        sizes = sum((subsets >> device) & 1 for device in range(n_devices))
        for size in range(self.problem.max_stages):
            for device in range(n_devices):
                before = subsets[(sizes == size) & ((subsets >> device) & 1 == 0)]
                starts = self._starts(table, before, device)
                table[before | (1 << device), device] = self._stops(starts, device)
        return table

    def trace_back(self, arrivals: FloatArray, subset: int, last: int) -> EncodedPlan:
        """The plan behind `arrivals[subset, last, -1]`."""
        plan: EncodedPlan = []
        stop = len(self.problem.positions) - 1
        while subset:
            plan.append((last, int(self.problem.positions[stop])))
            subset ^= 1 << last
            starts = self._starts(arrivals, np.array([subset]), last)[0]
            start = int(np.argmin(starts + self.stages[last, :, stop]))
            if subset:
                previous = int(np.argmin(arrivals[subset, :, start] + self.hops[:-1, last, start]))
            last, stop = previous if subset else last, start
        return plan[::-1]

    def _starts(self, table: FloatArray, before: IntArray, device: int) -> FloatArray:
        """(n_subsets, n_positions) least latency with which `device` has its input, the devices of `before` used."""
        if len(before) == 1 and before[0] == 0:
            first = np.full((1, table.shape[2]), np.inf)
            if self.problem.pinned_first in (None, device):
                first[0, 0] = self.hops[-1, device, 0]
            return first
        starts = np.full((len(before), table.shape[2]), np.inf)
        for previous in range(self.problem.n_devices):
            np.minimum(starts, table[before, previous] + self.hops[previous, device], out=starts)
        return starts

    def _stops(self, starts: FloatArray, device: int) -> FloatArray:
        """(n_subsets, n_positions) least latency with which each position is reached from `starts` on `device`."""
        stops = np.full_like(starts, np.inf)
        stages = self.stages[device]
        reachable = np.flatnonzero(np.isfinite(starts).any(axis=1))
        rows = max(1, CHUNK_CELLS // stages.size)
        for first in range(0, len(reachable), rows):
            chunk = reachable[first : first + rows]
            stops[chunk] = np.min(starts[chunk][:, :, None] + stages[None], axis=1)
        return stops
