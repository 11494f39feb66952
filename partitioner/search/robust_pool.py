"""The plans that a robust search looks at, and what is proved on the way.

They are: the exact front of every condition; that of the problem whose every part takes its largest time relative to
the best of its condition (its last plan has the least worst bottleneck regret of all plans); those of the problems that
weigh the conditions evenly and as is hardest (`robust_bounds`); and neighbours of the best of these (`robust_polish`).
"""

from dataclasses import dataclass

import numpy as np

from partitioner.errors import InfeasibleError
from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlans, encode_plans, evaluate, join_plans
from partitioner.search.exact import exact_front, least_latency_plan
from partitioner.search.infeasible import explain_infeasible
from partitioner.search.robust_bounds import find_latency_bounds
from partitioner.search.robust_conditions import Conditions
from partitioner.search.robust_judged import JudgedPlans, judge
from partitioner.search.robust_polish import polish
from partitioner.search.robust_result import Regret
from partitioner.search.robust_watch import Watch

FRONTS_SHARE = 0.7
"""Of the budget that the fronts of the conditions may use, and of the progress that is told meanwhile."""
GAME_SHARE, POLISH_SHARE = 0.75, 0.85
"""Of the progress that is told when the weights of the conditions are sought, and when neighbours are."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Pool:
    """Plans, and lower bounds of the regrets of any plan."""

    judged: JudgedPlans
    """Each once."""
    least_worst_regret: Regret
    least_mean_regret: Regret
    n_fronts: int
    """Conditions whose front is complete: their best are the best of all plans."""
    is_bounded: bool
    """Whether the bounds are as high as they get."""


def find_pool(conditions: Conditions, extra: EncodedPlans, watch: Watch) -> Pool:
    """Plans to judge, `extra` among them.

    Raises:
        InfeasibleError: No plan satisfies the constraints under some condition.
    """
    fronts, n_fronts = _fronts(conditions, watch)
    watch.tell(FRONTS_SHARE, "plans of low worst bottleneck")
    judged = _with_one_for_each(conditions, judge(conditions, join_plans(extra, *fronts).unique()))
    best = judged.best
    widest = _widest_plans(conditions, 1 / best[:, 1], watch)
    watch.tell(GAME_SHARE, "weights of the conditions")
    latency = find_latency_bounds(conditions, best[:, 0], judged.objectives[:, :, 0] / best[:, None, 0], watch)
    even = _evenly_good_plans(conditions, best, latency.weights, watch)
    judged = judged.add(judge(conditions, join_plans(widest.plans, latency.plans, even.plans)))
    watch.tell(POLISH_SHARE, f"neighbours of the best of {len(judged)} plans")
    return Pool(
        judged=polish(conditions, judged, watch).unique(),
        least_worst_regret=(latency.least_worst, widest.bound),
        least_mean_regret=(latency.least_mean, even.bound),
        n_fronts=n_fronts,
        is_bounded=widest.is_exact and latency.is_exact and even.is_exact,
    )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _Part:
    plans: EncodedPlans
    bound: float
    """Lower bound of a bottleneck regret."""
    is_exact: bool


def _widest_plans(conditions: Conditions, factors: FloatArray, watch: Watch) -> _Part:
    """Plans whose worst bottleneck by `factors` (n_conditions,) is low, the least of all plans among them."""
    outcome = exact_front(conditions.worst(factors), watch.effort())
    worst = np.max(conditions.evaluate(outcome.plans)[:, :, 1] * factors[:, None], axis=0)
    bound = max(float(worst.min()) - 1, 0.0) if outcome.is_exact and len(worst) else 0.0
    return _Part(plans=outcome.plans, bound=bound, is_exact=outcome.is_exact)


def _evenly_good_plans(conditions: Conditions, best: FloatArray, weights: FloatArray, watch: Watch) -> _Part:
    """Fronts of weighted means of the conditions: even ones, and the hardest.

    The bound is for the mean of the bottlenecks, which is no less than the busiest of the mean resources.
    """
    mean = conditions.weighted(1 / best[:, 1] / len(conditions))
    outcome = exact_front(mean, watch.effort())
    hardest = exact_front(conditions.weighted(weights / best[:, 0]), watch.effort())
    bottlenecks = evaluate(mean, outcome.plans)[:, 1]
    bound = max(float(bottlenecks.min()) - 1, 0.0) if outcome.is_exact and len(bottlenecks) else 0.0
    return _Part(
        plans=join_plans(outcome.plans, hardest.plans), bound=bound, is_exact=outcome.is_exact and hardest.is_exact
    )


def _with_one_for_each(conditions: Conditions, judged: JudgedPlans) -> JudgedPlans:
    """`judged` and the fastest plan of each condition under which none of them is possible."""
    for index in np.flatnonzero(~np.isfinite(judged.best[:, 0])):
        problem = conditions.problems[index]
        plan = least_latency_plan(problem)
        if plan is None:
            raise InfeasibleError(f"Under condition {conditions.names[index]!r}: {explain_infeasible(problem)}")
        judged = judged.add(judge(conditions, encode_plans(problem, [plan])))
    return judged


def _fronts(conditions: Conditions, watch: Watch) -> tuple[list[EncodedPlans], int]:
    """Fronts in the order of the conditions until the budget for them ends, and how many are complete."""
    fronts: list[EncodedPlans] = []
    for name, problem in zip(conditions.names, conditions.problems, strict=True):
        if watch.is_over(FRONTS_SHARE):
            return fronts, len(fronts)
        watch.tell(FRONTS_SHARE * len(fronts) / len(conditions), f"front under {name}")
        outcome = exact_front(problem, watch.effort(FRONTS_SHARE))
        if not outcome.is_exact:
            return [*fronts, outcome.plans], len(fronts)
        if not len(outcome.plans):
            raise InfeasibleError(f"Under condition {name!r}: {explain_infeasible(problem)}")
        fronts.append(outcome.plans)
    return fronts, len(fronts)
