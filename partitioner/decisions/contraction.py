"""Whether a slow link has drawn the front together: to the splits that send least."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FEW = 1 / 3
"""Share of all splits that a front may hold, counted by boundary, and be called contracted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contraction:
    """How the splits on a front stand among all splits, by the bytes of their boundaries."""

    n_front: int
    """Splits on the front."""
    n_splits: int
    largest_bytes: float
    """Largest boundary of those on the front; 0 where there are none."""
    n_no_larger: int
    """Splits, on the front or not, with boundaries up to that."""
    is_link_bound: bool
    """Whether a link is the bottleneck of every split on the front."""
    is_smallest: bool
    """Whether no split beside the front has a boundary below `largest_bytes`."""
    is_rest_link_bound: bool = False
    """Whether a link is the bottleneck of every split that sends more than those on the front, and there are such."""

    @property
    def holds(self) -> bool:
        """Whether links hold back the splits, or all that send more, and the front keeps only those that send least."""
        is_few = self.n_no_larger <= max(1, FEW * self.n_splits)
        is_less = self.n_front > 0 and self.n_no_larger < self.n_splits
        return is_less and (self.is_link_bound or self.is_rest_link_bound) and (self.is_smallest or is_few)


def find_contraction(
    front: Sequence[int], boundary_bytes: npt.ArrayLike, is_split: npt.ArrayLike, is_link_bound: npt.ArrayLike
) -> Contraction:
    """Looks at the splits of one condition.

    Args:
        front: Plans on the front.
        boundary_bytes: (n_plans,) largest boundary between the stages of each plan.
        is_split: (n_plans,) whether a plan has several stages; the others do not count.
        is_link_bound: (n_plans,) whether a link between stages is known to be the busiest resource of a plan.
    """
    sizes, splits = np.asarray(boundary_bytes, dtype=np.float64), np.asarray(is_split, dtype=np.bool_)
    on_front = np.zeros(len(sizes), dtype=np.bool_)
    on_front[list(front)] = True
    kept = on_front & splits
    largest = float(sizes[kept].max(initial=0.0))
    is_bound, sends_more = np.asarray(is_link_bound, dtype=np.bool_), splits & (sizes > largest)
    return Contraction(
        n_front=int(kept.sum()),
        n_splits=int(splits.sum()),
        largest_bytes=largest,
        n_no_larger=int(np.sum(splits & (sizes <= largest))) if kept.any() else 0,
        is_link_bound=bool(np.all(is_bound[kept])) and bool(kept.any()),
        is_smallest=not np.any(splits & ~on_front & (sizes < largest)),
        is_rest_link_bound=bool(np.all(is_bound[sends_more])) and bool(sends_more.any()),
    )
