"""The least latency still to come: the dynamic programme that steers the exact engine."""

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.compiled import compiled
from partitioner.search.exact.arrays import Chain, Rest

ROUNDING = 1e-12
"""Stage times are additive when they are within this of being so, relative to the longest."""


@compiled
def find_sums(seconds: FloatArray, joined: FloatArray, sums: FloatArray, begins: FloatArray) -> bool:
    """Whether the stage times of a device are additive; fills the two so that seconds[a, b] = sums[b] - begins[a].

    Possible stages must reach from each position up to a last stop, and no further from an earlier one.

    Args:
        seconds: (n_positions, n_positions) at [start, stop]; infinity where no stage can be.
        joined: (n_positions - 2,) what two stages that meet at a position take more than one in their place.
        sums: (n_positions,)
        begins: (n_positions,)
    """
    n_positions = len(sums)
    sums[0] = begins[0] = 0.0
    for start in range(n_positions - 1):
        sums[start + 1] = begins[start] + seconds[start, start + 1]
        if start < n_positions - 2:
            begins[start + 1] = sums[start + 1] - joined[start]
    longest, wrong = 0.0, 0.0
    for start in range(n_positions - 1):
        for stop in range(start + 1, n_positions):
            value = seconds[start, stop]
            if value < np.inf:
                if stop > start + 1 and not max(seconds[start, stop - 1], seconds[start + 1, stop]) < np.inf:
                    return False
                longest = max(longest, value)
                wrong = max(wrong, abs(value - (sums[stop] - begins[start])))
    return wrong <= ROUNDING * longest


@compiled
def is_steady(work: FloatArray) -> bool:
    """Whether a longer stage never keeps a device less busy, to the last bit.

    Args:
        work: (n_positions, n_positions) busy seconds at [start, stop]; infinity where no stage can be.
    """
    n_positions = len(work)
    for start in range(n_positions - 1):
        for stop in range(start + 2, n_positions):
            if work[start, stop] < work[start, stop - 1] or work[start, stop] < work[start + 1, stop]:
                return False
    return True


@compiled
def find_rest(chain: Chain, bound: float, rest: Rest) -> float:
    """Fills `rest` with the least seconds to come when no resource may be busier than `bound`.

    Returns:
        The least latency of all plans within rounding, infinity where there is none.
    """
    n_types = chain.sums.shape[0]
    _find_reach(chain, bound, rest.reach)
    _find_clear(chain, bound, rest)
    for group in range(len(chain.edges) - 2, -1, -1):
        first, stop = chain.edges[group], chain.edges[group + 1]
        for row in range(first, stop):
            _find_after(chain, bound, rest, row)
        if chain.is_additive[chain.type_of[first]]:
            for row in range(first, stop):
                _slide(chain, bound, rest, row)
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
            if not chain.is_steady[kind]:
                stop = n_positions - 1
            while stop > start and not chain.work[kind, start, stop] <= bound:
                stop -= 1
            reach[kind, start] = max(stop, start)


@compiled
def _find_clear(chain: Chain, bound: float, rest: Rest) -> None:
    n_types, n_positions = chain.sums.shape
    for kind in range(n_types):
        last = n_positions - 1
        for start in range(n_positions - 1, -1, -1):
            if chain.is_steady[kind]:
                last = rest.reach[kind, start]
            else:
                stop = start + 1
                while stop <= last and chain.work[kind, start, stop] <= bound:
                    stop += 1
                last = stop - 1
            rest.clear[kind, start] = last


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
def _slide(chain: Chain, bound: float, rest: Rest, row: int) -> None:
    """`rest.before[row]` for additive stage times: in linear time, but for stops beyond `rest.clear`.

    Starts are taken from the last to the first, so that stops come in near the start and go out far from it. A stop
    waits in the queue as long as no nearer one is as good; the farthest in the queue is the best.
    """
    kind = chain.type_of[row]
    sums, begins, clear = chain.sums[kind], chain.begins[kind], rest.clear[kind]
    after, before = rest.after[row], rest.before[row]
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
        while tail > head and stops[head] > clear[start]:
            head += 1
        least = values[head] - begins[start] if tail > head else np.inf
        beyond, end = clear[start] + 1, rest.reach[kind, start] + 1
        if beyond < end:
            seconds, work = chain.seconds[kind, start, beyond:end], chain.work[kind, start, beyond:end]
            least = min(least, _least_sum(seconds, work, after[beyond:end], bound))
        before[start] = least
