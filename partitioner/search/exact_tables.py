"""The states of the exact engine, numbered, and the problem as its kernel wants it.

A row is a pair (used, last): how many devices of each type are used, and the type of the last of them. Rows are sorted
by the number of devices used, then by the last type.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np

from partitioner.errors import PlanError
from partitioner.front import BoolArray, FloatArray, IntArray
from partitioner.search.device_types import DeviceTypes, find_device_types
from partitioner.search.problem import SearchProblem

MOST_CELLS = 1 << 27
"""Most pairs of row and position; each wants 16 bytes, a few times."""
ROUNDING = 1e-12
"""Stage times are called additive when they are within this of being so, relative to the longest."""


class Chain(NamedTuple):
    """What the kernel reads. Positions are indices into the allowed ones; the client is the type n_types."""

    seconds: FloatArray
    """(n_types, n_positions, n_positions) at [type, start, stop]; infinity where no stage can be."""
    sums: FloatArray
    """(n_types, n_positions) s where seconds[a, b] = fixed + s[b] - s[a], for types that are additive."""
    fixed: FloatArray
    """(n_types,)"""
    is_additive: BoolArray
    """(n_types,); the others are scanned stop by stop."""
    hops: FloatArray
    """(n_types + 1, n_types + 1, n_positions) seconds at [source, target, position]; a pin forbids other ends."""
    busy: FloatArray
    """Like `hops`: for how long the link is busy."""
    type_of: IntArray
    """(n_rows,) the last type of each row."""
    next_row: IntArray
    """(n_rows, n_types) the row after one more device of a type; -1 where there is none left or too many stages."""
    first_row: IntArray
    """(n_types,) the row of one device of the type."""
    edges: IntArray
    """(n_groups + 1,) where the rows of one size and type begin."""


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
    seconds = problem.allowed_seconds[[members[0] for members in types]]
    if len(problem.positions) <= problem.n_units:
        seconds = seconds[:, problem.positions[:, None], problem.positions]
    hops, busy = _link_tables(problem, types)
    type_of, next_row, first_row, edges = _number_rows(sizes, problem.max_stages)
    sums, fixed, is_additive = _additive_parts(seconds)
    return ExactTables(
        types=types,
        chain=Chain(
            seconds=np.ascontiguousarray(seconds),
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
    """`sums`, `fixed` and `is_additive` of a `Chain`, read off the stages between neighbours and next neighbours."""
    n_types, n_positions, _ = seconds.shape
    sums, fixed = np.zeros((n_types, n_positions)), np.zeros(n_types)
    is_additive = np.zeros(n_types, dtype=np.bool_)
    for kind, matrix in enumerate(seconds):
        steps, pairs = np.diagonal(matrix, 1), np.diagonal(matrix, 2)
        if np.all(np.isfinite(steps)):
            overlaps = (steps[:-1] + steps[1:] - pairs)[np.isfinite(pairs)]
            fixed[kind] = np.median(overlaps) if len(overlaps) else 0.0
            sums[kind, 1:] = np.cumsum(steps - fixed[kind])
            is_additive[kind] = _is_sum(matrix, sums[kind], fixed[kind])
    return sums, fixed, is_additive


def _is_sum(matrix: FloatArray, sums: FloatArray, fixed: float) -> bool:
    """Whether times are additive within rounding, and no shorter, to the last bit, where a stage is longer."""
    scale, wrong = 0.0, 0.0
    for start in range(len(sums) - 1):
        row = matrix[start, start + 1 :]
        if np.any(row[1:] < row[:-1]) or np.any(matrix[start + 1, start + 2 :] > row[1:]):
            return False
        possible = row[: int(np.searchsorted(row, np.inf))]
        if len(possible):
            estimate = sums[start + 1 : start + 1 + len(possible)] - sums[start] + fixed
            scale, wrong = max(scale, float(possible[-1])), max(wrong, float(np.max(np.abs(possible - estimate))))
    return wrong <= ROUNDING * scale
