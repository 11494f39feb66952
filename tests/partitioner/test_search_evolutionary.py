import subprocess
import sys
from itertools import count

import numpy as np
import pytest
from pymoo.algorithms.moo.nsga3 import ReferenceDirectionSurvival
from pymoo.config import Config
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding as PymooRankAndCrowding
from search_builders import random_cost_model, random_problem, smooth_problem

from partitioner.errors import PlanError
from partitioner.front import hypervolume_2d, is_dominated
from partitioner.search import search
from partitioner.search.encoding import evaluate
from partitioner.search.engines import certify
from partitioner.search.evolutionary import (
    RankAndCrowding,
    ReferenceDirections,
    nsga2_front,
    nsga2_random_key_front,
    nsga3_front,
    reference_directions,
)
from partitioner.search.exact import exact_front
from partitioner.search.extremes import extreme_plans
from partitioner.search.infeasible import least_memory_scale
from partitioner.search.outcome import Effort
from partitioner.search.registry import HEURISTICS

ENGINES = [nsga2_front, nsga3_front, nsga2_random_key_front]
OWN = [nsga2_front, nsga3_front]


def share_of_exact(problem, outcome):
    exact = evaluate(problem, exact_front(problem, Effort()).plans)
    reference = tuple(1.1 * exact.max(axis=0))
    return hypervolume_2d(evaluate(problem, outcome.plans), reference) / hypervolume_2d(exact, reference)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(8))
def test_no_engine_dominates_exact(engine, seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, int(random.integers(1, 5)), int(random.integers(1, 12)), is_coarse=seed % 2 == 0)
    exact = evaluate(problem, exact_front(problem, Effort()).plans)
    found = evaluate(problem, engine(problem, Effort(seed=seed, n_evaluations=600), population=40).plans)
    assert np.isfinite(found).all()
    assert not is_dominated(found).any()
    assert (np.diff(found[:, 0]) > 0).all()
    for point in found:
        assert np.all(exact <= point, axis=1).any()


@pytest.mark.parametrize(("engine", "seed"), [(nsga2_front, 0), (nsga2_front, 1), (nsga3_front, 2)])
def test_most_of_the_exact_hypervolume_is_found(engine, seed):
    problem = smooth_problem(np.random.default_rng(seed), 5, 60)
    outcome = engine(problem, Effort(seed=1, n_evaluations=30_000))
    assert 0.985 <= share_of_exact(problem, outcome) <= 1.0
    assert 30_000 <= outcome.n_evaluated < 36_000
    assert not outcome.is_exact


@pytest.mark.parametrize("engine", OWN)
def test_irregular_times_are_searched_as_well(engine):
    """No span is like its neighbours, so that a greedy cut is a bad one."""
    problem = random_problem(np.random.default_rng(8), 5, 60, has_limits=False)
    assert share_of_exact(problem, engine(problem, Effort(seed=1, n_evaluations=30_000))) >= 0.97


@pytest.mark.parametrize("engine", OWN)
def test_far_more_is_found_than_the_seeds_give(engine):
    problem = smooth_problem(np.random.default_rng(3), 5, 60)
    exact = evaluate(problem, exact_front(problem, Effort()).plans)
    reference = tuple(1.1 * exact.max(axis=0))
    seeds = hypervolume_2d(evaluate(problem, extreme_plans(problem)), reference) / hypervolume_2d(exact, reference)
    assert seeds < 0.6
    assert share_of_exact(problem, engine(problem, Effort(n_evaluations=20_000))) > 0.97


def test_operators_beat_the_plain_encoding():
    shares = {engine: [] for engine in (nsga2_front, nsga2_random_key_front)}
    for seed in range(2):
        problem = random_problem(np.random.default_rng(seed), 5, 50, has_limits=False)
        for engine, found in shares.items():
            found.append(share_of_exact(problem, engine(problem, Effort(seed=seed, n_evaluations=10_000))))
    assert min(shares[nsga2_front]) > max(shares[nsga2_random_key_front])


