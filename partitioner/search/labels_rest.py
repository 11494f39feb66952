"""The least rest of plans for one weighted sum or one peak: the dynamic programmes that guide labels."""

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.compiled import compiled
from partitioner.search.labels_arrays import Costs


@compiled
def find_least(
    costs: Costs, stage: FloatArray, hop: FloatArray, is_peak: bool, before: FloatArray, after: FloatArray
) -> float:  # noqa: E501
    """Fills `before` and `after` of one guide.

    Args:
        costs: The rows.
        stage: (n_types, n_positions, n_positions) at [type, start, stop]; infinity where none can be.
        hop: (n_types + 1, n_types + 1, n_positions) at [source, target, position]; infinity where none can be.
        is_peak: Whether the largest counts, not the sum.
        before: (n_rows, n_positions)
        after: (n_rows, n_positions)

    Returns:
        The least of all plans within rounding, infinity where there is none.
    """
    n_types = stage.shape[0]
    for group in range(len(costs.edges) - 2, -1, -1):
        first, stop = costs.edges[group], costs.edges[group + 1]
        for row in range(first, stop):
            _find_after(costs, hop, is_peak, before, after, row)
        _find_before(stage[costs.type_of[first]], is_peak, before, after, first, stop)
    least = np.inf
    for kind in range(n_types):
        entry, rest = hop[n_types, kind, 0], before[costs.first_row[kind], 0]
        least = min(least, max(entry, rest) if is_peak else entry + rest)
    return least


@compiled
def _find_after(costs: Costs, hop: FloatArray, is_peak: bool, before: FloatArray, after: FloatArray, row: int) -> None:
    n_types, end = hop.shape[0] - 1, hop.shape[2] - 1
    kind, found = costs.type_of[row], after[row]
    found[:] = np.inf
    for target in range(n_types):
        following = costs.next_row[row, target]
        if following >= 0:
            rest, link = before[following], hop[kind, target]
            if is_peak:
                for position in range(1, end):
                    found[position] = min(found[position], max(rest[position], link[position]))
            else:
                for position in range(1, end):
                    found[position] = min(found[position], rest[position] + link[position])
    found[end] = hop[kind, n_types, end]


@compiled
def _find_before(
    stage: FloatArray, is_peak: bool, before: FloatArray, after: FloatArray, first: int, stop: int
) -> None:
    n_positions = stage.shape[0]
    for start in range(n_positions):
        seconds = stage[start, start + 1 :]
        for row in range(first, stop):
            before[row, start] = _least(seconds, after[row, start + 1 :], is_peak)


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
def trace_least(
    costs: Costs,
    stage: FloatArray,
    hop: FloatArray,
    before: FloatArray,
    after: FloatArray,
    kinds: IntArray,
    stops: IntArray,
) -> int:  # noqa: E501
    """Fills `kinds` and `stops` with the types and last positions of the stages of a plan of the least sum.

    Returns:
        Number of stages; 0 where no plan is possible.
    """
    n_types, end = hop.shape[0] - 1, hop.shape[2] - 1
    n_stages, row, position, source = 0, -1, 0, n_types
    while position < end:
        least, chosen, chosen_row = np.inf, -1, -1
        for kind in range(n_types):
            following = costs.first_row[kind] if row < 0 else costs.next_row[row, kind]
            if following >= 0 and hop[source, kind, position] + before[following, position] < least:
                least = hop[source, kind, position] + before[following, position]
                chosen, chosen_row = kind, following
        if chosen < 0:
            return 0
        least, best = np.inf, -1
        for stop in range(position + 1, end + 1):
            if stage[chosen, position, stop] + after[chosen_row, stop] < least:
                least, best = stage[chosen, position, stop] + after[chosen_row, stop], stop
        kinds[n_stages], stops[n_stages] = chosen, best
        n_stages += 1
        row, source, position = chosen_row, chosen, best
    return n_stages
