"""Partial plans, stage by stage, of which none dominates another: the compiled loops of the exact engine."""

from typing import NamedTuple

from partitioner.search.compiled import compiled
from partitioner.search.exact_arrays import Chain, Labels, Rest


class Corridor(NamedTuple):
    """Where labels may go."""

    chain: Chain
    rest: Rest
    """What `find_rest` found for `bound`, or for a higher bound."""
    bound: float
    """No resource is busier than this many seconds."""
    ceiling: float
    """No plan takes longer than this many seconds."""


class Arrival(NamedTuple):
    """The last device of a row has its input at a position."""

    row: int
    position: int
    latency: float
    peak: float
    parent: int


@compiled
def find_labels(corridor: Corridor, labels: Labels) -> int:
    """Fills `labels` with all partial plans in the corridor; none dominates another of the same row and position.

    Plans that end at the last position lack the hop to the client.

    Returns:
        Number of labels; more than the capacity where they had no room, and then they are not all.
    """
    chain, before = corridor.chain, corridor.rest.before
    n_types, end = chain.sums.shape[0], chain.sums.shape[1] - 1
    n_labels, label, capacity = 0, 0, len(labels.latency)
    for kind in range(n_types):
        hop, busy = chain.hops[n_types, kind, 0], chain.busy[n_types, kind, 0]
        row = chain.first_row[kind]
        if hop + before[row, 0] <= corridor.ceiling:
            first = Arrival(row=row, position=0, latency=hop, peak=busy, parent=-1)
            n_labels = _add_stages(corridor, labels, n_labels, first)
    while label < n_labels <= capacity:
        row, position = int(labels.row[label]), int(labels.position[label])
        if labels.is_alive[label] and position < end:
            for target in range(n_types):
                kind, following = chain.type_of[row], chain.next_row[row, target]
                latency = labels.latency[label] + chain.hops[kind, target, position]
                if following >= 0 and latency + before[following, position] <= corridor.ceiling:
                    peak = max(labels.peak[label], chain.busy[kind, target, position])
                    arrival = Arrival(row=following, position=position, latency=latency, peak=peak, parent=label)
                    n_labels = _add_stages(corridor, labels, n_labels, arrival)
        label += 1
    for label in range(min(n_labels, capacity)):
        labels.heads[labels.row[label], labels.position[label]] = -1
    return n_labels


@compiled
def _add_stages(corridor: Corridor, labels: Labels, n_labels: int, arrival: Arrival) -> int:
    """Adds a label for each stage that begins with an arrival; returns the number of labels."""
    row, start, capacity = arrival.row, arrival.position, len(labels.latency)
    if arrival.peak > corridor.bound:
        return n_labels
    kind = corridor.chain.type_of[row]
    seconds, work = corridor.chain.seconds[kind, start], corridor.chain.work[kind, start]
    after = corridor.rest.after[row]
    for stop in range(start + 1, corridor.rest.reach[kind, start] + 1):
        latency, peak = arrival.latency + seconds[stop], max(arrival.peak, work[stop])
        is_inside = work[stop] <= corridor.bound and latency + after[stop] <= corridor.ceiling
        if is_inside and _is_new(labels, row, stop, latency, peak):
            if n_labels >= capacity:
                return capacity + 1
            labels.latency[n_labels], labels.peak[n_labels] = latency, peak
            labels.row[n_labels], labels.position[n_labels] = row, stop
            labels.parent[n_labels], labels.is_alive[n_labels] = arrival.parent, True
            labels.link[n_labels] = labels.heads[row, stop]
            labels.heads[row, stop] = n_labels
            n_labels += 1
    return n_labels


@compiled
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
