"""Partial plans, stage by stage, inside one box: the compiled loops of the engine `labels`."""

from typing import NamedTuple

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.compiled import compiled
from partitioner.search.labels.arrays import Box, Labels

BLOCK = 16
"""Gaps that are looked at together."""


class Arrival(NamedTuple):
    """The last device of a row has its input at a position; its figures are in a scratch array."""

    row: int
    position: int
    spent: float
    parent: int


@compiled
def begin_labels(box: Box, labels: Labels) -> int:
    """Adds all partial plans of one stage; returns their number, more than the capacity where they had no room."""
    n_types, n_figures = len(box.costs.first_row), box.costs.hop.shape[3]
    scratch = box.scratch
    n_labels = 0
    for kind in range(n_types):
        for figure in range(n_figures):
            scratch[0, figure] = box.costs.hop[n_types, kind, 0, figure]
        arrival = Arrival(row=box.costs.first_row[kind], position=0, spent=1.0, parent=-1)
        n_labels = _add_stages(box, labels, n_labels, arrival)
    return n_labels


@compiled
def extend_labels(box: Box, labels: Labels, cursor: IntArray, n_labels: int, n_steps: int) -> int:
    """Goes on from a row to the next ones, for at least `n_steps` labels or until all rows are done.

    All that leads to a row comes from rows before it, so that whatever another label dominates is never gone on from.

    Args:
        box: What is searched.
        labels: Filled further.
        cursor: (1,) the next row; moved.
        n_labels: So many are there.
        n_steps: Labels to go on from.

    Returns:
        Number of labels; more than the capacity where they had no room, and then they are not all.
    """
    costs, capacity = box.costs, len(labels.spent)
    n_rows, end, n_done = len(costs.type_of), costs.stage.shape[1] - 1, 0
    while cursor[0] < n_rows and n_done < n_steps and n_labels <= capacity:
        row = cursor[0]
        for position in range(1, end):
            label = int(labels.heads[row, position])
            while label >= 0 and n_labels <= capacity:
                n_labels = _go_on(box, labels, n_labels, label)
                n_done += 1
                label = int(labels.link[label])
        cursor[0] += 1
    return n_labels


@compiled
def clear_heads(labels: Labels, n_labels: int) -> None:
    """Makes `heads` empty again."""
    for label in range(n_labels):
        labels.heads[labels.row[label], labels.position[label]] = -1


@compiled
def _go_on(box: Box, labels: Labels, n_labels: int, label: int) -> int:
    costs = box.costs
    row, position = int(labels.row[label]), int(labels.position[label])
    kind, n_figures, n_sums = costs.type_of[row], costs.hop.shape[3], costs.n_sums
    scratch = box.scratch
    for target in range(len(costs.first_row)):
        following = costs.next_row[row, target]
        if following >= 0:
            for figure in range(n_figures):
                had, hop = labels.figures[label, figure], costs.hop[kind, target, position, figure]
                scratch[0, figure] = had + hop if figure < n_sums else max(had, hop)
            arrival = Arrival(row=following, position=position, spent=labels.spent[label], parent=label)
            n_labels = _add_stages(box, labels, n_labels, arrival)
    return n_labels


@compiled
def _add_stages(box: Box, labels: Labels, n_labels: int, arrival: Arrival) -> int:
    """Adds a label for each stage that begins with an arrival; returns the number of labels."""
    costs, guides, row, start = box.costs, box.guides, arrival.row, arrival.position
    scratch = box.scratch
    n_figures, n_sums, capacity = costs.hop.shape[3], costs.n_sums, len(labels.spent)
    if not _is_wanted(box, guides.before[row, start], scratch[0], arrival.spent, scratch[2]):
        return n_labels
    kind = costs.type_of[row]
    for stop in range(start + 1, costs.stage.shape[1]):
        for figure in range(n_figures):
            had, stage = scratch[0, figure], costs.stage[kind, start, stop, figure]
            scratch[1, figure] = had + stage if figure < n_sums else max(had, stage)
        if _is_wanted(box, guides.after[row, stop], scratch[1], arrival.spent, scratch[2]):
            spent = _settled(box, labels, row, stop, arrival.spent)
            if spent > 0.0:
                if n_labels >= capacity:
                    return capacity + 1
                for figure in range(n_figures):
                    labels.figures[n_labels, figure] = scratch[1, figure]
                labels.spent[n_labels], labels.parent[n_labels] = spent, arrival.parent
                labels.row[n_labels], labels.position[n_labels] = row, stop
                labels.link[n_labels] = labels.heads[row, stop]
                labels.heads[row, stop] = n_labels
                n_labels += 1
    return n_labels


