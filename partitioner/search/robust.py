"""Plans for a network whose condition is not known: judged over many conditions at once.

A condition is a search problem of its own; all have the same graph and devices, the links differ. The regret of a plan
under a condition is by how much it exceeds the best plan of that very condition, in latency and in bottleneck.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from partitioner.errors import InfeasibleError, PlanError
from partitioner.front import FloatArray, front_indices, is_dominated
from partitioner.plan import Stage
from partitioner.search.encoding import EncodedPlans, decode_stages, encode_plans, evaluate, join_plans
from partitioner.search.exact import exact_front, least_latency_plan
from partitioner.search.infeasible import check_feasible
from partitioner.search.outcome import Clock, Effort
from partitioner.search.problem import SearchProblem

Criterion = Literal["minimax", "mean", "probability"]

N_WEIGHTINGS = 40
"""Weightings of the conditions that are tried for the bound on the worst latency regret."""
STEP = 4.0
"""How fast weights move towards the conditions with the largest regret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustPlan:
    """One plan and how it does over the conditions. Regrets are (latency, bottleneck); 0.2 is 20 % above the best."""

    stages: tuple[Stage, ...]
    worst_regret: tuple[float, float]
    mean_regret: tuple[float, float]
    front_share: float
    """Share of the conditions under which no plan that was looked at dominates it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RobustResult:
    """Plans that no other one beats under the criterion, and how much better any plan could be."""

    criterion: Criterion
    conditions: tuple[str, ...]
    plans: tuple[RobustPlan, ...]
    """Least latency regret first; by `probability`, those with the largest share."""
    least_worst_regret: tuple[float, float]
    """Lower bounds of the worst regret of any plan: for latency by duality, for bottleneck attained."""
    statement: str
    n_evaluated: int
    seconds: float


def search_robust(
    problems: Mapping[str, SearchProblem], criterion: Criterion = "minimax", *, clock: Clock = time.monotonic
) -> RobustResult:
    """Plans that do well under all of several conditions.

    The candidates are the exact fronts of every condition, the exact front of the problem whose every part takes its
    largest time relative to the best of its condition (whose last plan has the least worst bottleneck regret of all
    plans), and the least-latency plans of many weightings of the conditions.

    Args:
        problems: A problem for each condition, by name; all of one graph and the same devices.
        criterion: `minimax` and `mean` judge the regrets, `probability` the share of conditions on whose front a plan
            lies.
        clock: Seconds, never going back.

    Raises:
        PlanError: There is no condition, the problems do not match, or the criterion is unknown.
        InfeasibleError: No plan satisfies the constraints of some condition.
    """
    began = clock()
    _check(problems, criterion)
    conditions = tuple(problems.values())
    fronts = [exact_front(problem, Effort()).plans for problem in conditions]
    best = np.array([evaluate(problem, front).min(axis=0) for problem, front in zip(conditions, fronts, strict=True)])
    least_bottleneck = exact_front(_combined(conditions, 1 / best[:, 1], np.max), Effort()).plans
    latency_bound, weighted = _weighted_plans(conditions, best[:, 0])
    pool = join_plans(*fronts, least_bottleneck, weighted).unique()
    objectives = np.stack([evaluate(problem, pool) for problem in conditions])
    bottleneck_bound = float(np.max(objectives[:, :, 1] / best[:, None, 1], axis=0).min() - 1)
    return _result(
        problems,
        criterion,
        pool,
        objectives=objectives,
        best=best,
        bounds=(latency_bound, bottleneck_bound),
        seconds=clock() - began,
    )


def _check(problems: Mapping[str, SearchProblem], criterion: Criterion) -> None:
    if not problems:
        raise PlanError("A robust search wants at least one network condition, got none.")
    if criterion not in ("minimax", "mean", "probability"):
        raise PlanError(f"Criterion {criterion!r} is unknown: choose minimax, mean or probability.")
    (first_name, first), *others = problems.items()
    for name, problem in others:
        if problem.device_names != first.device_names or problem.n_units != first.n_units:
            raise PlanError(
                f"Conditions {first_name!r} and {name!r} differ in devices or units: want the same graph and cluster."
            )
    for problem in problems.values():
        check_feasible(problem)


def _combined(problems: Sequence[SearchProblem], factors: FloatArray, how: Callable[..., FloatArray]) -> SearchProblem:
    """One problem whose every time is `how` (a reduction) of the problems' times by their factors (n_problems,)."""

    def reduce(arrays: list[FloatArray]) -> FloatArray:
        stacked = np.stack([array * factor for array, factor in zip(arrays, factors, strict=True)])
        return how(stacked, axis=0)

    per_byte = reduce([1.0 / problem.link_bytes_per_second for problem in problems])
    return replace(
        problems[0],
        stage_seconds=reduce([problem.allowed_seconds for problem in problems]),
        link_fixed_seconds=reduce([problem.link_fixed_seconds for problem in problems]),
        link_bytes_per_second=1.0 / per_byte,
        cost_model=None,
    )