@pytest.mark.parametrize("engine", ENGINES)
def test_what_little_memory_allows_is_found(engine):
    problem = random_problem(np.random.default_rng(4), 4, 20, has_limits=False)
    tight = problem.with_device_memory(np.full(4, 8.0))
    scale, _ = least_memory_scale(tight)
    assert scale <= 1.0
    outcome = engine(tight, Effort(seed=0, n_evaluations=3000))
    assert evaluate(tight, outcome.plans)[0, 0] == evaluate(tight, exact_front(tight, Effort()).plans)[0, 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_without_seeds_the_violation_leads_to_allowed_plans(engine, monkeypatch):
    """As for clusters that are too large for the two extremes to be computed."""
    monkeypatch.setattr(extreme_plans, "__kwdefaults__", {"most_cells": 0})
    problem = random_problem(np.random.default_rng(4), 4, 20, has_limits=False)
    tight = problem.with_device_memory(np.full(4, 7.5))
    assert least_memory_scale(tight)[0] <= 1.0
    assert len(extreme_plans(tight)) == 0
    outcome = engine(tight, Effort(seed=0, n_evaluations=4000))
    assert len(outcome.plans) > 0
    best = evaluate(tight, exact_front(tight, Effort()).plans)[0, 0]
    assert evaluate(tight, outcome.plans)[0, 0] <= 1.15 * best


@pytest.mark.parametrize("engine", ENGINES)
def test_the_archive_keeps_what_the_population_forgets(engine):
    problem = smooth_problem(np.random.default_rng(3), 4, 40)
    assert len(engine(problem, Effort(seed=1, n_evaluations=2000), population=8).plans) > 8


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_seeds_give_equal_fronts(engine):
    problem = random_problem(np.random.default_rng(2), 4, 20, has_limits=False)
    one, same, other = (engine(problem, Effort(seed=seed, n_evaluations=600), population=30) for seed in (5, 5, 6))
    assert np.array_equal(one.plans.rows(), same.plans.rows())
    assert one.n_evaluated == same.n_evaluated
    assert one.n_evaluated != other.n_evaluated or not np.array_equal(one.plans.rows(), other.plans.rows())


@pytest.mark.parametrize("engine", ENGINES)
def test_a_budget_of_seconds_ends_it(engine):
    problem = random_problem(np.random.default_rng(2), 4, 20, has_limits=False)
    ticks, told = count(), []
    effort = Effort(budget_seconds=4.0, clock=lambda: float(next(ticks)), on_progress=lambda *words: told.append(words))
    outcome = engine(problem, effort, population=20)
    assert [fraction for fraction, _ in told] == [0.25, 0.5, 0.75]
    assert told[0][1].startswith("20 plans evaluated, ")
    assert " in 3 generations" in outcome.statement


def test_the_budget_that_ends_first_counts():
    problem = random_problem(np.random.default_rng(2), 4, 20, has_limits=False)
    ticks = count()
    few = nsga2_random_key_front(
        problem, Effort(budget_seconds=1e9, n_evaluations=300, clock=lambda: float(next(ticks)))
    )
    assert 300 <= few.n_evaluated < 400


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("n_devices", "n_units"), [(1, 1), (1, 4), (2, 1), (2, 2)])
def test_it_ends_where_all_plans_are_seen(engine, n_devices, n_units):
    problem = random_problem(np.random.default_rng(0), n_devices, n_units, has_limits=False)
    outcome = engine(problem, Effort(), population=10)
    exact = exact_front(problem, Effort())
    assert np.array_equal(evaluate(problem, outcome.plans), evaluate(problem, exact.plans))


@pytest.mark.parametrize("name", sorted(HEURISTICS))
def test_engines_by_name_tell_their_distance_to_exact(name):
    model = random_cost_model(np.random.default_rng(3), 4, 12, has_limits=False)
    told = []
    result = search(model, name, n_evaluations=1500, seed=3, on_progress=lambda fraction, _: told.append(fraction))
    assert result.engine == name
    assert result.n_evaluated >= 1500
    assert told == sorted(told)
    assert told[-1] == 1.0
    certificate = result.certificate
    assert not certificate.is_exact
    assert 0.9 * certificate.exact_hypervolume < certificate.hypervolume <= certificate.exact_hypervolume
    assert "of the exact front's" in certificate.statement
    assert ("NSGA-III" if name == "nsga3" else "NSGA-II ") in certificate.statement
    assert ("baseline" in certificate.statement) == (name == "nsga2_random_key")
    same = search(model, name, n_evaluations=1500, seed=3)
    assert same.front == result.front


def test_engines_without_checkpoints_say_so(tmp_path):
    model = random_cost_model(np.random.default_rng(3), 3, 6, has_limits=False)
    with pytest.raises(PlanError, match="'exact' keeps no checkpoint: choose one of nsga2, nsga2_random_key, nsga3"):
        search(model, "exact", checkpoint=tmp_path / "state.npz")


def test_fronts_are_certified_against_exact():
    problem = smooth_problem(np.random.default_rng(3), 4, 40)
    certificate = certify(problem, nsga2_front(problem, Effort(seed=1, n_evaluations=4000)))
    assert 0.95 <= certificate.hypervolume / certificate.exact_hypervolume <= 1.0


def crowded(seed, n_plans=60, n_objectives=2):
    """Objectives with ties, forbidden plans among them."""
    random = np.random.default_rng(seed)
    objectives = np.round(random.random((n_plans, n_objectives)) ** 2 * 5 + 0.1, 1)
    amounts = np.where(random.random(n_plans) < 0.2, random.random(n_plans) + 0.1, 0.0)
    objectives[amounts > 0] = np.inf
    return objectives, amounts, random


