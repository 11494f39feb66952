"""The least worst latency regret, from below: a game between a plan and the weights of the conditions.

The worst of several regrets is at least any weighted mean of them, and the plan with the least weighted mean is that of
one ordinary problem. The weights that are hardest on the plans known so far come from a linear programme; the best plan
against them is one more known plan, and its weighted mean a bound for all plans. The bound rises until the known plans,
mixed, do no better: then no weights give a higher one.

Source of the parts: McMahan, Gordon and Blum, "Planning in the presence of cost functions controlled by an adversary",
ICML 2003 (each side's best answers in turn); Geoffrion, "Lagrangean relaxation for integer programming", 1974 (bound).
"""

from dataclasses import dataclass

import numpy as np

from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlan, EncodedPlans, encode_plans
from partitioner.search.exact import least_latency_plan
from partitioner.search.robust_conditions import Conditions
from partitioner.search.robust_watch import Watch

MOST_ROUNDS = 40
"""Weightings that are tried at most."""
MOST_KNOWN = 500
"""Known plans, those of least worst regret, with which the game begins."""
CLOSE = 1e-4
"""Distance from the highest bound at which the game ends."""
LEAST_WEIGHT = 1e-9
"""Of a condition: none is left out, so that a plan must be possible under all."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class LatencyBounds:
    """What the game found."""

    least_mean: float
    """Least mean latency regret of all plans; exact."""
    least_worst: float
    """No plan has a lower worst latency regret."""
    weights: FloatArray
    """(n_conditions,) those that gave `least_worst`."""
    plans: EncodedPlans
    """Plans that were met on the way, that of `least_mean` first; none where no plan is possible everywhere."""
    is_exact: bool
    """Whether no weights give a bound that is higher by more than `CLOSE`."""


def find_latency_bounds(conditions: Conditions, best: FloatArray, known: FloatArray, watch: Watch) -> LatencyBounds:
    """Plays the game.

    Args:
        conditions: The conditions.
        best: (n_conditions,) least latency of each; where it is not the least but an upper bound, the bounds hold, too.
        known: (n_conditions, n_plans) latency over the least of plans known before.
        watch: Ends the game after any round but the first.
    """
    n_conditions = len(conditions)
    weights = strongest = np.full(n_conditions, 1.0 / n_conditions)
    columns = known[:, np.argsort(known.max(axis=0), kind="stable")[:MOST_KNOWN]]
    columns = columns[:, np.isfinite(columns).all(axis=0)]
    plans: list[EncodedPlan] = []
    least_mean, bound, mixed = 0.0, 0.0, np.inf
    while len(plans) < MOST_ROUNDS and mixed - bound > CLOSE and not (plans and watch.is_over()):
        plan = least_latency_plan(conditions.weighted(weights / best))
        if plan is None:
            break
        ratios = conditions.evaluate(encode_plans(conditions.problems[0], [plan]))[:, 0, 0] / best
        value = float(weights @ ratios) - 1
        least_mean = least_mean if plans else value
        bound, strongest = max((bound, strongest), (value, weights), key=lambda entry: entry[0])
        plans.append(plan)
        columns = np.column_stack([columns, ratios])
        weights, mixed = _hardest_weights(columns)
    return LatencyBounds(
        least_mean=max(least_mean, 0.0),
        least_worst=bound,
        weights=strongest,
        plans=encode_plans(conditions.problems[0], plans),
        is_exact=mixed - bound <= CLOSE,
    )


def _hardest_weights(ratios: FloatArray) -> tuple[FloatArray, float]:
    """Weights (n_conditions,) under which the best plan is worst, and its regret.

    Args:
        ratios: (n_conditions, n_plans) latency over the least of the condition, all finite.
    """
    from scipy.optimize import linprog  # noqa: PLC0415  scipy loads slowly, and only here

    n_conditions, n_plans = ratios.shape
    found = linprog(
        np.append(np.zeros(n_conditions), -1.0),
        A_ub=np.column_stack([-ratios.T, np.ones(n_plans)]),
        b_ub=np.zeros(n_plans),
        A_eq=np.append(np.ones(n_conditions), 0.0)[None, :],
        b_eq=[1.0],
        bounds=[(0.0, None)] * (n_conditions + 1),
        method="highs",
    )
    weights = np.maximum(found.x[:-1], LEAST_WEIGHT)
    return weights / weights.sum(), float(found.x[-1]) - 1
