"""A problem as the exact engine wants it: devices counted by type, and every state numbered.

Rows are sorted by the number of devices used, then by the type of the last stage's.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import numpy as np

from partitioner.errors import TooManyStatesError
from partitioner.front import BoolArray, FloatArray, IntArray
from partitioner.search.device_types import DeviceTypes, StageTypes, find_stage_types
from partitioner.search.exact.arrays import Chain
from partitioner.search.exact.rest import find_sums, is_steady
from partitioner.search.problem import SearchProblem

MOST_CELLS = 1 << 27
"""Most pairs of row and position; each wants 16 bytes, a few times."""
MOST_STATES = 1 << 56
"""Most combinations of used devices that are told apart by a number, one of the stages beside it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ExactTables:
    """A problem, numbered."""

    chain: Chain
    types: StageTypes

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rows, n_positions)."""
        return len(self.chain.type_of), self.chain.seconds.shape[1]

    @cached_property
    def longest_seconds(self) -> float:
        """The longest possible stage; 0 where none is possible."""
        seconds = self.chain.seconds
        return float(np.max(seconds, initial=0.0, where=np.isfinite(seconds)))


def build_tables(problem: SearchProblem) -> ExactTables:
    """Numbers the states of a problem.

    Raises:
        TooManyStatesError: There are too many for the memory of a usual machine.
    """
    types = find_stage_types(problem)
    _check_size(problem, types)
    seconds = _of_types(problem, types, problem.allowed_seconds)
    is_same = problem.work_seconds is problem.allowed_seconds
    work = seconds if is_same else _of_types(problem, types, problem.work_seconds)
    hops, busy = _link_tables(problem, types.members)
    type_of, next_row, first_row, edges = _number_rows(types, problem.max_stages)
    sums, begins, is_additive = _additive_parts(seconds)
    return ExactTables(
        types=types,
        chain=Chain(
            seconds=seconds,
            work=work,
            sums=sums,
            begins=begins,
            is_additive=is_additive,
            is_steady=np.array([is_steady(matrix) for matrix in work]),
            hops=hops,
            busy=busy,
            type_of=type_of,
            next_row=next_row,
            first_row=first_row,
            edges=edges,
        ),
    )


def _of_types(problem: SearchProblem, types: StageTypes, table: FloatArray) -> FloatArray:
    """(n_types, n_positions, n_positions) of a table of all devices and positions."""
    chosen = np.ascontiguousarray(table[[members[0] for members in types.members]])
    if len(problem.positions) > problem.n_units:
        return chosen
    return np.ascontiguousarray(chosen[:, problem.positions[:, None], problem.positions])


def _check_size(problem: SearchProblem, types: StageTypes) -> None:
    n_devices = sum(map(len, types.pools))
    can_count = prod(len(pool) + 1 for pool in types.pools) <= MOST_STATES
    n_cells = _count_rows(types, problem.max_stages if can_count else n_devices) * len(problem.positions)
    if n_cells > MOST_CELLS:
        raise TooManyStatesError(
            f"Engine 'exact' would need {n_cells:,} cells for {n_devices} devices of "
            f"{len(types.pools)} types and {len(problem.positions) - 2} split points, more than its {MOST_CELLS:,}: "
            f"allow fewer stages or split points, or use engine 'nsga2'."
        )


def _count_rows(types: StageTypes, max_stages: int) -> int:
    """How many rows `_number_rows` makes, crews reckoned as if any number of them could use any number of devices."""
    sizes = [len(pool) for pool in types.pools]
    is_limited = max_stages < sum(sizes)
    largest = max(size for _, size in types.uses)
    n_rows = 0
    for pool, size in types.uses:
        n_states = np.array([1], dtype=object)  # by the number of devices used beside the last stage's
        for index, n_devices in enumerate(sizes):
            n_left = n_devices - size if index == pool else n_devices
            n_states = np.convolve(n_states, np.ones(n_left + 1, dtype=object))
        for n_used, n in enumerate(n_states, start=size):
            n_counts = min(n_used, max_stages) - ceil(n_used / largest) + 1 if is_limited else 1
            n_rows += int(n) * max(0, n_counts)
    return n_rows


def link_ends(problem: SearchProblem, types: DeviceTypes) -> tuple[IntArray, IntArray]:
    """(source, target) devices whose link is that of two types, the client last; each (n_types + 1, n_types + 1)."""
    client = problem.n_devices
    sources = np.array([*(members[0] for members in types), client])
    targets = np.tile(sources, (len(sources), 1))
    np.fill_diagonal(targets, [*(members[-1] for members in types), client])
    return np.broadcast_to(sources[:, None], targets.shape), targets


def _link_tables(problem: SearchProblem, types: DeviceTypes) -> tuple[FloatArray, FloatArray]:
    """`hop_seconds` and `busy_seconds` between types, at the allowed positions; a pin is a missing link."""
    pairs = link_ends(problem, types)
    sources = pairs[0][:, 0]
    found = []
    for table in (problem.hop_seconds, problem.busy_seconds):
        links = np.ascontiguousarray(table[pairs][:, :, problem.positions])
        for pin, ends in ((problem.pinned_first, links[-1]), (problem.pinned_last, links[:, -1])):
            if pin is not None:
                ends[sources != pin] = np.inf
        found.append(links)
    return found[0], found[1]


def _number_rows(types: StageTypes, max_stages: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """`type_of`, `next_row`, `first_row` and `edges` of a `Chain`. A state is a number in mixed radix.

    Crews use several devices at once, so that a limit of the stages has to be counted apart: as one more pool, of which
    every stage uses one.
    """
    sizes = np.array([len(pool) for pool in types.pools], dtype=np.int64)
    uses = np.zeros((len(types.uses), len(sizes)), dtype=np.int64)
    for kind, (pool, size) in enumerate(types.uses):
        uses[kind, pool] = size
    if max_stages < sizes.sum():
        sizes, uses = np.append(sizes, max_stages), np.hstack([uses, np.ones((len(uses), 1), dtype=np.int64)])
    strides = np.cumprod(np.append(1, sizes + 1))[:-1]
    numbers, used = _reachable(sizes, uses, strides)
    n_used = used.sum(axis=1)
    state, last = np.nonzero(np.all(used[:, None, :] >= uses[None, :, :], axis=2))
    order = np.lexsort((state, last, n_used[state]))
    state, last = state[order], last[order]
    row_of = np.full((len(used), len(uses)), -1, dtype=np.int64)
    row_of[state, last] = np.arange(len(state))
    next_row = np.full((len(state), len(uses)), -1, dtype=np.int64)
    for kind, use in enumerate(uses):
        has_more = np.all(used[state] + use <= sizes, axis=1)
        following = np.searchsorted(numbers, numbers[state[has_more]] + use @ strides)
        next_row[has_more, kind] = row_of[following, kind]
    group = n_used[state] * len(uses) + last
    edges = np.flatnonzero(np.diff(group, prepend=-1, append=-1))
    first = np.searchsorted(numbers, uses @ strides)
    return last, next_row, row_of[first, np.arange(len(uses))], edges


def _reachable(sizes: IntArray, uses: IntArray, strides: IntArray) -> tuple[IntArray, IntArray]:
    """(n_states,) numbers of the states that stages can lead to, ascending, and (n_states, n_pools) what each uses."""
    found = [np.zeros(1, dtype=np.int64)]
    while len(found[-1]):
        used = found[-1][:, None] // strides % (sizes + 1)
        grown = [found[-1][np.all(used + use <= sizes, axis=1)] + use @ strides for use in uses]
        found.append(np.unique(np.concatenate(grown)))
    numbers = np.unique(np.concatenate(found))
    return numbers, numbers[:, None] // strides % (sizes + 1)


def _additive_parts(seconds: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """`sums`, `begins` and `is_additive` of a `Chain`. What a stage takes beside its units shows where two join."""
    n_types, n_positions, _ = seconds.shape
    sums, begins = np.zeros((n_types, n_positions)), np.zeros((n_types, n_positions))
    is_additive = np.zeros(n_types, dtype=np.bool_)
    for kind, matrix in enumerate(seconds):
        steps, pairs = np.diagonal(matrix, 1), np.diagonal(matrix, 2)
        if np.all(np.isfinite(steps)):
            is_known = np.isfinite(pairs)
            joined = steps[:-1] + steps[1:] - np.where(is_known, pairs, 0.0)
            usual = np.median(joined[is_known]) if is_known.any() else 0.0
            is_additive[kind] = find_sums(matrix, np.where(is_known, joined, usual), sums[kind], begins[kind])
    return sums, begins, is_additive
