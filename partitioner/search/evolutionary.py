"""NSGA-II over permutations and cuts. The only module that imports pymoo; engines import it when it is asked for.

Source: Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6, 2002; as implemented by pymoo (Blank and Deb, IEEE Access 8, 2020).
"""

from itertools import count
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.config import Config
from pymoo.core.crossover import Crossover
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination

from partitioner.front import IntArray
from partitioner.search.encoding import (
    EncodedPlan,
    EncodedPlans,
    decode_rows,
    encode_plans,
    evaluate,
    join_plans,
    non_dominated,
)
from partitioner.search.outcome import Effort, EngineOutcome
from partitioner.search.problem import SearchProblem
from partitioner.search.sampling import random_plans
from partitioner.search.variation import mutate, splice, violations

Config.warnings["not_compiled"] = False  # printed on stdout; uncompiled pymoo is only slower

N_EVALUATIONS = 20_000
"""Limit where the effort has no budget of seconds."""
POPULATION = 100
MATINGS = 5
"""Attempts to fill a generation with new plans; where plans are few, most children are known already."""
FORBIDDEN = 1e30
"""Objective of a forbidden plan; NSGA-II ranks those by their violation alone, and wants finite numbers."""


def nsga2_front(
    problem: SearchProblem, effort: Effort, *, n_evaluations: int = N_EVALUATIONS, population: int = POPULATION
) -> EngineOutcome:
    """The best plans met, not only those of the last population.

    Args:
        problem: What to search.
        effort: Seed, and a budget of seconds which, where given, replaces `n_evaluations`.
        n_evaluations: Most plans to evaluate, a multiple of `population`. Where plans are few and most children are
            known already, fewer are.
        population: Size of the population, and of each generation's offspring.
    """
    algorithm = _algorithm(problem, effort.seed, population)
    archive, n_done, began = encode_plans(problem, []), 0, effort.clock()
    for n_generations in count(1):
        generation = algorithm.ask()
        if generation is None:
            break
        algorithm.evaluator.eval(algorithm.problem, generation)
        algorithm.tell(infills=generation)
        archive = non_dominated(problem, join_plans(archive, decode_rows(_rows(generation))))
        n_done += len(generation)
        fraction = _fraction_done(effort, began, n_generations * population / n_evaluations)
        effort.on_progress(fraction, f"{n_done:,} plans evaluated, {len(archive)} on the front")
        if fraction >= 1.0:
            break
    statement = f"Heuristic: NSGA-II (population {population}, seed {effort.seed}) evaluated {n_done:,} plans."
    return EngineOutcome(plans=archive, n_evaluated=n_done, is_exact=False, statement=statement)


def _fraction_done(effort: Effort, began: float, fraction_of_evaluations: float) -> float:
    if effort.budget_seconds is None:
        return min(1.0, fraction_of_evaluations)
    return min(1.0, (effort.clock() - began) / max(effort.budget_seconds, 1e-9))


def _algorithm(problem: SearchProblem, seed: int, population: int) -> NSGA2:
    """A ready algorithm. pymoo accepts misspelt arguments without a word: the tests check that these took effect."""
    algorithm = NSGA2(
        pop_size=population,
        sampling=_RandomPlans(),
        crossover=_Splice(problem),
        mutation=_Mutate(problem),
        seed=seed,
    )
    algorithm.mating.n_max_iterations = MATINGS
    return algorithm.setup(_PymooProblem(problem), termination=NoTermination())


class _PymooProblem(Problem):  # type: ignore[misc]  # pymoo brings no types
    """Two objectives and one constraint, a whole generation at a time."""

    def __init__(self, search: SearchProblem) -> None:
        super().__init__(n_var=2 * search.n_devices, n_obj=2, n_ieq_constr=1, vtype=int)
        self.search = search

    def _evaluate(self, x: IntArray, out: dict[str, Any], *_: Any, **__: Any) -> None:
        plans = decode_rows(x.astype(np.int64))
        objectives = evaluate(self.search, plans)
        out["F"] = np.where(np.isfinite(objectives), objectives, FORBIDDEN)
        out["G"] = violations(self.search, plans)[:, None]


class _RandomPlans(Sampling):  # type: ignore[misc]  # pymoo brings no types
    """The first population."""

    def _do(self, problem: _PymooProblem, n_samples: int, *_: Any, random_state: Any, **__: Any) -> IntArray:
        return random_plans(problem.search, n_samples, random_state).rows()


class _Splice(Crossover):  # type: ignore[misc]  # pymoo brings no types
    """Two parents, two children: each begins as one parent and ends as the other."""

    def __init__(self, search: SearchProblem) -> None:
        super().__init__(n_parents=2, n_offsprings=2, prob=0.9)
        self.search = search

    def _do(self, _: _PymooProblem, x: IntArray, *__: Any, random_state: Any, **___: Any) -> IntArray:
        firsts, seconds = _plans(x[0]), _plans(x[1])
        children = [
            [splice(self.search, head, tail, random_state) for head, tail in zip(heads, tails, strict=True)]
            for heads, tails in ((firsts, seconds), (seconds, firsts))
        ]
        return np.stack([encode_plans(self.search, plans).rows() for plans in children])


class _Mutate(Mutation):  # type: ignore[misc]  # pymoo brings no types
    """One small change to each child."""

    def __init__(self, search: SearchProblem) -> None:
        super().__init__(prob=1.0)
        self.search = search

    def _do(self, _: _PymooProblem, x: IntArray, *__: Any, random_state: Any, **___: Any) -> IntArray:
        return encode_plans(self.search, [mutate(self.search, plan, random_state) for plan in _plans(x)]).rows()


def _rows(population: Any) -> IntArray:
    return np.asarray(population.get("X"), dtype=np.int64)


def _plans(rows: IntArray) -> list[EncodedPlan]:
    codes: EncodedPlans = decode_rows(rows.astype(np.int64))
    return [
        [(device, stop) for device, stop in zip(devices, stops, strict=True) if device >= 0]
        for devices, stops in zip(codes.devices.tolist(), codes.stops.tolist(), strict=True)
    ]
