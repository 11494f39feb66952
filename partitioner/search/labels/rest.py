"""The least rest of plans for one weighted sum or one peak: the dynamic programmes that guide labels."""

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.compiled import compiled
from partitioner.search.labels.arrays import Costs, Table


@compiled
def find_least(costs: Costs, table: Table) -> float:
    """Fills `before` and `after` of a table.

    Returns:
        The least of all plans within rounding, infinity where there is none.
    """
    n_types = table.stage.shape[0]
    for group in range(len(costs.edges) - 2, -1, -1):
        first, stop = costs.edges[group], costs.edges[group + 1]
        for row in range(first, stop):
            _find_after(costs, table, row)
        _find_before(table, costs.type_of[first], first, stop)
    least = np.inf
    for kind in range(n_types):
        entry, rest = table.hop[n_types, kind, 0], table.before[costs.first_row[kind], 0]
        least = min(least, max(entry, rest) if table.is_peak else entry + rest)
    return least


@compiled
def _find_after(costs: Costs, table: Table, row: int) -> None:
    """`after` of a row from `before` of those that follow it."""
    n_types, end = table.hop.shape[0] - 1, table.hop.shape[2] - 1
    kind, found = costs.type_of[row], table.after[row]
    found[:] = np.inf
    for target in range(n_types):
        following = costs.next_row[row, target]
        if following >= 0:
            rest, link = table.before[following], table.hop[kind, target]
            if table.is_peak:
                for position in range(1, end):
                    found[position] = min(found[position], max(rest[position], link[position]))
            else:
                for position in range(1, end):
                    found[position] = min(found[position], rest[position] + link[position])
    found[end] = table.hop[kind, n_types, end]


@compiled
def _find_before(table: Table, kind: int, first: int, stop: int) -> None:
    """`before` of the rows of a group: those from `first` to `stop`, all of one type."""
    for start in range(table.stage.shape[1]):
        stage = table.stage[kind, start, start + 1 :]
        for row in range(first, stop):
            table.before[row, start] = _least(stage, table.after[row, start + 1 :], table.is_peak)


@compiled
def _least(stage: FloatArray, after: FloatArray, is_peak: bool) -> float:
    least = np.inf
    if is_peak:
        for index in range(len(stage)):
            least = min(least, max(stage[index], after[index]))
    else:
        for index in range(len(stage)):
            least = min(least, stage[index] + after[index])
    return least


@compiled
def trace_least(costs: Costs, table: Table, kinds: IntArray, stops: IntArray) -> int:
    """Fills `kinds` and `stops` with the types and last positions of the stages of a plan of the least sum.

    Returns:
        Number of stages; 0 where no plan is possible.
    """
    n_types, end = table.hop.shape[0] - 1, table.hop.shape[2] - 1
    n_stages, row, position, source = 0, -1, 0, n_types
    while position < end:
        least, chosen, chosen_row = np.inf, -1, -1
        for kind in range(n_types):
            following = costs.first_row[kind] if row < 0 else costs.next_row[row, kind]
            if following >= 0 and table.hop[source, kind, position] + table.before[following, position] < least:
                least = table.hop[source, kind, position] + table.before[following, position]
                chosen, chosen_row = kind, following
        if chosen < 0:
            return 0
        least, best = np.inf, -1
        for stop in range(position + 1, end + 1):
            value = table.stage[chosen, position, stop] + table.after[chosen_row, stop]
            if value < least:
                least, best = value, stop
        kinds[n_stages], stops[n_stages] = chosen, best
        n_stages += 1
        row, source, position = chosen_row, chosen, best
    return n_stages
