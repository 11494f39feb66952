"""Plans and what each costs under every condition."""

from dataclasses import dataclass

import numpy as np

from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlans, decode_rows, join_plans
from partitioner.search.robust_conditions import Conditions


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class JudgedPlans:
    """Plans in some order, with their objectives."""

    plans: EncodedPlans
    objectives: FloatArray
    """(n_conditions, n_plans, 2) latency and bottleneck; infinity where a plan is not possible."""

    def __len__(self) -> int:
        return len(self.plans)

    @property
    def best(self) -> FloatArray:
        """(n_conditions, 2) the least of each objective."""
        least: FloatArray = self.objectives.min(axis=1, initial=np.inf)
        return least

    def add(self, other: "JudgedPlans") -> "JudgedPlans":
        """With the other plans behind these."""
        return JudgedPlans(
            plans=join_plans(self.plans, other.plans),
            objectives=np.concatenate([self.objectives, other.objectives], axis=1),
        )

    def unique(self) -> "JudgedPlans":
        """Each plan once, sorted by its code."""
        rows, first = np.unique(self.plans.rows(), axis=0, return_index=True)
        return JudgedPlans(plans=decode_rows(rows), objectives=self.objectives[:, first])


def judge(conditions: Conditions, plans: EncodedPlans) -> JudgedPlans:
    """Plans under every condition."""
    return JudgedPlans(plans=plans, objectives=conditions.evaluate(plans))


def worst_regrets(objectives: FloatArray, best: FloatArray) -> FloatArray:
    """(n_plans, 2) largest of (n_conditions, n_plans, 2) over the best (n_conditions, 2), less 1."""
    worst: FloatArray = (objectives / best[:, None, :]).max(axis=0) - 1
    return worst
