"""Sweeps that are predicted: from stored profiles, under thousands of network conditions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from coordinator.sweep.axes import Axes, asked_axes
from coordinator.sweep.predicted import PredictedSweep
from coordinator.sweep.predicted_parts import Judged, Question, conclude
from coordinator.sweep.workers import Item, Result, ThisProcess, Workers
from partitioner.cluster import Cluster
from partitioner.cost import CostModel
from partitioner.decisions.candidates import KINDS, plan_kind
from partitioner.decisions.many_conditions import (
    Fronts,
    LinkStates,
    PoolPart,
    cost_pool,
    find_fronts,
    join_fronts,
    judge_pool,
    link_states,
    pair_plans,
    whole_plans,
    without_model,
)
from partitioner.errors import PlanError
from partitioner.front import FloatArray, IntArray
from partitioner.plan import Plan, Stage
from partitioner.search.building import build_problem
from partitioner.search.encoding import EncodedPlans, decode_stages, encode_plans, encode_stages, join_plans
from partitioner.search.outcome import Progress, no_progress
from partitioner.search.problem import TWO_OBJECTIVES, SearchProblem
from partitioner.search.robust.network import NetworkCondition, apply_condition

Label = Callable[[tuple[Stage, ...]], str]
FRONTS_DONE, JUDGED_DONE = 0.75, 0.9
"""Of the progress that is told."""
MOST_CELLS = 400_000
"""Candidates times conditions whose costs are kept, beyond those that must be: some 16 MB of JSON."""


def predict_sweep(
    problem: SearchProblem | CostModel,
    conditions: Sequence[NetworkCondition],
    *,
    apply: Callable[[NetworkCondition], Cluster] | None = None,
    axes: Callable[[NetworkCondition], Axes] | None = None,
    plans: Sequence[Plan] = (),
    label: Label | None = None,
    home: str | None = None,
    workers: Workers | None = None,
    on_progress: Progress | None = None,
) -> PredictedSweep:
    """The exact front under each condition, and what to run where.

    Every plan on any front is judged under every condition. The numbers are the same to the last bit whoever computes.

    Args:
        problem: Made by `build_problem`; a cost model alone is searched without wishes.
        conditions: Their names differ.
        apply: The cluster under a condition, of the problem's devices; `apply_condition` on the problem's cluster where
            None. Called here, never by workers.
        axes: Where a condition stands on a map; by what it asks of links where None.
        plans: Further ones that are judged and stand among the candidates; only their stages count.
        label: Names plans; their stages in words where None.
        home: The device where the inputs are, so that the whole model there is "do not split"; the cluster's first one
            where None.
        workers: Who computes; this process where None.
        on_progress: Called with the fraction done and a line for people.

    Raises:
        PlanError: The problem, a plan or a condition does not fit; or under no condition there is a plan.
        WorkersError: The workers are gone.
    """
    built = build_problem(problem) if isinstance(problem, CostModel) else problem
    question = _question(built, conditions, apply=apply, axes=axes, label=label, home=home)
    given = encode_plans(built, [encode_stages(built, plan.stages) for plan in plans])
    run = _Run(workers=workers or ThisProcess(), tell=on_progress or no_progress, nominal=without_model(built))
    links = link_states(question.clusters, built.device_names)
    fronts = join_fronts([*run.parts(find_fronts, links.parts(), 0.0, FRONTS_DONE, "fronts")])
    if not len(fronts.plans):
        raise PlanError(f"Under none of {len(conditions)} conditions is any plan possible: look at memory and links.")
    whole = whole_plans(built)
    pairs = pair_plans(built) if question.n_devices == 2 else encode_plans(built, [])
    pool = _simplest_first(question, join_plans(whole, given, pairs, fronts.plans).unique())
    judged = _judged(run, links, fronts, pool)
    chosen = _candidates(judged, [_rows_in(pool, one) for one in (whole, given, pairs)], len(conditions))
    costs = np.concatenate(
        [*run.parts(cost_pool, _pool_parts(links, pool.take(chosen), judged.best), JUDGED_DONE, 1.0, "candidates")]
    )
    run.tell(1.0, f"{len(conditions)} conditions")
    return conclude(question, judged, chosen, costs)


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Work that is handed out, and told of."""

    workers: Workers
    tell: Progress
    nominal: SearchProblem

    def parts(
        self,
        function: Callable[[SearchProblem, Item], Result],
        items: Sequence[Item],
        low: float,
        high: float,
        what: str,
    ) -> Iterator[Result]:
        """Results in the order of the items, and progress as they come."""
        found: dict[int, Result] = {}
        for index, result in self.workers.run(function, self.nominal, items):
            found[index] = result
            self.tell(low + (high - low) * len(found) / len(items), f"{what}: {len(found)} of {len(items)} parts")
        return iter([found[index] for index in range(len(items))])


