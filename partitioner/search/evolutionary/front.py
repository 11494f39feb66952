"""NSGA-II and NSGA-III over splits. The only module that imports pymoo; engines import it when it is asked for.

The survival is pymoo's (its non-dominated sorting, crowding distance, hyperplane normalisation and niching), the loop
is that of `generations`, where pymoo's would not resume to the last bit from plain arrays.

Source: Deb, Pratap, Agarwal and Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE
Transactions on Evolutionary Computation 6, 2002; Deb and Jain, "An evolutionary many-objective optimization algorithm
using reference-point-based nondominated sorting approach", IEEE Transactions on Evolutionary Computation 18, 2014; as
implemented by pymoo (Blank and Deb, IEEE Access 8, 2020).
"""

import warnings
from math import comb

import numpy as np
from pymoo.algorithms.moo.nsga3 import HyperplaneNormalization, associate_to_niches, calc_niche_count, niching
from pymoo.config import Config
from pymoo.operators.crossover.sbx import cross_sbx
from pymoo.operators.mutation.pm import mut_pm
from pymoo.operators.survival.rank_and_crowding.metrics import get_crowding_function
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
from pymoo.util.ref_dirs import get_reference_directions

from partitioner.front import FloatArray, IntArray
from partitioner.search.encoding import EncodedPlans
from partitioner.search.evolutionary.breeding import Genes, PermutationAndCuts
from partitioner.search.evolutionary.generations import POPULATION, Method, Selected
from partitioner.search.evolutionary.random_key import keys_of_plans, n_keys, plans_of_keys
from partitioner.search.evolutionary.running import evolve
from partitioner.search.outcome import Effort, EngineOutcome
from partitioner.search.problem import SearchProblem

Config.warnings["not_compiled"] = False  # printed on stdout; uncompiled pymoo is only slower

SBX_ETA, SBX_SHARE, PM_ETA = 15.0, 0.9, 20.0
"""Of the plain encoding: pymoo's defaults for NSGA-II."""


def nsga2_front(problem: SearchProblem, effort: Effort, *, population: int = POPULATION) -> EngineOutcome:
    """The best plans that NSGA-II met, with own operators and a memetic step on the archive (`local_search`).

    Args:
        problem: What to search.
        effort: Seed, budget and checkpoint; see `running.evolve` for what ends it.
        population: Size of the population, and of each generation's offspring.

    Raises:
        ArtefactError: The checkpoint is damaged, belongs to another search, or cannot be written.
    """
    method = Method(engine="nsga2", selection=RankAndCrowding(), breeding=PermutationAndCuts(), population=population)
    return evolve(problem, effort, method)


def nsga3_front(problem: SearchProblem, effort: Effort, *, population: int = POPULATION) -> EngineOutcome:
    """The best plans that NSGA-III met, as `nsga2_front`; one reference direction for each of the population."""
    method = Method(
        engine="nsga3", selection=ReferenceDirections(), breeding=PermutationAndCuts(), population=population
    )
    return evolve(problem, effort, method)


def nsga2_random_key_front(problem: SearchProblem, effort: Effort, *, population: int = POPULATION) -> EngineOutcome:
    """The best plans that NSGA-II met in the plain encoding: a baseline that shows what operators are worth.

    Seeds, archive and loop are those of `nsga2_front`; genes are random keys, crossed by simulated binary crossover,
    mutated polynomially, and no local search is done.
    """
    method = Method(
        engine="nsga2_random_key", selection=RankAndCrowding(), breeding=RandomKeys(), population=population
    )
    return evolve(problem, effort, method)


class RankAndCrowding:
    """NSGA-II's survival: by rank, and within the last rank by crowding distance; then the least forbidden."""

    label = "NSGA-II"

    def select(
        self,
        objectives: FloatArray,
        violations: FloatArray,
        n_survive: int,
        memory: FloatArray,
        random: np.random.Generator,
    ) -> Selected:
        """See `generations.Selection`. What crowds equally is in random order."""
        allowed = np.flatnonzero(np.isfinite(objectives).all(axis=1))
        order = [np.zeros(0, dtype=np.int64)]
        fronts = NonDominatedSorting().do(objectives[allowed], n_stop_if_ranked=n_survive) if len(allowed) else []
        for front in fronts:
            members = allowed[np.asarray(front, dtype=np.int64)]
            shuffled = random.permutation(members)
            distance = get_crowding_function("cd").do(objectives[shuffled])
            order.append(shuffled[np.argsort(-distance, kind="stable")])
        chosen = np.concatenate([*order, _least_forbidden(objectives, violations)])[:n_survive]
        return Selected(indices=chosen, standing=np.arange(len(chosen), dtype=np.float64), memory=memory)


