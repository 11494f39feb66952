"""The inner loops of the exact engine, compiled by numba: the only module that imports it.

Compiled code is kept on disk, beside the source or where numba keeps it. All arrays belong to the caller; the
interpreter's lock is released.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

from partitioner.front import BoolArray, FloatArray, IntArray
from partitioner.search.exact_tables import Chain

Function = TypeVar("Function", bound=Callable[..., Any])
IndexArray = npt.NDArray[np.int32]


def _compiled(function: Function) -> Function:
    """Without NaN and signed zeros, which never arise, minima use the processor's vectors; sums keep their order."""
    options = {"nogil": True, "fastmath": {"nnan", "nsz"}}
    try:
        compiled: Function = njit(cache=True, **options)(function)
    except RuntimeError:  # numba finds no folder that it may write to
        compiled = njit(**options)(function)
    return compiled


class Rest(NamedTuple):
    """Least seconds still to come under a bound, within rounding; devices already used are not used again."""

    before: FloatArray
    """(n_rows, n_positions) until the client has the answer, when the last device has its input, at a position."""
    after: FloatArray
    """(n_rows, n_positions) the same when the last device has computed up to a position."""
    reach: IntArray
    """(n_types, n_positions) last stop of a stage from each position; the position itself where there is none."""


class Labels(NamedTuple):
    """Partial plans: each ends with a stage. All but `heads` are (capacity,)."""

    latency: FloatArray
    """Exact, summed in the order of the flow."""
    peak: FloatArray
    """Seconds for which the busiest resource so far is busy."""
    row: IndexArray
    position: IndexArray
    parent: IndexArray
    """The label before the last stage, or -1."""
    link: IndexArray
    """The next label of the same row and position, or -1."""
    is_alive: BoolArray
    """False for those that another label dominates."""
    heads: IndexArray
    """(n_rows, n_positions) first label of a row and position; -1 everywhere between calls."""


@_compiled
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


@_compiled
def _find_reach(chain: Chain, bound: float, reach: IntArray) -> None:
    n_types, n_positions = chain.sums.shape
    for kind in range(n_types):
        stop = n_positions - 1
        for start in range(n_positions - 1, -1, -1):
            if not chain.is_additive[kind]:
                stop = n_positions - 1
            while stop > start and not chain.seconds[kind, start, stop] <= bound:
                stop -= 1
            reach[kind, start] = max(stop, start)


@_compiled
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


@_compiled
def _scan(chain: Chain, bound: float, rest: Rest, first: int, stop: int) -> None:
    """`rest.before` of the rows of a group, stop by stop: for stage times of any form."""
    kind, n_positions = chain.type_of[first], chain.sums.shape[1]
    for start in range(n_positions):
        nearest, end = start + 1, rest.reach[kind, start] + 1
        for row in range(first, stop):
            rest.before[row, start] = _least_sum(
                chain.seconds[kind, start, nearest:end], rest.after[row, nearest:end], bound
            )


@_compiled
def _least_sum(seconds: FloatArray, after: FloatArray, bound: float) -> float:
    least = np.inf
    for index in range(len(seconds)):
        value = seconds[index] + after[index] if seconds[index] <= bound else np.inf
        least = min(least, value)
    return least


@_compiled
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


@_compiled
def find_labels(chain: Chain, bound: float, ceiling: float, rest: Rest, labels: Labels) -> int:
    """Fills `labels` with all partial plans that matter: none dominates another of the same row and position.

    Args:
        chain: The problem.
        bound: No resource is busier than this many seconds.
        ceiling: No plan takes longer than this many seconds.
        rest: What `find_rest` found for the bound.
        labels: Room; plans that end at the last position lack the hop to the client.

    Returns:
        Number of labels; more than the capacity where they had no room, and then they are not all.
    """
    n_types, end = chain.sums.shape[0], chain.sums.shape[1] - 1
    n_labels, label, capacity = 0, 0, len(labels.latency)
    for kind in range(n_types):
        hop, busy, row = chain.hops[n_types, kind, 0], chain.busy[n_types, kind, 0], chain.first_row[kind]
        if busy <= bound and hop + rest.before[row, 0] <= ceiling:
            n_labels = _add_stages(chain, bound, ceiling, rest, labels, n_labels, row, 0, hop, busy, -1)
    while label < n_labels <= capacity:
        row, position = labels.row[label], labels.position[label]
        kind = chain.type_of[row]
        if labels.is_alive[label] and position < end:
            for target in range(n_types):
                following, busy = chain.next_row[row, target], chain.busy[kind, target, position]
                latency = labels.latency[label] + chain.hops[kind, target, position]
                if following >= 0 and busy <= bound and latency + rest.before[following, position] <= ceiling:
                    peak = max(labels.peak[label], busy)
                    n_labels = _add_stages(
                        chain, bound, ceiling, rest, labels, n_labels, following, position, latency, peak, label
                    )
        label += 1
    for label in range(min(n_labels, capacity)):
        labels.heads[labels.row[label], labels.position[label]] = -1
    return n_labels


@_compiled
def _add_stages(
    chain: Chain,
    bound: float,
    ceiling: float,
    rest: Rest,
    labels: Labels,
    n_labels: int,
    row: int,
    start: int,
    latency: float,
    peak: float,
    parent: int,
) -> int:
    """Adds a label for each stage that begins at `start` on the last device of `row`; returns the number of labels."""
    kind, capacity = chain.type_of[row], len(labels.latency)
    seconds, after = chain.seconds[kind, start], rest.after[row]
    for stop in range(start + 1, rest.reach[kind, start] + 1):
        arrival, busiest = latency + seconds[stop], max(peak, seconds[stop])
        is_possible = seconds[stop] <= bound and arrival + after[stop] <= ceiling
        if is_possible and _is_new(labels, row, stop, arrival, busiest):
            if n_labels >= capacity:
                return capacity + 1
            labels.latency[n_labels], labels.peak[n_labels] = arrival, busiest
            labels.row[n_labels], labels.position[n_labels] = row, stop
            labels.parent[n_labels], labels.is_alive[n_labels] = parent, True
            labels.link[n_labels] = labels.heads[row, stop]
            labels.heads[row, stop] = n_labels
            n_labels += 1
    return n_labels


@_compiled
def _is_new(labels: Labels, row: int, position: int, latency: float, peak: float) -> bool:
    """Whether no label of the row and position is at least as good; takes those off that are no better."""
    before, label = -1, labels.heads[row, position]
    while label >= 0:
        if labels.latency[label] <= latency and labels.peak[label] <= peak:
            return False
        if latency <= labels.latency[label] and peak <= labels.peak[label]:
            labels.is_alive[label] = False
            if before < 0:
                labels.heads[row, position] = labels.link[label]
            else:
                labels.link[before] = labels.link[label]
        else:
            before = label
        label = labels.link[label]
    return True