@compiled
def _is_wanted(box: Box, rest: FloatArray, figures: FloatArray, spent: float, bounds: FloatArray) -> bool:
    """Whether a plan that goes on from here may fall into a gap; leaves the least of each guide in `bounds`."""
    guides, gaps, n_sums = box.guides, box.gaps, box.costs.n_sums
    if not figures[0] < np.inf or (box.swept >= 0 and figures[box.swept] > box.cap):
        return False
    factor, n_guides = box.allowance / spent, len(guides.peak)
    for guide in range(n_guides):
        least = rest[guide]
        if guides.peak[guide] >= 0:
            least = max(least, figures[guides.peak[guide]])
        else:
            for figure in range(n_sums):
                least += guides.weights[guide, figure] * figures[figure]
        if not least <= gaps.hard[guide]:
            return False
        bounds[guide] = least if guides.peak[guide] >= 0 else least * factor
        if not bounds[guide] < gaps.ceiling[guide]:
            return False
    for block in range(len(gaps.largest)):
        if _is_below(bounds, gaps.largest[block], n_guides):
            for gap in range(block * BLOCK, (block + 1) * BLOCK):
                if _is_below(bounds, gaps.thresholds[gap], n_guides):
                    return True
    return False


@compiled
def _is_below(bounds: FloatArray, thresholds: FloatArray, n_guides: int) -> bool:
    """Whether all is below."""
    guide = 0
    while guide < n_guides and bounds[guide] < thresholds[guide]:
        guide += 1
    return guide == n_guides


@compiled
def _settled(box: Box, labels: Labels, row: int, position: int, spent: float) -> float:
    """What a new label has spent after taking off those for which it stands; 0 where another stands for it.

    The label's figures are in the second row of the scratch, what its guides say in the third.
    """
    scratch = box.scratch
    before, label = -1, int(labels.heads[row, position])
    while label >= 0:
        stood = spent * _excess(box, labels.figures[label], scratch[1], scratch[2])
        if stood <= max(box.lenience, labels.spent[label]):
            labels.spent[label] = max(labels.spent[label], stood)
            return 0.0
        following = int(labels.link[label])
        stood = labels.spent[label] * _excess(box, scratch[1], labels.figures[label], scratch[2])
        if stood <= max(box.lenience, spent):
            spent = max(spent, stood)
            if before < 0:
                labels.heads[row, position] = following
            else:
                labels.link[before] = following
        else:
            before = label
        label = following
    return spent


@compiled
def _excess(box: Box, one: FloatArray, other: FloatArray, bounds: FloatArray) -> float:
    """Factor by which plans of `one` may exceed those of `other` in a sum; a huge one where it may not stand for it.

    A sum of the whole plan is `bounds` at least: it belongs to the guide of the figure's own number.
    """
    factor = 1.0
    for figure in range(box.costs.n_sums):
        if one[figure] > other[figure]:
            if box.is_hard[figure] or box.allowance <= 1.0:
                return 1e300
            whole = bounds[figure] / box.allowance - abs(one[figure] - other[figure])
            if whole <= 0.0:
                return 1e300
            factor = max(factor, 1.0 + (one[figure] - other[figure]) / whole)
    for figure in range(box.costs.n_sums, len(one)):
        if one[figure] > other[figure] and not (figure == box.swept and one[figure] <= box.floor):
            return 1e300
    return factor
