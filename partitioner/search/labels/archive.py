"""The plans that the engine `labels` has found, and what they cover."""

import numpy as np

from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlan, EncodedPlans, encode_plans, non_dominated
from partitioner.search.labels.costs import LabelProblem
from partitioner.search.labels.gaps import Corners


class LabelArchive:
    """Plans found. Not to be shared between threads."""

    def __init__(self, labels: LabelProblem) -> None:
        self._labels = labels
        self._covering = Corners(len(labels.covered))
        self._seen: set[tuple[tuple[int, int], ...]] = set()
        self._plans: list[EncodedPlan] = []
        self._waiting: list[tuple[float, FloatArray]] = []
        self.n_evaluated = 0

    def __len__(self) -> int:
        return len(self._plans)

    def add(self, plans: list[EncodedPlan]) -> None:
        """Plans that are allowed and not there yet."""
        new = [plan for plan in dict.fromkeys(map(tuple, plans)) if plan not in self._seen]
        if not new:
            return
        self._seen.update(new)
        self.n_evaluated += len(new)
        points = self._labels.points(encode_plans(self._labels.problem, [list(plan) for plan in new]))
        for plan, point in zip(new, points, strict=True):
            if np.isfinite(point).all():
                self._plans.append(list(plan))
                swept = float(point[self._labels.swept]) if self._labels.swept >= 0 else 0.0
                self._waiting.append((swept, point[self._labels.covered]))

    def corners(self, swept: float) -> FloatArray:
        """(n_corners, n_covered) below which plans are wanted beside those whose swept peak is at most `swept`.

        It must not fall from one call to the next.
        """
        usable = [entry for entry in self._waiting if entry[0] <= swept]
        if usable:
            self._waiting = [entry for entry in self._waiting if entry[0] > swept]
            for _, point in sorted(usable, key=lambda entry: float(entry[1].sum())):
                self._covering.cover(point)
        return self._covering.corners

    def front(self) -> EncodedPlans:
        """Those that no other dominates."""
        return non_dominated(self._labels.problem, encode_plans(self._labels.problem, self._plans))
