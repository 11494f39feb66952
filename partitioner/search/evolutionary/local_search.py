"""The memetic step: plans of the archive improved by looking around them.

Two ways, both on few plans at a time: the whole neighbourhood of a plan (Pareto local search), and the best cuts for a
known order of devices under the bottleneck of some plan of the archive.
"""

from dataclasses import dataclass

import numpy as np

from partitioner.search.encoding import EncodedPlan, EncodedPlans, encode_plans, evaluate, join_plans
from partitioner.search.evolutionary.archive import Archive
from partitioner.search.evolutionary.loads import loads_of
from partitioner.search.evolutionary.neighbourhood import neighbours
from partitioner.search.evolutionary.recutting import recut
from partitioner.search.problem import SearchProblem

N_EXPLORED = 2
"""Plans of the archive whose neighbourhood is looked at in each step."""
RECUT_CELLS, MOST_RECUT = 2_500_000, 8
"""Cells of the dynamic programmes of one step, and most of them; one is always done."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Improvement:
    """What a step of local search left."""

    archive: Archive
    n_evaluated: int
    """Plans evaluated for it; recutting an order counts as one."""


def improve(problem: SearchProblem, archive: Archive, pool: EncodedPlans, random: np.random.Generator) -> Improvement:
    """The archive after one step.

    Args:
        problem: What is searched.
        archive: What to improve.
        pool: Plans whose orders of devices are worth new cuts; not empty.
        random: Chooses among both.
    """
    if not len(archive):
        return Improvement(archive=archive, n_evaluated=0)
    explored = random.permutation(np.flatnonzero(~archive.is_explored))[:N_EXPLORED]
    bottlenecks = loads_of(problem, archive.plans.take(explored)).bottlenecks.tolist()
    parts = [neighbours(problem, archive.plan(int(row)), most) for row, most in zip(explored, bottlenecks, strict=True)]
    found = join_plans(*parts, encode_plans(problem, _recuts(problem, archive, pool, random)))
    return Improvement(archive=archive.explore(explored).add(found, evaluate(problem, found)), n_evaluated=len(found))


def _recuts(
    problem: SearchProblem, archive: Archive, pool: EncodedPlans, random: np.random.Generator
) -> list[EncodedPlan]:
    """Random orders of the pool with the best cuts below the bottlenecks of random plans of the archive."""
    cells = problem.n_devices * len(problem.positions) ** 2
    n_recuts = min(MOST_RECUT, max(1, RECUT_CELLS // cells))
    chosen = archive.plans.take(random.integers(len(archive), size=n_recuts))
    bounds = np.nextafter(loads_of(problem, chosen).bottlenecks, 0.0)
    orders = pool.devices[random.integers(len(pool), size=n_recuts)]
    plans = [
        recut(problem, order[order >= 0].tolist(), float(bound)) for order, bound in zip(orders, bounds, strict=True)
    ]
    return [plan for plan in plans if plan is not None]
