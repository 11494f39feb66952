"""The robust engine on arrays: plans are judged over all conditions, and those that none beats are kept."""

from dataclasses import dataclass

import numpy as np

from partitioner.errors import InfeasibleError
from partitioner.front import FloatArray, IntArray, front_indices, is_dominated
from partitioner.search.encoding import EncodedPlans
from partitioner.search.exact import exact_front
from partitioner.search.infeasible import explain_infeasible
from partitioner.search.outcome import Effort
from partitioner.search.problem import SearchProblem
from partitioner.search.robust_conditions import Conditions
from partitioner.search.robust_pool import Pool, find_pool
from partitioner.search.robust_result import Criterion, Regret
from partitioner.search.robust_watch import Watch

JUDGING = 0.95
"""Of the progress that is told when all plans are there."""
EQUAL = 1e-9
"""Regrets are told as equal below this difference, which rounding makes."""
MOST_NAMES = 6
"""Conditions that an error names."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RobustOutcome:
    """What `RobustResult` holds, as arrays."""

    plans: EncodedPlans
    regrets: FloatArray
    """(n_conditions, n_plans, 2)"""
    shares: FloatArray
    """(n_plans,) of the conditions under which no plan that was looked at dominates it."""
    nominal: EncodedPlans
    """The plans of least latency and of least bottleneck under the nominal condition."""
    nominal_regrets: FloatArray
    """(n_conditions, 2, 2)"""
    nominal_shares: FloatArray
    """(2,)"""
    least_worst_regret: Regret
    least_mean_regret: Regret
    is_complete: bool
    statement: str
    n_evaluated: int


def robust_front(conditions: Conditions, criterion: Criterion, nominal: SearchProblem, effort: Effort) -> RobustOutcome:
    """The plans that no other one that was looked at beats under the criterion.

    Raises:
        InfeasibleError: No plan satisfies the constraints under some condition, or none under all.
    """
    watch = Watch(effort)
    ends = _nominal_ends(nominal)
    pool = find_pool(conditions, ends, watch)
    watch.tell(JUDGING, f"judging {len(pool.judged)} plans")
    plans, objectives = pool.judged.plans, pool.judged.objectives
    regrets = objectives / pool.judged.best[:, None, :] - 1
    shares = np.mean([~is_dominated(values) for values in objectives], axis=0)
    if not np.isfinite(regrets).all(axis=(0, 2)).any():
        raise InfeasibleError(f"No plan is possible under all of {_names(conditions)}: drop what forbids most links.")
    chosen, beside = _chosen(criterion, regrets, shares), _rows_of(plans, ends)
    watch.tell(1.0, f"{len(chosen)} plans")
    return RobustOutcome(
        plans=plans.take(chosen),
        regrets=regrets[:, chosen],
        shares=shares[chosen],
        nominal=ends,
        nominal_regrets=regrets[:, beside],
        nominal_shares=shares[beside],
        least_worst_regret=_attained(pool.least_worst_regret, regrets.max(axis=0)),
        least_mean_regret=_attained(pool.least_mean_regret, regrets.mean(axis=0)),
        is_complete=pool.n_fronts == len(conditions) and pool.is_bounded,
        statement=_statement(criterion, pool, regrets, shares),
        n_evaluated=len(plans) * len(conditions),
    )


def _nominal_ends(nominal: SearchProblem) -> EncodedPlans:
    """The fastest plan and the one of least bottleneck, which may be the same."""
    front = exact_front(nominal, Effort()).plans
    if not len(front):
        raise InfeasibleError(explain_infeasible(nominal))
    return front.take(np.array([0, len(front) - 1]))


def _chosen(criterion: Criterion, regrets: FloatArray, shares: FloatArray) -> IntArray:
    if criterion == "probability":
        return np.flatnonzero(shares == shares.max()).astype(np.int64)
    return front_indices(regrets.max(axis=0) if criterion == "minimax" else regrets.mean(axis=0))


def _rows_of(pool: EncodedPlans, plans: EncodedPlans) -> IntArray:
    """Where each of some plans is in a pool that has it."""
    return np.array([np.all(pool.rows() == row, axis=1).argmax() for row in plans.rows()], dtype=np.int64)


def _attained(bounds: Regret, regrets: FloatArray) -> Regret:
    """Bounds that rounding has not lifted above the least regret of (n_plans, 2)."""
    least = regrets.min(axis=0)
    return min(bounds[0], float(least[0])), min(bounds[1], float(least[1]))


def _names(conditions: Conditions) -> str:
    return ", ".join(conditions.names) if len(conditions) <= MOST_NAMES else f"the {len(conditions)} conditions"


def _statement(criterion: Criterion, pool: Pool, regrets: FloatArray, shares: FloatArray) -> str:
    n_conditions = len(regrets)
    is_judged_exactly = pool.n_fronts == n_conditions
    if is_judged_exactly:
        certainty = f"Regrets of {len(pool.judged)} plans over {n_conditions} conditions are exact."
    else:
        certainty = (
            f"Incomplete: the budget ended after the fronts of {pool.n_fronts} of {n_conditions} conditions; under the "
            f"others regrets are against the best of {len(pool.judged)} plans, and may be larger."
        )
    if is_judged_exactly and not pool.is_bounded:
        certainty += " Incomplete: the budget ended before the bounds were as high as they get."
    return f"{certainty} {_finding(criterion, pool, regrets, shares)}"


def _finding(criterion: Criterion, pool: Pool, regrets: FloatArray, shares: FloatArray) -> str:
    if criterion == "probability":
        return f"The plans given are on the front under {shares.max():.0%} of the conditions, no other as often."
    is_minimax = criterion == "minimax"
    least = (regrets.max(axis=0) if is_minimax else regrets.mean(axis=0)).min(axis=0)
    bounds = _attained(pool.least_worst_regret if is_minimax else pool.least_mean_regret, least[None, :])
    word = "worst" if is_minimax else "mean"
    return (
        "; ".join(
            f"{word} {objective} regret {value:.1%}, "
            + ("the least of all plans" if value - bound < EQUAL else f"where no plan has less than {bound:.1%}")
            for objective, value, bound in zip(("latency", "bottleneck"), least.tolist(), bounds, strict=True)
        ).capitalize()
        + "."
    )
