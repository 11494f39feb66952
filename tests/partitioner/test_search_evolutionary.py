from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.config import Config
from search_builders import random_problem, smooth_problem

from partitioner.search.encoding import encode_plans, evaluate
from partitioner.search.engines import certify
from partitioner.search.evolutionary import _algorithm, _plans, nsga2_front
from partitioner.search.exact import exact_front
from partitioner.search.infeasible import least_memory_scale
from partitioner.search.outcome import Effort
from partitioner.search.sampling import possible_stages, random_plans
from partitioner.search.variation import mutate, repair, splice, violations


@given(st.integers(0, 10_000))
def test_whatever_is_made_obeys_pins_stages_and_positions(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, int(random.integers(1, 6)), int(random.integers(1, 10)))
    problem = replace(
        problem,
        link_fixed_seconds=np.zeros_like(problem.link_fixed_seconds),
        device_memory_bytes=np.full(problem.n_devices, np.inf),
    )
    least, most = possible_stages(problem)
    if least > most:
        return
    parents = _plans(random_plans(problem, 6, random).rows())
    children = [splice(problem, head, tail, random) for head in parents for tail in parents]
    children += [mutate(problem, plan, random) for plan in parents for _ in range(4)]
    assert np.isfinite(evaluate(problem, encode_plans(problem, children))).all()


def test_repair_leaves_good_plans_alone():
    random = np.random.default_rng(0)
    problem = random_problem(random, 4, 9, has_limits=False)
    for plan in _plans(random_plans(problem, 50, random).rows()):
        assert repair(problem, plan, random) == plan


def test_mutation_reaches_every_plan():
    random = np.random.default_rng(1)
    problem = random_problem(random, 3, 3, has_limits=False)
    plan, seen = [(0, 3)], set()
    for _ in range(3000):
        plan = mutate(problem, plan, random)
        seen.add(tuple(plan))
    assert len(seen) == 3 + 6 * 2 + 6


@pytest.mark.parametrize("seed", range(20))
def test_violation_is_zero_exactly_for_allowed_plans(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 3, 8)
    free = replace(
        problem, pinned_first=None, pinned_last=None, max_stages=3, is_position_allowed=np.ones(9, dtype=bool)
    )
    plans = random_plans(free, 200, random)
    is_allowed = np.isfinite(evaluate(free, plans)[:, 0])
    assert ((violations(free, plans) == 0) == is_allowed).all()


def test_arguments_took_effect():
    """pymoo swallows misspelt ones."""
    problem = random_problem(np.random.default_rng(0), 3, 8, has_limits=False)
    algorithm = _algorithm(problem, seed=7, population=24)
    assert (algorithm.pop_size, algorithm.n_offsprings, algorithm.seed) == (24, 24, 7)
    assert type(algorithm.mating.crossover).__name__ == "_Splice"
    assert type(algorithm.mating.mutation).__name__ == "_Mutate"
    assert type(algorithm.initialization.sampling).__name__ == "_RandomPlans"
    assert algorithm.mating.n_max_iterations == 5
    assert (algorithm.mating.crossover.prob.value, algorithm.mating.mutation.prob.value) == (0.9, 1.0)
    assert not algorithm.termination.has_terminated()
    first = algorithm.ask()
    assert 18 <= len(first) <= 24
    assert np.issubdtype(first.get("X").dtype, np.integer)


@pytest.mark.parametrize("seed", range(6))
def test_nsga2_never_dominates_exact(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 3, 10)
    exact = evaluate(problem, exact_front(problem, Effort()).plans)
    found = evaluate(problem, nsga2_front(problem, Effort(seed=seed), n_evaluations=600, population=40).plans)
    assert np.isfinite(found).all()
    for point in found:
        assert np.all(exact <= point, axis=1).any()


def test_nsga2_reaches_most_of_the_exact_hypervolume():
    problem = smooth_problem(np.random.default_rng(3), 4, 40)
    outcome = nsga2_front(problem, Effort(seed=1), n_evaluations=4000)
    certificate = certify(problem, outcome)
    assert not certificate.is_exact
    assert certificate.exact_hypervolume is not None
    assert 0.95 <= certificate.hypervolume / certificate.exact_hypervolume <= 1.0
    assert "of the exact front's" in certificate.statement
    assert 3600 <= outcome.n_evaluated <= 4000


def test_nsga2_finds_what_little_memory_allows():
    problem = random_problem(np.random.default_rng(4), 4, 20, has_limits=False)
    tight = problem.with_device_memory(np.full(4, 8.0))
    scale, _ = least_memory_scale(tight)
    assert scale <= 1.0
    outcome = nsga2_front(tight, Effort(seed=0), n_evaluations=2000)
    exact = exact_front(tight, Effort())
    assert len(outcome.plans) > 0
    assert evaluate(tight, outcome.plans)[:, 0].min() <= 1.1 * evaluate(tight, exact.plans)[:, 0].min()


def test_the_archive_keeps_what_the_population_forgets():
    problem = smooth_problem(np.random.default_rng(3), 4, 40)
    outcome = nsga2_front(problem, Effort(seed=1), n_evaluations=1500, population=6)
    assert len(outcome.plans) > 6


def test_equal_seeds_give_equal_fronts():
    problem = random_problem(np.random.default_rng(2), 4, 20, has_limits=False)
    one, same, other = (
        nsga2_front(problem, Effort(seed=seed), n_evaluations=600, population=30).plans.rows() for seed in (5, 5, 6)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_budget_of_seconds_ends_it():
    problem = random_problem(np.random.default_rng(2), 4, 20, has_limits=False)
    ticks, told = count(), []
    effort = Effort(budget_seconds=4.0, clock=lambda: float(next(ticks)), on_progress=lambda *words: told.append(words))
    assert 60 < nsga2_front(problem, effort, population=20).n_evaluated <= 80
    assert [fraction for fraction, _ in told] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(("n_devices", "n_units"), [(1, 1), (1, 4), (2, 1), (2, 2)])
def test_it_ends_where_all_plans_are_seen(n_devices, n_units):
    problem = random_problem(np.random.default_rng(0), n_devices, n_units, has_limits=False)
    outcome = nsga2_front(problem, Effort(), n_evaluations=500, population=10)
    exact = exact_front(problem, Effort())
    assert np.array_equal(evaluate(problem, outcome.plans), evaluate(problem, exact.plans))


def test_no_line_is_printed(capsys):
    """Uncompiled pymoo would print advice, in the middle of what the command prints."""
    nsga2_front(random_problem(np.random.default_rng(0), 2, 4, has_limits=False), Effort(), n_evaluations=50)
    assert capsys.readouterr() == ("", "")
    assert Config.warnings["not_compiled"] is False
