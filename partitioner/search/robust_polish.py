"""Better compromises between worst latency and worst bottleneck regret: Pareto local search from the plans at hand.

The exact parts of the search give both ends of the front of worst regrets; between them no ordinary problem has the
same objectives. Plans next to those of the front (`neighbourhood`) are first judged under the conditions that are
hardest on the plan they come from: what is already beaten there cannot enter.
"""

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.archive import Archive, empty_archive
from partitioner.search.encoding import EncodedPlans, evaluate, join_plans
from partitioner.search.neighbourhood import neighbours
from partitioner.search.problem import SearchProblem
from partitioner.search.robust_conditions import Conditions
from partitioner.search.robust_judged import JudgedPlans, judge, worst_regrets
from partitioner.search.robust_watch import Watch

N_ROUNDS, N_EXPLORED = 5, 5
"""Rounds, and plans whose neighbourhoods are looked at in each."""
N_HARDEST = 5
"""Conditions in each objective, for each of those plans, under which neighbours are judged first."""


def polish(conditions: Conditions, judged: JudgedPlans, watch: Watch) -> JudgedPlans:
    """The plans at hand, and such that improve on the front of their worst regrets; ends with the budget at the latest.

    A plan that beats the best of a condition that was taken for known is kept, too; it only lowers that best.
    """
    best = judged.best
    merged = conditions.worst(1 / best[:, 1])
    archive = empty_archive(merged).add(judged.plans, worst_regrets(judged.objectives, best))
    random = np.random.default_rng(0)
    for _ in range(N_ROUNDS):
        explored = random.permutation(np.flatnonzero(~archive.is_explored))[:N_EXPLORED]
        if not len(explored) or watch.is_over():
            break
        found = judge(conditions, _promising(conditions, best, merged, archive, explored))
        archive = archive.explore(explored).add(found.plans, worst_regrets(found.objectives, best))
        judged = judged.add(found)
    return judged


def _promising(
    conditions: Conditions, best: FloatArray, merged: SearchProblem, archive: Archive, rows: IntArray
) -> EncodedPlans:
    """Neighbours of some plans that no plan of the archive beats under the conditions that are hardest on those."""
    plans = archive.plans.take(rows)
    bottlenecks = evaluate(merged, plans)[:, 1].tolist()
    near = join_plans(
        *(neighbours(merged, archive.plan(int(row)), peak) for row, peak in zip(rows, bottlenecks, strict=True))
    ).unique()
    ratios = judge(conditions, plans).objectives / best[:, None, :]
    hardest = np.unique(np.argsort(-ratios, axis=0, kind="stable")[:N_HARDEST])
    partly = np.stack([evaluate(conditions.problems[index], near) for index in hardest])
    regrets = worst_regrets(partly, best[hardest])
    is_beaten = np.zeros(len(near), dtype=np.bool_)
    for known in archive.objectives:
        is_beaten |= np.all(known <= regrets, axis=1)
    return near.take(~is_beaten)