def _question(
    built: SearchProblem,
    conditions: Sequence[NetworkCondition],
    *,
    apply: Callable[[NetworkCondition], Cluster] | None,
    axes: Callable[[NetworkCondition], Axes] | None,
    label: Label | None,
    home: str | None,
) -> Question:
    model = built.cost_model
    names = [condition.name for condition in conditions]
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if model is None or built.objectives != TWO_OBJECTIVES or built.crews is not None:
        raise PlanError(
            "A predicted sweep wants a problem of a cost model, with latency and bottleneck as objectives and without "
            "replicas: make it with build_problem, or search the front of one condition."
        )
    if not names or repeated:
        raise PlanError(f"A sweep wants conditions of different names; got {', '.join(repeated) or 'none'}.")
    if home is not None and home not in built.device_names:
        raise PlanError(f"Inputs are at {home!r}, which is none of {', '.join(built.device_names)}.")
    return Question(
        problem=built,
        model=model,
        conditions=tuple(conditions),
        clusters=tuple((apply or (lambda one: apply_condition(model.cluster, one)))(one) for one in conditions),
        axes=tuple((axes or (lambda one: asked_axes(one, model.cluster)))(one) for one in conditions),
        label=label or (lambda stages: Plan(model_sha256="", batch=1, stages=stages, window=1).describe()),
        home=home or built.device_names[0],
    )


def _judged(run: _Run, links: LinkStates, fronts: Fronts, pool: EncodedPlans) -> Judged:
    best = np.full((len(links), 2), np.inf)
    edges = np.append(0, np.cumsum(fronts.lengths))
    for index in np.flatnonzero(fronts.lengths):
        best[index] = fronts.points[edges[index] : edges[index + 1]].min(axis=0)
    parts = [
        *run.parts(judge_pool, _pool_parts(links, pool, best), FRONTS_DONE, JUDGED_DONE, f"judging {len(pool)} plans")
    ]
    worst = np.max([part.worst for part in parts], axis=0)
    mean = sum(part.total for part in parts) / np.count_nonzero(fronts.lengths)
    return Judged(
        pool=pool, fronts=fronts, members=_rows_in(pool, fronts.plans), best=best, worst=worst, mean=np.asarray(mean)
    )


def _pool_parts(links: LinkStates, pool: EncodedPlans, best: FloatArray) -> list[PoolPart]:
    parts, first = [], 0
    for part in links.parts():
        parts.append(PoolPart(plans=pool, links=part, best=best[first : first + len(part)]))
        first += len(part)
    return parts


def _simplest_first(question: Question, plans: EncodedPlans) -> EncodedPlans:
    """In the order in which plans of equal figures are preferred."""
    kinds = [
        KINDS.index(plan_kind(decode_stages(question.problem, plans, row), question.home)) for row in range(len(plans))
    ]
    return plans.take(np.argsort(kinds, kind="stable"))


def _candidates(judged: Judged, musts: Sequence[IntArray], n_conditions: int) -> IntArray:
    """Rows of the pool, ascending: those that must be, those of least regret, and those that are best most often."""
    least = [np.lexsort((first, second))[:1] for first, second in _columns(judged)]
    won = np.concatenate([judged.winners(objective) for objective in (0, 1)] + [judged.knees])
    plans, counts = np.unique(won, return_counts=True)
    wanted = [*least, plans[np.lexsort((plans, -counts))]]
    kept = dict.fromkeys(np.concatenate(musts).tolist())
    room = max(MOST_CELLS // n_conditions - len(kept), 0) + sum(map(len, least))
    fresh = [row for row in dict.fromkeys(np.concatenate(wanted).tolist()) if row not in kept]
    return np.array(sorted([*kept, *fresh[:room]]), dtype=np.int64)


def _columns(judged: Judged) -> Iterator[tuple[FloatArray, FloatArray]]:
    for objective in (0, 1):
        yield judged.mean[:, objective], judged.worst[:, objective]
        yield judged.worst[:, objective], judged.mean[:, objective]


def _rows_in(pool: EncodedPlans, plans: EncodedPlans) -> IntArray:
    """(n_plans,) where each plan stands in the pool, which has it."""
    row_of = {row: index for index, row in enumerate(map(tuple, pool.rows().tolist()))}
    return np.array([row_of[row] for row in map(tuple, plans.rows().tolist())], dtype=np.int64)
