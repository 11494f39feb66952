"""All plans met that no plan met dominates: what an evolutionary engine returns, whatever its population forgets."""

from dataclasses import dataclass

import numpy as np

from partitioner.front import BoolArray, FloatArray, IntArray, front_indices
from partitioner.search.encoding import EncodedPlan, EncodedPlans, encode_plans, join_plans
from partitioner.search.problem import SearchProblem


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Archive:
    """Plans of which none dominates another and no two have equal objectives, sorted by the objectives in order."""

    plans: EncodedPlans
    objectives: FloatArray
    """(n_plans, n_objectives), finite, all minimised."""
    is_explored: BoolArray
    """(n_plans,) whether the neighbourhood of a plan was looked at."""

    def __len__(self) -> int:
        return len(self.plans)

    def add(self, plans: EncodedPlans, objectives: FloatArray) -> "Archive":
        """With the new plans that are not dominated, without the old ones that now are.

        Of plans with equal objectives the one in the archive stays, or the first that came. Forbidden plans, those with
        an infinite objective, never enter.
        """
        allowed = np.flatnonzero(np.isfinite(objectives).all(axis=1))
        joined = np.concatenate([self.objectives, objectives[allowed]])
        kept = front_indices(joined)
        is_explored = np.concatenate([self.is_explored, np.zeros(len(allowed), dtype=np.bool_)])
        return Archive(
            plans=join_plans(self.plans, plans.take(allowed)).take(kept),
            objectives=joined[kept],
            is_explored=is_explored[kept],
        )

    def plan(self, index: int) -> EncodedPlan:
        """One of the plans."""
        devices, stops = self.plans.devices[index].tolist(), self.plans.stops[index].tolist()
        return [(device, stop) for device, stop in zip(devices, stops, strict=True) if device >= 0]

    def explore(self, indices: IntArray) -> "Archive":
        """With more plans marked as explored."""
        is_explored = self.is_explored.copy()
        is_explored[indices] = True
        return Archive(plans=self.plans, objectives=self.objectives, is_explored=is_explored)


def empty_archive(problem: SearchProblem) -> Archive:
    """Without plans."""
    return Archive(
        plans=encode_plans(problem, []),
        objectives=np.zeros((0, len(problem.objectives))),
        is_explored=np.zeros(0, dtype=np.bool_),
    )