def _weighted_plans(problems: Sequence[SearchProblem], best_latency: FloatArray) -> tuple[float, EncodedPlans]:
    """(lower bound of the worst latency regret of any plan, plans found on the way).

    The worst of several regrets is at least any weighted mean of them, and the plan with the least weighted mean is
    that of one ordinary problem. Weights move towards the conditions with the largest regret (multiplicative weights),
    so that the bound rises towards its best.

    Source: Freund and Schapire, "Adaptive game playing using multiplicative weights", 1999.
    """
    weights = np.full(len(problems), 1.0 / len(problems))
    bound, found = 0.0, []
    for _ in range(N_WEIGHTINGS if len(problems) > 1 else 1):
        plan = least_latency_plan(_combined(problems, weights / best_latency, np.sum))
        if plan is None:  # no plan is possible under all conditions
            break
        encoded = encode_plans(problems[0], [plan])
        ratios = np.array([evaluate(problem, encoded)[0, 0] for problem in problems]) / best_latency
        bound = max(bound, float(weights @ ratios) - 1)
        found.append(encoded)
        weights = weights * np.exp(STEP * (ratios / ratios.max() - 1))
        weights = np.maximum(weights / weights.sum(), 1e-9)
    return bound, join_plans(*found) if found else encode_plans(problems[0], [])


def _result(
    problems: Mapping[str, SearchProblem],
    criterion: Criterion,
    pool: EncodedPlans,
    *,
    objectives: FloatArray,
    best: FloatArray,
    bounds: tuple[float, float],
    seconds: float,
) -> RobustResult:
    regrets = objectives / best[:, None, :] - 1
    worst, mean = regrets.max(axis=0), regrets.mean(axis=0)
    share = np.mean([~is_dominated(values) for values in objectives], axis=0)
    if not np.isfinite(worst).any():
        raise InfeasibleError(
            f"No plan is possible under all of {', '.join(problems)}: drop the condition that forbids most links."
        )
    chosen = (
        np.flatnonzero(share == share.max())
        if criterion == "probability"
        else front_indices(worst if criterion == "minimax" else mean)
    )
    first = next(iter(problems.values()))
    plans = tuple(
        RobustPlan(
            stages=decode_stages(first, pool, int(row)),
            worst_regret=(float(worst[row, 0]), float(worst[row, 1])),
            mean_regret=(float(mean[row, 0]), float(mean[row, 1])),
            front_share=float(share[row]),
        )
        for row in chosen
    )
    return RobustResult(
        criterion=criterion,
        conditions=tuple(problems),
        plans=plans,
        least_worst_regret=bounds,
        statement=_statement(len(problems), len(pool), worst, bounds),
        n_evaluated=len(pool) * len(problems),
        seconds=seconds,
    )


def _statement(n_conditions: int, n_plans: int, worst: FloatArray, bounds: tuple[float, float]) -> str:
    least = worst.min(axis=0)
    return (
        f"Regrets of {n_plans} plans over {n_conditions} conditions are exact. Worst latency regret {least[0]:.1%}, "
        f"where no plan has less than {bounds[0]:.1%}; worst bottleneck regret {least[1]:.1%}, the least of all plans."
    )
