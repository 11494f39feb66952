"""Partial plans, stage by stage, inside one box: the compiled loops of the engine `labels`."""

from typing import NamedTuple

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.compiled import compiled
from partitioner.search.labels.arrays import Box, Labels

BLOCK = 16
"""Gaps that are looked at together."""


HUGE = 1e300
"""A factor that nobody may spend."""


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
    row, start, parent, spent, n_sums = arrival.row, arrival.position, arrival.parent, arrival.spent, box.costs.n_sums
    after, weights, peak, gaps, scratch = box.guides.after, box.guides.weights, box.guides.peak, box.gaps, box.scratch
    swept, cap, factor, capacity = box.swept, box.cap, box.allowance / spent, len(labels.spent)
    limits, largest, thresholds, stage = gaps.limits, gaps.largest, gaps.thresholds, box.costs.stage
    kind, n_positions = box.costs.type_of[row], stage.shape[1]
    if not scratch[0, 0] < np.inf or (swept >= 0 and scratch[0, swept] > cap):
        return n_labels
    if not _is_near(box.guides.before, row, start, scratch, 0, weights, peak, limits, factor):
        return n_labels
    if not _is_wanted(scratch, largest, thresholds):
        return n_labels
    for stop in range(start + 1, n_positions):
        for figure in range(stage.shape[3]):
            had, cost = scratch[0, figure], stage[kind, start, stop, figure]
            scratch[1, figure] = had + cost if figure < n_sums else max(had, cost)
        if (
            scratch[1, 0] < np.inf
            and not (swept >= 0 and scratch[1, swept] > cap)
            and _is_near(after, row, stop, scratch, 1, weights, peak, limits, factor)
            and _is_wanted(scratch, largest, thresholds)
        ):
            settled = _settled(box, labels, row, stop, spent)
            if settled > 0.0:
                if n_labels >= capacity:
                    return capacity + 1
                _put(labels, n_labels, row, stop, scratch)
                labels.spent[n_labels], labels.parent[n_labels] = settled, parent
                n_labels += 1
    return n_labels


@compiled
def _put(labels: Labels, label: int, row: int, position: int, scratch: FloatArray) -> None:
    """Writes a label, the first of its row and position."""
    for figure in range(labels.figures.shape[1]):
        labels.figures[label, figure] = scratch[1, figure]
    labels.row[label], labels.position[label] = row, position
    labels.link[label] = labels.heads[row, position]
    labels.heads[row, position] = label


@compiled
def _is_near(  # noqa: PLR0917  plain arrays: a tuple of them would be taken apart at each of very many calls
    rest: FloatArray,
    row: int,
    position: int,
    scratch: FloatArray,
    line: int,
    weights: FloatArray,
    peak: IntArray,
    limits: FloatArray,
    factor: float,
) -> bool:
    """Whether each guide alone permits a plan that goes on from here; leaves what they say in the scratch.

    Args:
        rest: (n_rows, n_positions, n_guides) of the guides.
        row: Of the state.
        position: Of the state.
        scratch: Of the box.
        line: Of the scratch, that holds the figures so far.
        weights: (n_guides, n_figures) of the guides.
        peak: (n_guides,) of the guides.
        limits: (2, n_guides) of the gaps.
        factor: By which known plans may exceed what they cover in a sum.
    """
    for guide in range(len(peak)):
        least = rest[row, position, guide]
        if peak[guide] >= 0:
            least = max(least, scratch[line, peak[guide]])
            scratch[2, guide] = least
        else:
            for figure in range(weights.shape[1]):
                least += weights[guide, figure] * scratch[line, figure]
            scratch[2, guide] = least * factor
        if least > limits[0, guide] or scratch[2, guide] >= limits[1, guide]:
            return False
    return True


@compiled
def _is_wanted(scratch: FloatArray, largest: FloatArray, thresholds: FloatArray) -> bool:
    """Whether some gap is above all that the guides say, which the last row of the scratch holds."""
    for block in range(largest.shape[0]):
        if _is_below(scratch, largest, block):
            for gap in range(block * BLOCK, (block + 1) * BLOCK):
                if _is_below(scratch, thresholds, gap):
                    return True
    return False


@compiled
def _is_below(scratch: FloatArray, thresholds: FloatArray, gap: int) -> bool:
    """Whether all that the guides say is below a row of thresholds."""
    guide = 0
    while guide < thresholds.shape[1] and scratch[2, guide] < thresholds[gap, guide]:
        guide += 1
    return bool(guide == thresholds.shape[1])


@compiled
def _settled(box: Box, labels: Labels, row: int, position: int, spent: float) -> float:
    """What a new label has spent after taking off those for which it stands; 0 where another stands for it.

    The label's figures are in the second row of the scratch, what its guides say in the third.
    """
    floor, heads, link, others, figures = box.floor, labels.heads, labels.link, labels.spent, labels.figures
    scratch, is_hard, allowance, swept, n_sums = box.scratch, box.is_hard, box.allowance, box.swept, box.costs.n_sums
    before, label, lenience = -1, int(heads[row, position]), box.lenience
    while label >= 0:
        excess, saving = 1.0, 1.0
        for figure in range(figures.shape[1]):
            one, other = figures[label, figure], scratch[1, figure]
            if one != other:
                whole = scratch[2, figure] / allowance if figure < n_sums and not is_hard[figure] else 0.0
                ratio = _ratio(abs(one - other), whole)
                ratio = 1.0 if figure == swept and max(one, other) <= floor else ratio
                if one > other:
                    excess = max(excess, ratio)
                else:
                    saving = max(saving, ratio)
        following = int(link[label])
        if spent * excess <= max(lenience, others[label]):
            others[label] = max(others[label], spent * excess)
            if before >= 0:  # to the front: what comes next is like this
                link[before], link[label], heads[row, position] = following, heads[row, position], label
            return 0.0
        if others[label] * saving <= max(lenience, spent):
            spent = max(spent, others[label] * saving)
            if before < 0:
                heads[row, position] = following
            else:
                link[before] = following
        else:
            before = label
        label = following
    return spent


@compiled
def _ratio(gap: float, whole: float) -> float:
    """By which factor a plan is worse that is worse by `gap` than one whose sum is at least `whole - gap`."""
    return 1.0 + gap / (whole - gap) if gap < whole else HUGE