@pytest.mark.parametrize("seed", range(10))
def test_rank_and_crowding_are_those_of_pymoo(seed):
    objectives, amounts, random = crowded(seed)
    for n_survive in (5, 20, 40, 60, 100):
        selected = RankAndCrowding().select(objectives, amounts, n_survive, np.zeros((0, 2)), random)
        assert len(selected.indices) == min(n_survive, 60) == len(set(selected.indices.tolist()))
        finite = np.where(np.isfinite(objectives), objectives, 1e30)
        crowd = Population.new(X=np.zeros((60, 1)), F=finite, G=amounts[:, None])
        theirs = PymooRankAndCrowding().do(
            Problem(n_var=1, n_obj=2, n_ieq_constr=1), crowd, n_survive=n_survive, random_state=random
        )
        their_ranks = sorted(rank for rank in theirs.get("rank").tolist() if rank is not None)
        ranks = ranks_of(finite, amounts)[selected.indices]
        assert (np.diff(ranks) >= 0).all()
        n_allowed = int(np.sum(amounts[selected.indices] == 0))
        assert n_allowed == np.sum(theirs.get("G") <= 0)
        assert ranks[:n_allowed].tolist() == their_ranks[:n_allowed]
        assert np.array_equal(np.sort(amounts[selected.indices]), np.sort(theirs.get("G")[:, 0]))


def ranks_of(objectives, amounts):
    """Ranks by taking fronts away one by one; forbidden plans come after all allowed ones, by what they violate."""
    ranks, left, rank = np.zeros(len(objectives), dtype=int), np.flatnonzero(amounts == 0), 0
    while len(left):
        beaten = is_dominated(objectives[left])
        ranks[left[~beaten]], left, rank = rank, left[beaten], rank + 1
    forbidden = np.flatnonzero(amounts > 0)
    ranks[forbidden[np.argsort(amounts[forbidden])]] = rank + np.arange(len(forbidden))
    return ranks


def test_the_ends_of_a_front_survive():
    points = np.column_stack([np.linspace(0.1, 1, 50), np.linspace(1, 0.1, 50)])
    selected = RankAndCrowding().select(points, np.zeros(50), 10, np.zeros((0, 2)), np.random.default_rng(0))
    assert {0, 49} <= set(selected.indices.tolist())
    assert {0, 49} == set(selected.indices[:2].tolist())
    assert np.array_equal(selected.standing, np.arange(10))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n_objectives", [2, 3])
def test_niches_are_those_of_pymoo(seed, n_objectives):
    """Two generations, so that what the first one remembers counts in the second."""
    directions = reference_directions(n_objectives, 20)
    theirs, memory = ReferenceDirectionSurvival(directions), np.zeros((0, n_objectives))
    for generation in range(2):
        objectives, _, _ = crowded(100 * seed + generation, n_objectives=n_objectives)
        objectives = objectives[np.isfinite(objectives).all(axis=1)]
        scale = memory[0] if len(memory) else objectives.min(axis=0)
        selected = ReferenceDirections().select(
            objectives, np.zeros(len(objectives)), 20, memory, np.random.default_rng(seed)
        )
        memory = selected.memory
        crowd = Population.new(X=np.zeros((len(objectives), 1)), F=objectives / scale)
        kept = theirs.do(
            Problem(n_var=1, n_obj=n_objectives), crowd, n_survive=20, random_state=np.random.default_rng(seed)
        )
        assert np.array_equal(kept.get("F"), (objectives / scale)[selected.indices])
        assert np.array_equal(memory[0], scale)
        points = [theirs.norm.ideal_point, theirs.norm.worst_point, *theirs.norm.extreme_points]
        assert np.array_equal(memory[1:], points)


@pytest.mark.parametrize(("n_objectives", "most"), [(2, 100), (2, 2), (3, 100), (4, 100)])
def test_directions_are_as_many_as_fit(n_objectives, most):
    directions = reference_directions(n_objectives, most)
    assert len(directions) <= most
    assert directions.shape[1] == n_objectives
    np.testing.assert_allclose(directions.sum(axis=1), 1.0)
    assert len(directions) > most / 3


def test_warnings_stay_as_they_were():
    """pymoo's normalisation silences those of the whole process."""
    script = (
        "import warnings, numpy as np\n"
        "from partitioner.search.evolutionary import ReferenceDirections\n"
        "before = list(warnings.filters)\n"
        "points = np.random.default_rng(0).random((40, 2)) + 1\n"
        "ReferenceDirections().select(points, np.zeros(40), 20, np.zeros((0, 2)), np.random.default_rng(0))\n"
        "print(before == warnings.filters)"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["True"]


@pytest.mark.parametrize("engine", ENGINES)
def test_no_line_is_printed(engine, capsys):
    """Uncompiled pymoo would print advice, in the middle of what the command prints."""
    engine(random_problem(np.random.default_rng(0), 2, 4, has_limits=False), Effort(n_evaluations=50))
    assert capsys.readouterr() == ("", "")
    assert Config.warnings["not_compiled"] is False


@pytest.mark.slow
@pytest.mark.parametrize("engine", OWN)
def test_eight_devices_and_many_positions_in_evaluations(engine):
    problem = smooth_problem(np.random.default_rng(11), 8, 120)
    assert share_of_exact(problem, engine(problem, Effort(seed=2, n_evaluations=200_000))) >= 0.98
