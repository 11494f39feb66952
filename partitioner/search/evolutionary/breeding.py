"""How genes stand for plans, and how children come of parents: what an evolutionary engine is given."""

from typing import Protocol

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.encoding import EncodedPlans, decode_rows, join_plans
from partitioner.search.evolutionary.variation import mutate, splice
from partitioner.search.problem import SearchProblem
from partitioner.search.sampling import random_plans

Genes = FloatArray | IntArray
"""(n_plans, n_genes)"""
CROSSOVER_SHARE = 0.7
"""Of the pairs of parents whose children are spliced; the other children are copies. All are mutated then."""


class Breeding(Protocol):
    """An encoding with its crossover and mutation. Has no state: shared freely between threads."""

    label: str
    """A few words for people."""
    is_memetic: bool
    """Whether plans of the archive are improved by local search."""

    def first(self, problem: SearchProblem, n_plans: int, seeds: EncodedPlans, random: np.random.Generator) -> Genes:
        """The first population: the seeds, then random plans."""

    def children(self, problem: SearchProblem, firsts: Genes, seconds: Genes, random: np.random.Generator) -> Genes:
        """Two children of each pair of parents."""

    def plans(self, problem: SearchProblem, genes: Genes) -> EncodedPlans:
        """The plans that genes stand for; they obey pins, numbers of stages and positions."""

    def genes(self, problem: SearchProblem, plans: EncodedPlans) -> Genes:
        """Genes that stand for plans."""

    def are_genes(self, problem: SearchProblem, genes: Genes) -> bool:
        """Whether an array, from a file, holds genes."""


class PermutationAndCuts:
    """Genes are the order of devices and the cuts themselves; the operators of `variation` keep them valid."""

    label = "permutation-and-cut encoding, own operators, local search and recutting of the archive"
    is_memetic = True

    def first(self, problem: SearchProblem, n_plans: int, seeds: EncodedPlans, random: np.random.Generator) -> Genes:
        """The first population: the seeds, then random plans."""
        return join_plans(seeds, random_plans(problem, max(0, n_plans - len(seeds)), random)).rows()

    def children(self, problem: SearchProblem, firsts: Genes, seconds: Genes, random: np.random.Generator) -> Genes:
        """Two children of each pair of parents."""
        one, other = self.plans(problem, firsts), self.plans(problem, seconds)
        heads, tails = join_plans(one, other), join_plans(other, one)
        is_crossed = np.tile(random.random(len(one)) < CROSSOVER_SHARE, 2)
        spliced = splice(problem, heads.take(is_crossed), tails.take(is_crossed), random)
        return mutate(problem, join_plans(spliced, heads.take(~is_crossed)), random).rows()

    def plans(self, problem: SearchProblem, genes: Genes) -> EncodedPlans:  # noqa: ARG002  a breeding's signature
        """The plans that genes stand for."""
        return decode_rows(genes.astype(np.int64))

    def genes(self, problem: SearchProblem, plans: EncodedPlans) -> Genes:  # noqa: ARG002  a breeding's signature
        """Genes that stand for plans."""
        return plans.rows()

    def are_genes(self, problem: SearchProblem, genes: Genes) -> bool:
        """Whether an array, from a file, holds rows of plans."""
        return are_rows(problem, genes)


def are_rows(problem: SearchProblem, rows: Genes) -> bool:
    """Whether an array holds rows of plans: stages first, each with a device of the problem, their stops ascending."""
    if rows.shape[1] != 2 * problem.n_devices or rows.dtype.kind != "i":
        return False
    plans = decode_rows(rows.astype(np.int64))
    works = plans.devices >= 0
    is_device = (plans.devices >= -1) & (plans.devices < problem.n_devices)
    ascends = np.diff(plans.stops, axis=1, prepend=0) > 0
    is_padded = (plans.devices == -1) & (plans.stops == problem.n_units)
    is_last = np.append(works[:, 1:], np.zeros((len(rows), 1), dtype=np.bool_), axis=1) <= works
    return bool(
        (is_device & is_last & (plans.stops <= problem.n_units) & np.where(works, ascends, is_padded)).all()
        and works[:, 0].all()
    )
