"""Plans for a network whose condition is not known: judged over many conditions at once.

A condition is a search problem of its own; all have the same graph and devices, the links differ. The regret of a plan
under a condition is by how much it exceeds the best plan of that very condition, in latency and in bottleneck.
"""

import time
from collections.abc import Mapping
from dataclasses import replace

from partitioner.errors import PlanError
from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlans, decode
from partitioner.search.outcome import Clock, Effort, Progress, no_progress
from partitioner.search.problem import SearchProblem
from partitioner.search.robust_conditions import gather_conditions
from partitioner.search.robust_front import robust_front
from partitioner.search.robust_result import CRITERIA, Criterion, Regret, RobustPlan, RobustResult


def search_robust(
    problems: Mapping[str, SearchProblem],
    criterion: Criterion = "minimax",
    *,
    nominal: SearchProblem | None = None,
    budget_seconds: float | None = None,
    seed: int = 0,
    on_progress: Progress | None = None,
    clock: Clock = time.monotonic,
) -> RobustResult:
    """Plans that do well under all of several conditions.

    Args:
        problems: A problem for each condition, by name; they differ in their links only.
        criterion: `minimax` and `mean` judge the regrets, `probability` the share of conditions on whose front a plan
            lies.
        nominal: The condition that one would plan for otherwise, made by `build_problem`: plans bear its costs, and its
            own best plans are judged beside them. The first of `problems` where it is None.
        budget_seconds: The search ends then with what it has, a little late; it ends by itself where this is None.
        seed: From which the conditions were drawn; told in the result, draws nothing.
        on_progress: Called with the fraction done and a line for people.
        clock: Seconds, never going back.

    Raises:
        PlanError: There is no condition, the problems do not match, or the criterion is unknown.
        InfeasibleError: No plan satisfies the constraints under some condition, or none under all.
    """
    if criterion not in CRITERIA:
        raise PlanError(f"Criterion {criterion!r} is unknown: choose {', '.join(CRITERIA[:-1])} or {CRITERIA[-1]}.")
    began = clock()
    conditions = gather_conditions(problems)
    named = next(iter(problems.values())) if nominal is None else nominal
    effort = Effort(budget_seconds=budget_seconds, on_progress=on_progress or no_progress, clock=clock)
    outcome = robust_front(conditions, criterion, named, effort)
    # In the caller's order: what follows is for people.
    order = [conditions.names.index(name) for name in problems]
    outcome = replace(outcome, regrets=outcome.regrets[order], nominal_regrets=outcome.nominal_regrets[order])
    fastest, widest = _judged(named, outcome.nominal, outcome.nominal_regrets, outcome.nominal_shares)
    return RobustResult(
        criterion=criterion,
        conditions=tuple(problems),
        plans=_judged(named, outcome.plans, outcome.regrets, outcome.shares),
        nominal=(fastest, widest),
        least_worst_regret=outcome.least_worst_regret,
        least_mean_regret=outcome.least_mean_regret,
        is_complete=outcome.is_complete,
        statement=outcome.statement,
        n_evaluated=outcome.n_evaluated,
        seed=seed,
        seconds=clock() - began,
    )


def _judged(
    nominal: SearchProblem, plans: EncodedPlans, regrets: FloatArray, shares: FloatArray
) -> tuple[RobustPlan, ...]:
    worst, mean = regrets.max(axis=0), regrets.mean(axis=0)
    return tuple(
        RobustPlan(
            candidate=candidate,
            regrets=tuple(_regret(pair) for pair in regrets[:, row]),
            worst_regret=_regret(worst[row]),
            mean_regret=_regret(mean[row]),
            front_share=float(shares[row]),
        )
        for row, candidate in enumerate(decode(nominal, plans))
    )


def _regret(pair: FloatArray) -> Regret:
    return float(pair[0]), float(pair[1])
