"""Every plan, one after the other: the ground truth of small problems."""

from collections.abc import Iterator
from itertools import combinations, islice, permutations
from math import comb, perm

from partitioner.errors import PlanError
from partitioner.search.encoding import EncodedPlan, encode_plans, join_plans, non_dominated
from partitioner.search.outcome import Effort, EngineOutcome
from partitioner.search.problem import SearchProblem

MOST_PLANS = 2_000_000
CHUNK = 20_000


def exhaustive_front(problem: SearchProblem, effort: Effort) -> EngineOutcome:
    """The front of all plans, each evaluated; of those evaluated until then where the budget ends before.

    Raises:
        PlanError: There are more than `MOST_PLANS`.
    """
    n_plans = count_plans(problem)
    if n_plans > MOST_PLANS:
        raise PlanError(
            f"Engine 'exhaustive' would look at {n_plans:,} plans, more than its {MOST_PLANS:,}: use engine 'exact', "
            f"which gives the same front."
        )
    plans = iter(every_plan(problem))
    best, n_done = encode_plans(problem, []), 0
    began = effort.clock()
    while chunk := list(islice(plans, CHUNK)):
        best = non_dominated(problem, join_plans(best, encode_plans(problem, chunk)))
        n_done += len(chunk)
        effort.on_progress(n_done / n_plans, f"{n_done:,} of {n_plans:,} plans")
        if effort.budget_seconds is not None and effort.clock() - began >= effort.budget_seconds:
            break
    if n_done < n_plans:
        statement = f"Incomplete: the budget ended after {n_done:,} of {n_plans:,} plans."
    else:
        statement = f"Exact: each of the {n_plans:,} plans was evaluated."
    return EngineOutcome(plans=best, n_evaluated=n_done, is_exact=n_done == n_plans, statement=statement)


def count_plans(problem: SearchProblem) -> int:
    """Number of plans, forbidden ones included."""
    n_cuts = len(problem.positions) - 2
    sizes = range(1, problem.max_stages + 1)
    return sum(perm(problem.n_devices, size) * comb(n_cuts, size - 1) for size in sizes)


def every_plan(problem: SearchProblem) -> Iterator[EncodedPlan]:
    """Every plan over the allowed positions, forbidden ones included, fewest stages first."""
    inner = problem.positions[1:-1].tolist()
    for size in range(1, problem.max_stages + 1):
        for devices in permutations(range(problem.n_devices), size):
            for cuts in combinations(inner, size - 1):
                yield list(zip(devices, (*cuts, problem.n_units), strict=True))
