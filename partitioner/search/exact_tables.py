"""A problem as the exact engine wants it: devices counted by type, and every state numbered.

Rows are sorted by the number of devices used, then by the type of the last of them.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from partitioner.errors import PlanError
from partitioner.front import BoolArray, FloatArray, IntArray
from partitioner.search.device_types import DeviceTypes, find_device_types
from partitioner.search.exact_arrays import Chain
from partitioner.search.exact_rest import find_sums
from partitioner.search.problem import SearchProblem

MOST_CELLS = 1 << 27
"""Most pairs of row and position; each wants 16 bytes, a few times."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ExactTables:
    """A problem, numbered."""

    chain: Chain
    types: DeviceTypes

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
        PlanError: There are too many for the memory of a usual machine.
    """
    types = find_device_types(problem)
    sizes = np.array([len(members) for members in types], dtype=np.int64)
    _check_size(problem, sizes)
    seconds = np.ascontiguousarray(problem.allowed_seconds[[members[0] for members in types]])
    if len(problem.positions) <= problem.n_units:
        seconds = np.ascontiguousarray(seconds[:, problem.positions[:, None], problem.positions])
    hops, busy = _link_tables(problem, types)
    type_of, next_row, first_row, edges = _number_rows(sizes, problem.max_stages)
    sums, fixed, is_additive = _additive_parts(seconds)
    return ExactTables(
        types=types,
        chain=Chain(
            seconds=seconds,
            sums=sums,
            fixed=fixed,
            is_additive=is_additive,
            hops=hops,
            busy=busy,
            type_of=type_of,
            next_row=next_row,
            first_row=first_row,
            edges=edges,
        ),
    )


def _check_size(problem: SearchProblem, sizes: IntArray) -> None:
    n_rows = sum(prod(int(size) + 1 for size in sizes) * int(size) // (int(size) + 1) for size in sizes)
    n_cells = n_rows * len(problem.positions)
    if n_cells > MOST_CELLS:
        raise PlanError(
            f"Engine 'exact' would need {n_cells:,} cells for {problem.n_devices} devices of {len(sizes)} types and "
            f"{len(problem.positions) - 2} split points, more than its {MOST_CELLS:,}: allow fewer split points, or "
            f"use engine 'nsga2'."
        )


def _link_tables(problem: SearchProblem, types: DeviceTypes) -> tuple[FloatArray, FloatArray]:
    """`hop_seconds` and `busy_seconds` between types, at the allowed positions; a pin is a missing link."""
    client = problem.n_devices
    sources = np.array([*(members[0] for members in types), client])
    targets = np.tile(sources, (len(sources), 1))
    np.fill_diagonal(targets, [*(members[-1] for members in types), client])
    found = []
    for table in (problem.hop_seconds, problem.busy_seconds):
        links = np.ascontiguousarray(table[sources[:, None], targets][:, :, problem.positions])
        for pin, ends in ((problem.pinned_first, links[-1]), (problem.pinned_last, links[:, -1])):
            if pin is not None:
                ends[sources != pin] = np.inf
        found.append(links)
    return found[0], found[1]


def _number_rows(sizes: IntArray, max_stages: int) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """`type_of`, `next_row`, `first_row` and `edges` of a `Chain`. A state is a number in mixed radix."""
    n_types = len(sizes)
    strides = np.cumprod(np.append(1, sizes + 1))[:-1]
    used = np.arange(int(np.prod(sizes + 1)))[:, None] // strides % (sizes + 1)
    n_used = used.sum(axis=1)
    state, last = np.nonzero((used > 0) & (n_used <= max_stages)[:, None])
    order = np.lexsort((state, last, n_used[state]))
    state, last = state[order], last[order]
    row_of = np.full((len(used), n_types), -1, dtype=np.int64)
    row_of[state, last] = np.arange(len(state))
    next_row = np.full((len(state), n_types), -1, dtype=np.int64)
    for kind in range(n_types):
        has_more = used[state, kind] < sizes[kind]
        next_row[has_more, kind] = row_of[state[has_more] + strides[kind], kind]
    group = n_used[state] * n_types + last
    edges = np.flatnonzero(np.diff(group, prepend=-1, append=-1))
    return last, next_row, row_of[strides, np.arange(n_types)], edges


def _additive_parts(seconds: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """`sums`, `fixed` and `is_additive` of a `Chain`. What a stage takes beside its units shows where two join."""
    n_types, n_positions, _ = seconds.shape
    sums, fixed = np.zeros((n_types, n_positions)), np.zeros(n_types)
    is_additive = np.zeros(n_types, dtype=np.bool_)
    for kind, matrix in enumerate(seconds):
        steps, pairs = np.diagonal(matrix, 1), np.diagonal(matrix, 2)
        if np.all(np.isfinite(steps)):
            joined = (steps[:-1] + steps[1:] - pairs)[np.isfinite(pairs)]
            fixed[kind] = np.median(joined) if len(joined) else 0.0
            is_additive[kind] = find_sums(matrix, fixed[kind], sums[kind])
    return sums, fixed, is_additive
