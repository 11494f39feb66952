"""What a robust search returns. Regrets are pairs (latency, bottleneck); 0.2 is 20 % above the condition's best."""

from dataclasses import dataclass
from typing import Literal

from partitioner.plan import Candidate

Criterion = Literal["minimax", "mean", "probability"]
CRITERIA: tuple[Criterion, ...] = ("minimax", "mean", "probability")
Regret = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustPlan:
    """One plan and how it does over the conditions."""

    candidate: Candidate
    """With its cost under the nominal condition."""
    regrets: tuple[Regret, ...]
    """Under each condition, in their order; infinity where the plan is not possible."""
    worst_regret: Regret
    mean_regret: Regret
    front_share: float
    """Share of the conditions under which no plan that was looked at dominates it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustResult:
    """Plans that no other one beats under the criterion, and how much better any plan could be."""

    criterion: Criterion
    conditions: tuple[str, ...]
    plans: tuple[RobustPlan, ...]
    """Least latency regret first; by `probability`, those with the largest share."""
    nominal: tuple[RobustPlan, RobustPlan]
    """The plans of least latency and of least bottleneck under the nominal condition alone, for comparison."""
    least_worst_regret: Regret
    """Lower bounds of the worst regret of any plan: for latency by duality, for bottleneck attained."""
    least_mean_regret: Regret
    """Lower bounds of the mean regret of any plan: for latency attained, for bottleneck the busiest mean resource."""
    is_complete: bool
    """Whether the budget sufficed for the best of every condition and for the bounds."""
    statement: str
    n_evaluated: int
    """Pairs of a plan and a condition."""
    seed: int
    """Of the conditions."""
    seconds: float

    @property
    def front(self) -> tuple[Candidate, ...]:
        """The plans as candidates, in order, to choose from."""
        return tuple(plan.candidate for plan in self.plans)
