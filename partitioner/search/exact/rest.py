"""The least latency still to come: the dynamic programme that steers the exact engine."""

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.compiled import compiled
from partitioner.search.exact.arrays import Chain, Rest

ROUNDING = 1e-12
"""Stage times are additive when they are within this of being so, relative to the longest."""


@compiled
def find_sums(seconds: FloatArray, work: FloatArray, fixed: float, sums: FloatArray) -> bool:
    """Whether the stage times of a device are additive; fills `sums` so that seconds[a, b] = fixed + sums[b] - sums[a].

    It must also be busy no shorter, to the last bit, where a stage is longer; so possible ones reach up to a last stop.

    Args:
        seconds: (n_positions, n_positions) at [start, stop]; infinity where no stage can be.
        work: (n_positions, n_positions) for how long the device is busy; infinity where `seconds` is.
        fixed: Seconds that each stage takes beside those of its units.
        sums: (n_positions,)
    """
    n_positions = len(sums)
    sums[0] = 0.0
    for start in range(n_positions - 1):
        sums[start + 1] = sums[start] + (seconds[start, start + 1] - fixed)
    longest, wrong = 0.0, 0.0
    for start in range(n_positions - 1):
        for stop in range(start + 1, n_positions):
            value, busy = seconds[start, stop], work[start, stop]
            if stop > start + 1 and (busy < work[start, stop - 1] or busy < work[start + 1, stop]):
                return False
            if value < np.inf:
                longest = max(longest, value)
                wrong = max(wrong, abs(value - (fixed + sums[stop] - sums[start])))
    return wrong <= ROUNDING * longest


@compiled
def find_rest(chain: Chain, bound: float, rest: Rest) -> float:
    """Fills `rest` with the least seconds to come when no resource may be busier than `bound`.

    Returns:
        The least latency of all plans within rounding, infinity where there is none.
    """
    n_types = chain.sums.shape[0]
    _find_reach(chain, bound, rest.reach)
    for group in range(len(chain.edges) - 2, -1, -1):
        first, stop = chain.edges[group], chain.edges[group + 1]
        for row in range(first, stop):
            _find_after(chain, bound, rest, row)
        if chain.is_additive[chain.type_of[first]]:
            for row in range(first, stop):
                _slide(chain, rest, row)
        else:
            _scan(chain, bound, rest, first, stop)
    least = np.inf
    for kind in range(n_types):
        if chain.busy[n_types, kind, 0] <= bound:
            least = min(least, chain.hops[n_types, kind, 0] + rest.before[chain.first_row[kind], 0])
    return least


@compiled
def _find_reach(chain: Chain, bound: float, reach: IntArray) -> None:
    n_types, n_positions = chain.sums.shape
    for kind in range(n_types):
        stop = n_positions - 1
        for start in range(n_positions - 1, -1, -1):
            if not chain.is_additive[kind]:
                stop = n_positions - 1
            while stop > start and not chain.work[kind, start, stop] <= bound:
                stop -= 1
            reach[kind, start] = max(stop, start)


@compiled
def _find_after(chain: Chain, bound: float, rest: Rest, row: int) -> None:
    """`rest.after[row]` from `rest.before` of the rows with one device more."""
    n_types, n_positions = chain.sums.shape
    kind, end, after = chain.type_of[row], n_positions - 1, rest.after[row]
    after[:] = np.inf
    for target in range(n_types):
        following = chain.next_row[row, target]
        if following >= 0:
            before, hops, busy = rest.before[following], chain.hops[kind, target], chain.busy[kind, target]
            for position in range(1, end):
                value = before[position] + hops[position] if busy[position] <= bound else np.inf
                after[position] = min(after[position], value)
    if chain.busy[kind, n_types, end] <= bound:
        after[end] = chain.hops[kind, n_types, end]


@compiled
def _scan(chain: Chain, bound: float, rest: Rest, first: int, stop: int) -> None:
    """`rest.before` of the rows of a group, stop by stop: for stage times of any form."""
    kind, n_positions = chain.type_of[first], chain.sums.shape[1]
    for start in range(n_positions):
        nearest, end = start + 1, rest.reach[kind, start] + 1
        for row in range(first, stop):
            rest.before[row, start] = _least_sum(
                chain.seconds[kind, start, nearest:end],
                chain.work[kind, start, nearest:end],
                rest.after[row, nearest:end],
                bound,
            )


@compiled
def _least_sum(seconds: FloatArray, work: FloatArray, after: FloatArray, bound: float) -> float:
    least = np.inf
    for index in range(len(seconds)):
        value = seconds[index] + after[index] if work[index] <= bound else np.inf
        least = min(least, value)
    return least


@compiled
def _slide(chain: Chain, rest: Rest, row: int) -> None:
    """`rest.before[row]` in linear time, for additive stage times.

    Starts are taken from the last to the first, so that stops come in near the start and go out far from it. A stop
    waits in the queue as long as no nearer one is as good; the farthest in the queue is the best.
    """
    kind = chain.type_of[row]
    sums, reach, after, before = chain.sums[kind], rest.reach[kind], rest.after[row], rest.before[row]
    n_positions = len(sums)
    stops, values = np.empty(n_positions, dtype=np.int64), np.empty(n_positions)
    head, tail = 0, 0
    before[n_positions - 1] = np.inf
    for start in range(n_positions - 2, -1, -1):
        value = sums[start + 1] + after[start + 1]
        while tail > head and values[tail - 1] >= value:
            tail -= 1
        stops[tail], values[tail] = start + 1, value
        tail += 1
        while tail > head and stops[head] > reach[start]:
            head += 1
        before[start] = values[head] - sums[start] + chain.fixed[kind] if tail > head else np.inf
