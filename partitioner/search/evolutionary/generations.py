"""The loop of the evolutionary engines, one generation at a time, from a state that is plain arrays.

pymoo's own loop keeps what it knows in nested objects which only its binary dump restores, so that this loop drives the
parts that matter (pymoo's survival, our or its variation) itself: a state is a value, the next one is a function of it,
and a run that goes on from a saved state is the same to the last bit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.encoding import evaluate
from partitioner.search.evolutionary.archive import Archive, empty_archive
from partitioner.search.evolutionary.breeding import Breeding, Genes
from partitioner.search.evolutionary.extremes import extreme_plans
from partitioner.search.evolutionary.local_search import improve
from partitioner.search.evolutionary.variation import violations
from partitioner.search.problem import SearchProblem

POPULATION = 100
N_EVALUATIONS = 200_000
"""Most plans evaluated where the effort names neither evaluations nor seconds."""
MOST_IDLE = 20
"""Generations without anything new after which there is nothing left to find."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Selected:
    """Who survives."""

    indices: IntArray
    standing: FloatArray
    """(n_survivors,) less is better; equal ones are parents with equal chance."""
    memory: FloatArray
    """(n_rows, n_objectives) what the selection has to know next time."""


class Selection(Protocol):
    """The choice of a population from a larger one. Has no state: shared freely between threads."""

    label: str
    """Name of the method, for people."""

    def select(
        self,
        objectives: FloatArray,
        violations: FloatArray,
        n_survive: int,
        memory: FloatArray,
        random: np.random.Generator,
    ) -> Selected:
        """At most `n_survive` of the plans with these objectives and violations, (n_plans, …), all minimised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """What distinguishes one evolutionary engine from another."""

    engine: str
    selection: Selection
    breeding: Breeding
    population: int = POPULATION


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Crowd:
    """Genes and what their plans cost."""

    genes: Genes
    """(n_plans, n_genes)"""
    objectives: FloatArray
    """(n_plans, n_objectives); infinity where a plan is forbidden."""
    violations: FloatArray
    """(n_plans,)"""

    def __len__(self) -> int:
        return len(self.genes)

    def take(self, indices: IntArray) -> "Crowd":
        """Those at the indices."""
        return Crowd(
            genes=self.genes[indices], objectives=self.objectives[indices], violations=self.violations[indices]
        )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class State:
    """Everything that the next generation depends on."""

    population: Crowd
    """No two of the same plan."""
    standing: FloatArray
    """(n_population,) as in `Selected`."""
    memory: FloatArray
    """As in `Selected`."""
    archive: Archive
    n_generations: int
    n_evaluated: int
    n_idle: int
    """Generations in a row without a new child, a plan to explore, or a better archive."""
    random_state: Mapping[str, Any]
    """Of the bit generator, at the end of the generation."""

    @property
    def is_exhausted(self) -> bool:
        """Whether there seems to be nothing left to find."""
        return self.n_idle >= MOST_IDLE


def first_state(problem: SearchProblem, method: Method, seed: int) -> State:
    """The first population, seeded with the two extreme plans where they can be computed."""
    random = np.random.default_rng(seed)
    genes = method.breeding.first(problem, method.population, extreme_plans(problem), random)
    crowd = crowd_of(problem, method, genes)
    archive = empty_archive(problem).add(method.breeding.plans(problem, genes), crowd.objectives)
    memory = np.zeros((0, crowd.objectives.shape[1]))
    return _selected(problem, method, crowd, archive, memory=memory, counts=(0, len(crowd), 0), random=random)


def next_state(problem: SearchProblem, method: Method, state: State) -> State:
    """The state one generation later."""
    random = generator_of(state.random_state)
    crowd = crowd_of(problem, method, _new_children(problem, method, state, random))
    archive = state.archive.add(method.breeding.plans(problem, crowd.genes), crowd.objectives)
    n_children = n_evaluated = len(crowd)
    crowd = _joined(state.population, crowd)
    if method.breeding.is_memetic:
        improvement = improve(problem, archive, method.breeding.plans(problem, crowd.genes), random)
        archive, n_evaluated = improvement.archive, n_evaluated + improvement.n_evaluated
        crowd = _joined(crowd, _archived(problem, method, archive))
    is_explored = not method.breeding.is_memetic or bool(archive.is_explored.all())
    is_idle = not n_children and is_explored and np.array_equal(archive.objectives, state.archive.objectives)
    counts = state.n_generations + 1, state.n_evaluated + n_evaluated, state.n_idle + 1 if is_idle else 0
    return _selected(problem, method, crowd, archive, memory=state.memory, counts=counts, random=random)


def generator_of(random_state: Mapping[str, Any]) -> np.random.Generator:
    """A generator that goes on from a state.

    Raises:
        ValueError, TypeError, KeyError, OverflowError: It is no state of PCG64.
    """
    random = np.random.Generator(np.random.PCG64())
    random.bit_generator.state = random_state
    return random


def crowd_of(problem: SearchProblem, method: Method, genes: Genes) -> Crowd:
    """Genes with objectives and violations; only what is forbidden can violate anything."""
    plans = method.breeding.plans(problem, genes)
    objectives = evaluate(problem, plans)
    amounts = np.zeros(len(plans))
    forbidden = np.flatnonzero(~np.isfinite(objectives).all(axis=1))
    amounts[forbidden] = violations(problem, plans.take(forbidden))
    return Crowd(genes=genes, objectives=objectives, violations=amounts)


def _new_children(problem: SearchProblem, method: Method, state: State, random: np.random.Generator) -> Genes:
    """Children of tournament winners, without those whose plan is known or comes twice."""
    n_pairs = method.population // 2
    firsts, seconds = (_winners(state.standing, n_pairs, random) for _ in range(2))
    known = state.population.genes
    genes = method.breeding.children(problem, known[firsts], known[seconds], random)
    everybody = np.concatenate([known, genes])
    unique = _first_of_each(problem, method, everybody)
    return genes[unique[unique >= len(known)] - len(known)]


def _winners(standing: FloatArray, n_winners: int, random: np.random.Generator) -> IntArray:
    """(n_winners,) of binary tournaments."""
    one, other = random.integers(len(standing), size=(2, n_winners))
    winners: IntArray = np.where(standing[one] <= standing[other], one, other)
    return winners


def _first_of_each(problem: SearchProblem, method: Method, genes: Genes) -> IntArray:
    """Indices, ascending, of the first gene of each plan."""
    rows = np.ascontiguousarray(method.breeding.plans(problem, genes).rows())
    codes = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    first: IntArray = np.sort(np.unique(codes, return_index=True)[1])
    return first


def _archived(problem: SearchProblem, method: Method, archive: Archive) -> Crowd:
    return Crowd(
        genes=method.breeding.genes(problem, archive.plans),
        objectives=archive.objectives,
        violations=np.zeros(len(archive)),
    )


def _joined(one: Crowd, other: Crowd) -> Crowd:
    return Crowd(
        genes=np.concatenate([one.genes, other.genes]),
        objectives=np.concatenate([one.objectives, other.objectives]),
        violations=np.concatenate([one.violations, other.violations]),
    )


def _selected(
    problem: SearchProblem,
    method: Method,
    crowd: Crowd,
    archive: Archive,
    *,
    memory: FloatArray,
    counts: tuple[int, int, int],
    random: np.random.Generator,
) -> State:
    crowd = crowd.take(_first_of_each(problem, method, crowd.genes))
    selected = method.selection.select(crowd.objectives, crowd.violations, method.population, memory, random)
    n_generations, n_evaluated, n_idle = counts
    return State(
        population=crowd.take(selected.indices),
        standing=selected.standing,
        memory=selected.memory,
        archive=archive,
        n_generations=n_generations,
        n_evaluated=n_evaluated,
        n_idle=n_idle,
        random_state=random.bit_generator.state,
    )
