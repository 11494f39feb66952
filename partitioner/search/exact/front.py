"""The whole front of (latency, bottleneck), exactly: labels between bounds on the bottleneck.

For a bound on the bottleneck, a dynamic programme over (devices used, last device, position) gives the least latency
still to come from everywhere. It steers a search by labels, which builds plans stage by stage and drops a partial plan
when another of the same state is at least as good in both objectives, or when even the least rest makes it too slow:
slower than the fastest plan under the next lower bound, which dominates it. Bounds are laid closer until the labels
between two of them are few.

Labels are summed in the order in which `evaluate` sums, and rounding keeps order, so that even the last bit is that of
an enumeration. Latencies to come only steer, and are given room for rounding.

Source of the parts: Martins, "On a multicriteria shortest path problem", European Journal of Operational Research 16,
1984 (labels); Haimes, Lasdon and Wismer, "On a bicriterion formulation", IEEE Transactions on Systems, Man, and
Cybernetics 1, 1971 (bounds on one objective).
"""

from typing import TYPE_CHECKING

import numpy as np

from partitioner.errors import PlanError
from partitioner.search.encoding import EncodedPlan, EncodedPlans, encode_plans, non_dominated
from partitioner.search.outcome import Effort, EngineOutcome
from partitioner.search.problem import SearchProblem

if TYPE_CHECKING:
    from partitioner.search.exact.interval import Found


def exact_front(problem: SearchProblem, effort: Effort) -> EngineOutcome:
    """The whole front; its part of least latencies where the budget ends before.

    Raises:
        TooManyStatesError: There is no room for all of them.
        PlanError: Media or processors are shared, whose sums this engine does not carry.
    """
    if problem.shares_resources:
        raise PlanError("Engine 'exact' does not add up what is shared (media, processors): use engine 'labels'.")
    from partitioner.search.exact.descent import front_parts  # noqa: PLC0415  numba loads slowly, and only here

    began = effort.clock()
    parts = front_parts(problem)
    found: list[Found] = []
    bound, is_complete = np.inf, False
    while not is_complete and (effort.budget_seconds is None or effort.clock() - began < effort.budget_seconds):
        part = next(parts, None)
        if part is None:
            is_complete = True
        else:
            found, bound = [*found, *part.found], part.bound
            effort.on_progress(_share_done(found, bound), f"{len(found)} plans of the front")
    kept = [entry.plan for entry in found if is_complete or entry.bottleneck > bound]
    plans = non_dominated(problem, encode_plans(problem, kept))
    return EngineOutcome(
        plans=plans,
        n_evaluated=len(kept),
        is_exact=is_complete,
        statement=_statement(problem, plans, is_complete, bound),
    )


def least_latency_plan(problem: SearchProblem, bound: float = np.inf) -> EncodedPlan | None:
    """The plan of least latency among those with no resource busier than `bound` seconds; None where there is none.

    Shared media and processors are no such resources here: a link or device of one counts by itself.

    Raises:
        TooManyStatesError: There is no room for all of them.
    """
    from partitioner.search.exact.descent import fastest_plan  # noqa: PLC0415  numba loads slowly, and only here

    return fastest_plan(problem, bound)


def _share_done(found: "list[Found]", bound: float) -> float:
    """How far the bound has come down from the bottleneck of the fastest plan."""
    ceiling = found[0].bottleneck
    return min(1.0, 1.0 - bound / ceiling) if ceiling else 1.0


def _statement(problem: SearchProblem, plans: EncodedPlans, is_complete: bool, bound: float) -> str:
    if is_complete:
        return (
            f"Exact under the cost model: labels over all subsets and orders of {problem.describe_choices()} met every "
            f"point of the front and proved that there are no more."
        )
    return (
        f"Incomplete: the budget ended after {len(plans)} plans; the front is exact where the bottleneck is above "
        f"{bound:.6g} s, and unknown below."
    )
