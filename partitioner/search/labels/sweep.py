"""The engine `labels` box by box: from the least swept peak to the largest."""

from collections.abc import Iterator

import numpy as np

from partitioner.errors import PlanError
from partitioner.front import FloatArray, front_indices
from partitioner.search.encoding import EncodedPlan
from partitioner.search.labels.archive import LabelArchive
from partitioner.search.labels.arrays import Box, Labels
from partitioner.search.labels.costs import LabelProblem
from partitioner.search.labels.extension import begin_labels, clear_heads, extend_labels
from partitioner.search.labels.guides import ROOM, Guide, Guided, capped_guides, gaps_of, guided, mixtures, plain_guides

FEW, MANY = 4_000, 40_000
"""Labels of a box below which the next one is wider, and above which it is narrowed where it can be."""
MOST_BYTES = 4 << 30
"""That labels may take."""
STEPS = 20_000
"""Labels to go on from between two looks at the clock."""
LENIENCE = 0.5
"""Share of the accuracy that labels may spend on standing for others."""


class Sweep:
    """One search under way. Not to be shared between threads."""

    def __init__(self, labels: LabelProblem, archive: LabelArchive) -> None:
        self._labels = labels
        self._archive = archive
        self._room = make_room(labels, MANY)

    def run(self) -> Iterator[float]:
        """Fills the archive until it covers every plan; yields the share of the swept range after pieces of work.

        Raises:
            PlanError: The labels have no room.
        """
        labels, levels = self._labels, self._labels.levels
        first = guided(labels, plain_guides(labels), np.inf)
        if not np.isfinite(first.least[0]):
            return
        mixed = mixtures(labels, first.least)
        done, width = _least_level(labels) - 1, 1
        while done < len(levels) - 1:
            top = min(done + width, len(levels) - 1)
            n_labels = 0
            for n_labels in self._search(mixed, _floor(labels, done), float(levels[top])):  # noqa: B007  the last
                yield (done + 1) / len(levels)
            if n_labels <= len(self._room.spent):
                done, width = top, 2 * width if n_labels < FEW else width
            elif top > done + 1:
                width = (top - done) // 2
            else:
                self._room = make_room(labels, 2 * len(self._room.spent))

    def _search(self, mixed: list[Guide], floor: float, cap: float) -> Iterator[int]:
        """Finds what is wanted in a box; yields the number of labels so far, more than the room where that is short."""
        labels, archive, room = self._labels, self._archive, self._room
        guides = [*plain_guides(labels), *mixed, *capped_guides(labels, archive.corners(floor), mixed)]
        found = guided(labels, guides, cap)
        yield 0
        if np.isfinite(found.least[0]):
            archive.add(list(found.plans))
            box = make_box(labels, found, archive.corners(floor), (floor, cap))
            cursor, n_labels, n_rows = np.zeros(1, dtype=np.int64), begin_labels(box, room), labels.tables.shape[0]
            while cursor[0] < n_rows and n_labels <= len(room.spent):
                n_labels = extend_labels(box, room, cursor, n_labels, STEPS)
                yield n_labels
            if n_labels <= len(room.spent):
                archive.add(_finished(labels, room))
            clear_heads(room, min(n_labels, len(room.spent)))
            yield n_labels


def make_box(labels: LabelProblem, found: Guided, corners: FloatArray, ends: tuple[float, float]) -> Box:
    """What the compiled loops want to know of a box."""
    is_hard = np.zeros(len(labels.names), dtype=np.int64)
    is_hard[: labels.costs.n_sums] = np.isfinite(labels.bounds()[: labels.costs.n_sums]) | (labels.accuracy == 0)
    is_hard[labels.shared] = 1
    allowance = 1.0 + labels.accuracy
    return Box(
        costs=labels.costs,
        guides=found.tables,
        gaps=gaps_of(labels, found.guides, corners, ends[1]),
        floor=ends[0],
        cap=ends[1],
        swept=labels.swept,
        allowance=allowance,
        lenience=allowance**LENIENCE,
        is_hard=is_hard,
        scratch=np.empty((3, max(len(found.guides), len(labels.names)))),
    )


def make_room(labels: LabelProblem, capacity: int) -> Labels:
    """Room for labels.

    Raises:
        PlanError: They would take more memory than `MOST_BYTES`.
    """
    n_bytes = capacity * (8 * len(labels.names) + 24)
    if n_bytes > MOST_BYTES:
        raise PlanError(
            f"Engine 'labels' would need more than {capacity // 2:,} partial plans, {n_bytes / 1e9:.1f} GB: give it an "
            f"accuracy (0.01 is fast), fewer objectives, or fewer positions; or use engine 'nsga3'."
        )
    return Labels(
        figures=np.empty((capacity, len(labels.names))),
        spent=np.empty(capacity),
        row=np.empty(capacity, dtype=np.int32),
        position=np.empty(capacity, dtype=np.int32),
        parent=np.empty(capacity, dtype=np.int32),
        link=np.empty(capacity, dtype=np.int32),
        heads=np.full(labels.tables.shape, -1, dtype=np.int32),
    )


def _finished(labels: LabelProblem, room: Labels) -> list[EncodedPlan]:
    """Whole plans of a pass that no other of them dominates."""
    ends = []
    for label in room.heads[:, -1].tolist():
        while label >= 0:
            ends.append(label)
            label = int(room.link[label])  # noqa: PLW2901  down the list
    chosen = np.array(ends, dtype=np.int64)
    kinds, n_sums = labels.costs.type_of[room.row[chosen]], labels.costs.n_sums
    had, hop = room.figures[chosen], labels.costs.hop[kinds, -1, -1]
    figures = np.hstack([had[:, :n_sums] + hop[:, :n_sums], np.maximum(had[:, n_sums:], hop[:, n_sums:])])
    figures = labels.whole(figures)
    kept = np.flatnonzero(np.all(figures <= labels.bounds(), axis=1))
    objectives = [figure for figure in range(len(labels.names)) if labels.names[figure] in labels.problem.objectives]
    return [_trace(labels, room, int(chosen[kept[index]])) for index in front_indices(figures[kept][:, objectives])]


def _trace(labels: LabelProblem, room: Labels, label: int) -> EncodedPlan:
    kinds, stops = [], []
    while label >= 0:
        kinds.append(int(labels.costs.type_of[room.row[label]]))
        stops.append(int(room.position[label]))
        label = int(room.parent[label])
    return labels.decoded(kinds[::-1], stops[::-1])


def _floor(labels: LabelProblem, done: int) -> float:
    """The least swept peak of plans that are not found when all up to a level are."""
    if not labels.sweeps_shared:
        return float(labels.levels[done + 1])
    return float(labels.levels[done]) if done >= 0 else 0.0


def _least_level(labels: LabelProblem) -> int:
    """Index of the least level of the swept peak that some plan may have; none has a lower one."""
    low, high = 0, len(labels.levels) - 1
    plain = plain_guides(labels)
    guides = [*(plain[:1] or [Guide(weights=np.zeros(len(labels.names)))]), *plain[labels.shared]]
    while low < high:
        middle = (low + high) // 2
        cap = float(labels.levels[middle])
        least = guided(labels, guides, cap).least
        if np.isfinite(least[0]) and np.all(least[1:] <= labels.bounds(cap)[labels.shared] * (1 + ROOM)):
            high = middle
        else:
            low = middle + 1
    return low
