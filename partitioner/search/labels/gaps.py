"""What is left to find beside known plans: the corners below which no known plan lies.

Source: Klamroth, Lacour and Vanderpooten, "On the representation of the search region in multi-objective optimization",
European Journal of Operational Research 245, 2015 (local upper bounds).
"""

import numpy as np

from partitioner.front import FloatArray
from partitioner.search.compiled import compiled

MOST_CORNERS = 6_000
"""Corners that are kept; a point that would make more is left out, so that more than needed is searched."""


class Corners:
    """Corners of the region that no known point covers: a point is wanted when it is below some corner in all."""

    def __init__(self, n_figures: int) -> None:
        self._room = np.full((64, n_figures), np.inf)
        self._n = 1

    @property
    def corners(self) -> FloatArray:
        """(n_corners, n_figures); none is below another in all."""
        return self._room[: self._n]

    def cover(self, point: FloatArray) -> None:
        """Takes away what a point covers: all that is at least as large in every figure."""
        new = split_corners(self.corners, point)
        if len(new) > MOST_CORNERS:
            return
        if len(new) > len(self._room):
            self._room = np.empty((2 * len(new), new.shape[1]))
        self._room[: len(new)], self._n = new, len(new)


@compiled
def split_corners(corners: FloatArray, point: FloatArray) -> FloatArray:
    """Corners after a point is covered; those that it is not below stay."""
    n_corners, n_figures = corners.shape
    is_split = np.zeros(n_corners, dtype=np.bool_)
    n_split = 0
    for index in range(n_corners):
        below = True
        for figure in range(n_figures):
            below = below and point[figure] < corners[index, figure]
        is_split[index] = below
        n_split += below
    if n_split == 0:
        return corners.copy()
    made = np.empty((n_split * n_figures, n_figures))
    n_made = 0
    for index in range(n_corners):
        if is_split[index]:
            for figure in range(n_figures):
                made[n_made] = corners[index]
                made[n_made, figure] = point[figure]
                n_made += 1
    found = np.empty((n_corners - n_split + n_made, n_figures))
    n_found = 0
    for index in range(n_corners):
        if not is_split[index]:
            found[n_found] = corners[index]
            n_found += 1
    n_old = n_found
    for index in range(n_made):
        if not _is_within(made, n_made, index, found, n_old):
            found[n_found] = made[index]
            n_found += 1
    return found[:n_found]


@compiled
def _is_within(made: FloatArray, n_made: int, index: int, old: FloatArray, n_old: int) -> bool:
    """Whether another corner is at least as large in all; of equal new ones the first stays."""
    n_figures = made.shape[1]
    for other in range(n_made):
        if other != index:
            is_less, is_equal = True, True
            for figure in range(n_figures):
                is_less = is_less and made[index, figure] <= made[other, figure]
                is_equal = is_equal and made[index, figure] == made[other, figure]
            if is_less and (not is_equal or other < index):
                return True
    for other in range(n_old):
        is_less = True
        for figure in range(n_figures):
            is_less = is_less and made[index, figure] <= old[other, figure]
        if is_less:
            return True
    return False
