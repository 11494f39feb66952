"""The one call that runs an engine, and what it certifies."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from partitioner.cost import CostModel
from partitioner.errors import InfeasibleError, NoneFoundError, PlanError
from partitioner.front import FloatArray
from partitioner.hypervolume import hypervolume
from partitioner.plan import Candidate
from partitioner.search.building import build_problem
from partitioner.search.encoding import decode, evaluate
from partitioner.search.exact.front import exact_front
from partitioner.search.infeasible import check_feasible
from partitioner.search.outcome import Clock, Effort, EngineOutcome, Progress, no_progress
from partitioner.search.problem import SearchProblem
from partitioner.search.registry import COMPARED, ENGINES, beyond_two_objectives, check_engine, default_engine
from partitioner.search.relaxation import explain_bounds
from partitioner.search.result import Certificate, SearchResult
from partitioner.search.sampling import random_valid_plans

CHEAP_CELLS = 100_000_000
"""States of the exact engine times positions up to which a front is compared with the exact one: about a second."""
REPLACED = "Engine 'labels' took the place of 'exact', which does not add up what is shared (media, processors)."
REFERENCE_MARGIN = 1.1
"""The reference of hypervolumes is this times the worst of each objective on the front."""


def search(
    problem: SearchProblem | CostModel,
    engine: str | None = None,
    *,
    budget_seconds: float | None = None,
    accuracy: float = 0.0,
    n_evaluations: int | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
    n_dominated: int = 200,
    on_progress: Progress | None = None,
    clock: Clock = time.monotonic,
) -> SearchResult:
    """The front of the problem's objectives with its certificate.

    Args:
        problem: Made by `build_problem`; a cost model alone is searched without wishes.
        engine: One of `ENGINES`; None takes `default_engine`, which also takes the place of `exact` where links share
            a medium, or devices a processor.
        budget_seconds: The engine stops then with what it has; it ends by itself where this is None.
        accuracy: The share by which plans of engine `labels` may exceed others in every objective; 0 is exact.
        n_evaluations: Plans after which an engine of `HEURISTICS` ends, those of a resumed checkpoint included.
        seed: Of all randomness; equal seeds give equal results, unless a budget of seconds ends the engine.
        checkpoint: File in which an engine of `HEURISTICS` keeps its state, and from which it goes on where it exists.
        n_dominated: Most other plans to return for the picture.
        on_progress: Called with the fraction done and a line for people.
        clock: Seconds, never going back.

    Raises:
        PlanError: The engine is unknown, keeps no checkpoint, or cannot take this problem.
        ArtefactError: The checkpoint is damaged, belongs to another search, or cannot be written.
        TooManyStatesError: There is no room in engine `exact` for the problem.
        InfeasibleError: No plan satisfies the constraints.
        NoneFoundError: The engine found none within its budget.
    """
    began = clock()
    built = build_problem(problem) if isinstance(problem, CostModel) else problem
    asked = engine or default_engine(built)
    check_engine(asked, built.objectives, built.bounds, has_checkpoint=checkpoint is not None)
    _check_replicas(built, asked)
    is_replaced = asked == "exact" and built.shares_resources
    engine = default_engine(built) if is_replaced else asked
    has_plans = check_feasible(built)
    effort = Effort(
        seed=seed,
        budget_seconds=budget_seconds,
        accuracy=0.0 if is_replaced else accuracy,
        n_evaluations=n_evaluations,
        checkpoint=checkpoint,
        on_progress=on_progress or no_progress,
        clock=clock,
    )
    outcome = ENGINES[engine](built, effort)
    if not len(outcome.plans):
        raise _error_of_nothing(built, engine, outcome, has_plans=has_plans)
    if is_replaced:
        outcome = replace(outcome, statement=f"{REPLACED} {outcome.statement}")
    effort.on_progress(1.0, f"{len(outcome.plans)} plans on the front")
    return SearchResult(
        engine=engine,
        front=decode(built, outcome.plans),
        dominated=_dominated_sample(built, outcome, n_dominated, seed),
        certificate=certify(built, outcome, is_compared=engine in COMPARED),
        seed=seed,
        seconds=clock() - began,
        n_evaluated=outcome.n_evaluated,
        objectives=built.objectives,
    )


def _error_of_nothing(
    problem: SearchProblem, engine: str, outcome: EngineOutcome, *, has_plans: bool
) -> InfeasibleError | NoneFoundError:
    if outcome.is_exact:
        return InfeasibleError(explain_bounds(problem) if problem.bounds else "No plan satisfies the constraints.")
    best = default_engine(problem)
    which = "give it more" if engine == best else f"give it more, or use engine {best!r}"
    known = "Plans exist" if has_plans else "Plans may exist"
    return NoneFoundError(f"{known}, but engine {engine!r} found none within its budget: {which}.")


def _check_replicas(problem: SearchProblem, engine: str) -> None:
    if problem.crews is not None and engine in COMPARED:
        raise PlanError(f"Engine {engine!r} places no replicas: use engine {default_engine(problem)!r}.")


def certify(problem: SearchProblem, outcome: EngineOutcome, *, is_compared: bool = True) -> Certificate:
    """How far an outcome may be from the true front.

    Args:
        problem: What was searched.
        outcome: What was found.
        is_compared: Whether the exact front is computed beside one that is not exact, where that is cheap.
    """
    found = evaluate(problem, outcome.plans)
    exact = found if outcome.is_exact else _cheap_exact_front(problem) if is_compared else None
    points = found if exact is None else np.concatenate([found, exact])
    reference = reference_point(points)
    volume = hypervolume(found, reference)
    exact_volume = None if exact is None else hypervolume(exact, reference)
    return Certificate(
        is_exact=outcome.is_exact,
        statement=_statement(outcome, volume, exact_volume) if is_compared else outcome.statement,
        hypervolume=volume,
        exact_hypervolume=exact_volume,
        reference=reference,
        gap=0.0 if outcome.is_exact else outcome.gap,
    )


def reference_point(points: FloatArray) -> tuple[float, ...]:
    """Of hypervolumes: a little worse than the worst of (n_plans, n_objectives) in each objective."""
    return tuple((points.max(axis=0) * REFERENCE_MARGIN).tolist())


def _statement(outcome: EngineOutcome, hypervolume: float, exact_hypervolume: float | None) -> str:
    if outcome.is_exact:
        return outcome.statement
    if exact_hypervolume is None:
        return f"{outcome.statement} The exact front is too dear here, so that the distance to it is unknown."
    share = hypervolume / exact_hypervolume
    return f"{outcome.statement} Its hypervolume is {share:.4f} of the exact front's."


def _cheap_exact_front(problem: SearchProblem) -> FloatArray | None:
    """(n_plans, 2) objectives of the exact front, or None where it would take long."""
    cells = 2**problem.n_devices * problem.n_devices * len(problem.positions) ** 2
    if cells > CHEAP_CELLS or beyond_two_objectives(problem.objectives, problem.bounds) or problem.shares_resources:
        return None
    return evaluate(problem, exact_front(problem, Effort()).plans)


def _dominated_sample(problem: SearchProblem, outcome: EngineOutcome, n_plans: int, seed: int) -> tuple[Candidate, ...]:
    """Random valid plans that some plan of the front dominates."""
    front = evaluate(problem, outcome.plans)
    drawn = random_valid_plans(problem, n_plans, np.random.default_rng(seed))
    objectives = evaluate(problem, drawn)[:, None, :]
    beaten = np.all(front <= objectives, axis=2) & np.any(front < objectives, axis=2)
    return decode(problem, drawn.take(beaten.any(axis=1)))