class ReferenceDirections:
    """NSGA-III's survival: by rank, and within the last rank by niches around reference directions."""

    label = "NSGA-III"

    def select(
        self,
        objectives: FloatArray,
        violations: FloatArray,
        n_survive: int,
        memory: FloatArray,
        random: np.random.Generator,
    ) -> Selected:
        """See `generations.Selection`.

        The memory has the scale, the ideal and the worst point, then the extreme points: pymoo takes differences below
        1e-3 for none, so that objectives are scaled, by a scale that stays.
        """
        allowed = np.flatnonzero(np.isfinite(objectives).all(axis=1))
        chosen = np.zeros(0, dtype=np.int64)
        if len(allowed):
            memory = memory if len(memory) else np.maximum(objectives[allowed].min(axis=0), 1e-12)[None, :]
            kept, points = _niched(objectives[allowed] / memory[0], n_survive, memory[1:], random)
            chosen, memory = allowed[kept], np.vstack([memory[:1], points])
        rest = _least_forbidden(objectives, violations)[: n_survive - len(chosen)]
        standing = np.concatenate([np.zeros(len(chosen)), 1.0 + np.arange(len(rest))])
        return Selected(indices=np.concatenate([chosen, rest]), standing=standing, memory=memory)


class RandomKeys:
    """The plain encoding: simulated binary crossover and polynomial mutation on keys between 0 and 1."""

    label = "plain random-key encoding, a baseline"
    is_memetic = False

    def first(self, problem: SearchProblem, n_plans: int, seeds: EncodedPlans, random: np.random.Generator) -> Genes:
        """The first population: the seeds' keys, then random ones."""
        rest = random.random((max(0, n_plans - len(seeds)), n_keys(problem)))
        return np.concatenate([keys_of_plans(problem, seeds), rest])

    def children(self, problem: SearchProblem, firsts: Genes, seconds: Genes, random: np.random.Generator) -> Genes:
        """Two children of each pair of parents."""
        n_genes, n_pairs = n_keys(problem), len(firsts)
        low, high = np.zeros(n_genes), np.ones(n_genes)
        is_crossed = random.random(n_pairs) < SBX_SHARE
        parents = np.stack([firsts, seconds]).astype(np.float64)
        n_crossed = int(is_crossed.sum())
        parents[:, is_crossed] = cross_sbx(
            parents[:, is_crossed],
            low,
            high,
            np.full((n_crossed, 1), SBX_ETA),
            np.full((n_crossed, 1), 0.5),
            np.full((n_crossed, 1), 0.5),
            random_state=random,
        )
        children = parents.reshape(2 * n_pairs, n_genes)
        share = np.full(len(children), min(0.5, 1.0 / n_genes))
        mutated: Genes = mut_pm(
            children, low, high, np.full(len(children), PM_ETA), share, at_least_once=False, random_state=random
        )
        return mutated

    def plans(self, problem: SearchProblem, genes: Genes) -> EncodedPlans:
        """The plans that keys stand for."""
        return plans_of_keys(problem, genes.astype(np.float64))

    def genes(self, problem: SearchProblem, plans: EncodedPlans) -> Genes:
        """Keys that stand for plans."""
        return keys_of_plans(problem, plans)

    def are_genes(self, problem: SearchProblem, genes: Genes) -> bool:
        """Whether an array, from a file, holds keys."""
        return genes.shape[1] == n_keys(problem) and bool(((genes >= 0.0) & (genes <= 1.0)).all())


def _least_forbidden(objectives: FloatArray, violations: FloatArray) -> IntArray:
    """Indices of forbidden plans, least violation first."""
    forbidden = np.flatnonzero(~np.isfinite(objectives).all(axis=1))
    return forbidden[np.argsort(violations[forbidden], kind="stable")]


def _niched(
    objectives: FloatArray, n_survive: int, points: FloatArray, random: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Survivors by rank and niche, and the normalisation's points: ideal, worst, extremes."""
    n_objectives = objectives.shape[1]
    directions = reference_directions(n_objectives, n_survive)
    fronts = [np.asarray(f) for f in NonDominatedSorting().do(objectives, n_stop_if_ranked=n_survive)]
    norm = HyperplaneNormalization(n_objectives)
    if len(points):
        norm.ideal_point, norm.worst_point, norm.extreme_points = points[0], points[1], points[2:]
    with warnings.catch_warnings():  # pymoo silences all warnings of the process where it divides
        norm.update(objectives, nds=fronts[0])
    points = np.vstack([norm.ideal_point, norm.worst_point, norm.extreme_points])
    before = np.concatenate([np.zeros(0, dtype=np.int64), *fronts[:-1]])
    last = fronts[-1]
    if len(before) + len(last) <= n_survive:
        return np.concatenate([before, last]), points
    ranked = np.concatenate([before, last])
    niches, distances, _ = associate_to_niches(objectives[ranked], directions, norm.ideal_point, norm.nadir_point)
    counts = calc_niche_count(len(directions), niches[: len(before)])
    n_remaining = n_survive - len(before)
    kept = niching(last, n_remaining, counts, niches[len(before) :], distances[len(before) :], random_state=random)
    return np.concatenate([before, last[np.array(kept, dtype=np.int64)]]), points


def reference_directions(n_objectives: int, most: int) -> FloatArray:
    """(n_directions, n_objectives) evenly spread on the unit simplex, by Das and Dennis; at most `most` of them."""
    n_parts = 1
    while comb(n_parts + n_objectives, n_objectives - 1) <= most:
        n_parts += 1
    directions: FloatArray = get_reference_directions("das-dennis", n_objectives, n_partitions=n_parts)
    return directions
