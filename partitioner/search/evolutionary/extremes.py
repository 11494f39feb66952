"""The ends of a front by dynamic programming: what evolutionary engines are seeded with."""

from dataclasses import replace

import numpy as np

from partitioner.search.encoding import EncodedPlan, EncodedPlans, encode_plans
from partitioner.search.exact.front import least_latency_plan
from partitioner.search.problem import TWO_OBJECTIVES, SearchProblem

MOST_CELLS = 500_000_000
"""Cells of one pass of the dynamic programme up to which it is run: some seconds."""


def extreme_plans(problem: SearchProblem, *, most_cells: int = MOST_CELLS) -> EncodedPlans:
    """The plans of least latency and of least bottleneck, and of the least of each other objective that is a sum.

    There are none where they are too dear to compute or do not exist, and perhaps none that keep all bounds.

    Args:
        problem: What to split.
        most_cells: Cells, 2^n_devices · n_devices · n_positions² / 2, above which nothing is computed.
    """
    n_cells = 2.0**problem.n_devices * problem.n_devices * len(problem.positions) ** 2 / 2
    if n_cells > most_cells:
        return encode_plans(problem, [])
    extremes = [plan for plan in (least_latency_plan(problem), least_bottleneck_plan(problem)) if plan]
    return encode_plans(problem, [*extremes, *least_sum_plans(problem)])


def least_sum_plans(problem: SearchProblem) -> list[EncodedPlan]:
    """The plan that is least in each objective that is a sum, latency apart; bounds on sums are not looked at."""
    others = tuple(name for name in problem.objectives if name not in TWO_OBJECTIVES)
    if not others:
        return []
    from partitioner.search.labels.costs import label_problem  # noqa: PLC0415  numba loads slowly
    from partitioner.search.labels.guides import guided, plain_guides  # noqa: PLC0415

    labels = label_problem(replace(problem, objectives=others), 0.0)
    guides = plain_guides(labels)[: labels.n_objective_sums]
    return list(guided(labels, guides, np.inf).plans)


def least_bottleneck_plan(problem: SearchProblem) -> EncodedPlan | None:
    """The plan of least latency among those of least bottleneck; None where no plan is allowed."""
    bound = least_bottleneck_seconds(problem)
    return least_latency_plan(problem, bound) if np.isfinite(bound) else None


def least_bottleneck_seconds(problem: SearchProblem) -> float:
    """The least bottleneck that any allowed plan has, in seconds; infinity where none is allowed.

    The dynamic programme over (devices used, last of them, position) with the maximum in place of the sum: a maximum
    of exact figures is exact, so that the bound admits the plan to the last bit.
    """
    kept, client = problem.positions, problem.n_devices
    stages = problem.work_seconds[:, kept[:, None], kept[None, :]]
    busy = problem.busy_seconds[:, :, kept]
    table = np.full((1 << client, client, len(kept)), np.inf)
    subsets = np.arange(1 << client)
    sizes = sum((subsets >> device) & 1 for device in range(client))
    for size in range(problem.max_stages):
        for device in range(client):
            before = subsets[(sizes == size) & ((subsets >> device) & 1 == 0)]
            if size:
                starts = np.min(np.maximum(table[before], busy[None, :client, device]), axis=1)
            else:
                starts = np.full((1, len(kept)), np.inf)
                starts[0, 0] = busy[client, device, 0] if problem.pinned_first in (None, device) else np.inf
            for row, subset in enumerate(before | (1 << device)):
                if np.isfinite(starts[row]).any():
                    table[subset, device] = np.min(np.maximum(starts[row][:, None], stages[device]), axis=0)
    ends = np.maximum(table[:, :, -1], busy[None, :client, client, -1])
    wanted = slice(None) if problem.pinned_last is None else slice(problem.pinned_last, problem.pinned_last + 1)
    return float(ends[:, wanted].min())
