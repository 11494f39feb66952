"""The baseline of the field: the minimum cut that divides the units between two devices, for the least latency.

One device is the source, the other the sink; an edge of the network costs what it means to cut it, so that the least
cut is the fastest plan. Work is never handed back. On a chain of units this is exact; it knows no bottleneck and no
third device.

Source: Hu, Bao, Wang and Liu, "Dynamic adaptive DNN surgery for inference acceleration on the edge", INFOCOM 2019.
"""

from itertools import permutations
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, maximum_flow

from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlan, encode_plans, non_dominated
from partitioner.search.outcome import Effort, EngineOutcome
from partitioner.search.problem import SearchProblem

NEVER = 2**30
"""Capacity of what must not be cut, and the most flow there is: capacities are 32-bit integers."""
FINEST = 2**-29
"""Of a known cut: the unit of the capacities."""


class _Costs(NamedTuple):
    """Seconds on the edges of the network, infinity where a cut is forbidden. A unit is what lies between positions."""

    on_first: FloatArray
    """(n_units,) from a unit to the sink: cut where the first device bears it."""
    on_second: FloatArray
    """(n_units,) from the source to a unit: cut where the second device bears it."""
    between: FloatArray
    """(n_units - 1,) from a unit to the next: cut where the first device hands over."""


def minimum_cut_front(problem: SearchProblem, effort: Effort) -> EngineOutcome:
    """The fastest plan on at most two devices: the best of the minimum cuts of all ordered pairs."""
    began = effort.clock()
    pairs = list(permutations(range(problem.n_devices), 2)) or [(0, 0)]
    plans: list[EncodedPlan] = []
    n_done = 0
    for first, second in pairs:
        if effort.budget_seconds is not None and effort.clock() - began >= effort.budget_seconds:
            break
        plan = minimum_cut(problem, first, second)
        plans += [] if plan is None else [plan]
        n_done += 1
        effort.on_progress(n_done / len(pairs), f"{n_done} of {len(pairs)} cuts")
    front = non_dominated(problem, encode_plans(problem, plans))
    return EngineOutcome(
        plans=front.take(np.arange(min(1, len(front)))),
        n_evaluated=len(plans),
        is_exact=False,
        statement=_statement(problem, n_done, len(pairs)),
    )


def minimum_cut(problem: SearchProblem, first: int, second: int) -> EncodedPlan | None:
    """The fastest plan in which `first` bears the units up to some position and `second` the rest; either may bear all.

    Returns:
        Within n_positions · `FINEST` of the least latency, relative to the better of the two devices alone (or to the
        sum of all costs, where neither is allowed alone). None where no such plan is allowed.
    """
    capacities = _network(_costs(problem, first, second))
    result = maximum_flow(capacities, 0, capacities.shape[0] - 1)
    if result.flow_value >= NEVER:
        return None
    residual = csr_array(capacities - result.flow)
    residual.eliminate_zeros()
    n_before = len(breadth_first_order(residual, 0, return_predecessors=False)) - 2
    stages = [(first, int(problem.positions[n_before])), (second, problem.n_units)]
    return stages[1:] if n_before == 0 else stages[:1] if stages[0][1] == problem.n_units else stages


def _costs(problem: SearchProblem, first: int, second: int) -> _Costs:
    """A unit costs what it adds to a stage of the first units, or of the last: stage times need not be additive.

    What is forbidden (memory, links, pins, stages) is forbidden to be cut; the hops to and from the client go with the
    first and the last unit.
    """
    kept, client = problem.positions, problem.n_devices
    prefix = problem.allowed_seconds[first, 0, kept[1:]]
    suffix = problem.allowed_seconds[second, kept[:-1], kept[-1]]
    can_split = np.isfinite(prefix[:-1]) & np.isfinite(suffix[1:]) & (problem.max_stages > 1) & (first != second)
    on_first, on_second = np.diff(_filled(prefix), prepend=0.0), -np.diff(_filled(suffix[::-1])[::-1], append=0.0)
    for costs, device in ((on_first, first), (on_second, second)):
        for unit, pin, hop in (
            (0, problem.pinned_first, problem.hop_seconds[client, device, kept[0]]),
            (-1, problem.pinned_last, problem.hop_seconds[device, client, kept[-1]]),
        ):
            costs[unit] += hop if pin in (None, device) else np.inf
    on_first[-1] += 0.0 if np.isfinite(prefix[-1]) else np.inf
    on_second[0] += 0.0 if np.isfinite(suffix[0]) else np.inf
    hops = problem.hop_seconds[first, second, kept[1:-1]]
    return _Costs(on_first=on_first, on_second=on_second, between=np.where(can_split, hops, np.inf))


def _filled(seconds: FloatArray) -> FloatArray:
    """Impossible ones take the value before them, 0 at the beginning."""
    last = np.maximum.accumulate(np.where(np.isfinite(seconds), np.arange(len(seconds)), -1))
    return np.where(last >= 0, seconds[last], 0.0)


def _network(costs: _Costs) -> csr_array:
    """Integer capacities: origin 0, source 1, then the units, sink last; the origin only bounds the flow."""
    n_units = len(costs.on_first)
    least = np.minimum(0.0, np.minimum(costs.on_first, costs.on_second))  # every cut has one of both: a constant
    on_first, on_second = costs.on_first - least, costs.on_second - least
    every = np.concatenate([on_first, on_second, costs.between])
    known = min(on_first.sum(), on_second.sum())
    known = known if np.isfinite(known) else every[np.isfinite(every)].sum()
    units, sink = np.arange(2, n_units + 2), n_units + 2
    scale = 1.0 / (known * FINEST) if known > 0.0 else 1.0
    edges = (
        (units, np.full(n_units, sink), on_first * scale),
        (np.ones(n_units, dtype=np.int64), units, on_second * scale),
        (units[:-1], units[1:], costs.between * scale),
        (units[1:], units[:-1], np.full(n_units - 1, NEVER)),
        (np.array([0]), np.array([1]), np.array([NEVER])),
    )
    sources, targets, capacities = (np.concatenate(parts) for parts in zip(*edges, strict=True))
    whole = np.minimum(np.rint(capacities), NEVER).astype(np.int32)
    return csr_array((whole, (sources, targets)), shape=(sink + 1, sink + 1), dtype=np.int32)


def _statement(problem: SearchProblem, n_done: int, n_pairs: int) -> str:
    if n_done < n_pairs:
        return f"Incomplete: the budget ended after {n_done} of {n_pairs} minimum cuts."
    if problem.n_devices <= 2:
        return "The least latency of all plans, by minimum cuts; the rest of the front was not sought."
    return (
        f"The least latency of all plans on two of the {problem.n_devices} devices, by {n_pairs} minimum cuts; more "
        f"devices may be faster, and the rest of the front was not sought."
    )
