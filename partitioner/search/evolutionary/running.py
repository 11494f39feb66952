"""A run of an evolutionary engine: from the first state or a checkpoint to the end of the effort."""

from partitioner.search.evolutionary.checkpoint import load_checkpoint, save_checkpoint
from partitioner.search.evolutionary.generations import N_EVALUATIONS, Method, State, first_state, next_state
from partitioner.search.outcome import Effort, EngineOutcome
from partitioner.search.problem import SearchProblem

CHECKPOINT_SECONDS = 2.0
"""Between two checkpoints."""


def evolve(problem: SearchProblem, effort: Effort, method: Method) -> EngineOutcome:
    """The best plans met, not only those of the last population.

    Ends after the generation in which the budget of evaluations or of seconds is reached, or where nothing new was
    found for long. Evaluations count from the first state on, seconds from this call. Where a checkpoint exists the run
    goes on from it; it is written every few seconds and at the end, also where an exception is the end. With a budget
    of evaluations, equal seeds give equal results, and a resumed run gives that of an uninterrupted one, bit for bit.

    Raises:
        ArtefactError: The checkpoint is damaged, belongs to another search, or cannot be written.
    """
    began = saved = effort.clock()
    state = _start(problem, effort, method)
    try:
        while (fraction := _fraction_done(effort, method, began, state)) < 1.0:
            effort.on_progress(fraction, f"{state.n_evaluated:,} plans evaluated, {len(state.archive)} on the front")
            state = next_state(problem, method, state)
            if effort.checkpoint is not None and effort.clock() - saved >= CHECKPOINT_SECONDS:
                save_checkpoint(effort.checkpoint, problem, method, effort.seed, state)
                saved = effort.clock()
    finally:
        if effort.checkpoint is not None:
            save_checkpoint(effort.checkpoint, problem, method, effort.seed, state)
    return EngineOutcome(
        plans=state.archive.plans,
        n_evaluated=state.n_evaluated,
        is_exact=False,
        statement=_statement(method, effort.seed, state),
    )


def _start(problem: SearchProblem, effort: Effort, method: Method) -> State:
    if effort.checkpoint is not None and effort.checkpoint.exists():
        return load_checkpoint(effort.checkpoint, problem, method, effort.seed)
    return first_state(problem, method, effort.seed)


def _fraction_done(effort: Effort, method: Method, began: float, state: State) -> float:
    """Of the budget that ends first. Without one, small problems end by generations, which evaluate little there."""
    if state.is_exhausted:
        return 1.0
    most = effort.n_evaluations
    fractions = [0.0] if most is None else [state.n_evaluated / max(most, 1)]
    if most is None and effort.budget_seconds is None:
        n_done = max(state.n_evaluated, state.n_generations * method.population)
        fractions.append(n_done / N_EVALUATIONS)
    if effort.budget_seconds is not None:
        fractions.append((effort.clock() - began) / max(effort.budget_seconds, 1e-9))
    return min(1.0, max(fractions))


def _statement(method: Method, seed: int, state: State) -> str:
    return (
        f"Heuristic: {method.selection.label} ({method.breeding.label}; population {method.population}, seed {seed}) "
        f"evaluated {state.n_evaluated:,} plans in {state.n_generations:,} generations."
    )
