import re
import time
from dataclasses import replace
from itertools import combinations, count, permutations

import numpy as np
import pytest
from search_builders import of_devices, random_cost_model, random_problem, wider_problem

from partitioner.errors import PlanError
from partitioner.front import front_indices
from partitioner.plan import Stage
from partitioner.search.building import build_problem
from partitioner.search.encoding import encode_plans, evaluate, legs
from partitioner.search.exact import descent as exact_descent
from partitioner.search.exact.front import exact_front, least_latency_plan
from partitioner.search.exhaustive import CHUNK, count_plans, exhaustive_front
from partitioner.search.outcome import Effort


def points(problem, engine=exact_front):
    return evaluate(problem, engine(problem, Effort()).plans)


def is_at_least_as_good(better, worse):
    return all(np.all(better <= point, axis=1).any() for point in worse)


@pytest.mark.parametrize("is_coarse", [False, True])
@pytest.mark.parametrize("block", range(10))
def test_exact_is_exhaustive(block, is_coarse):
    """400 problems with forbidden links, memory limits, pins, few positions; the coarse ones are full of ties."""
    for seed in range(20):
        random = np.random.default_rng([block, seed])
        problem = random_problem(random, int(random.integers(2, 5)), int(random.integers(1, 10)), is_coarse=is_coarse)
        exact, truth = points(problem), points(problem, exhaustive_front)
        np.testing.assert_array_equal(exact, truth)


def test_the_random_problems_are_not_trivial():
    sizes, n_infeasible, widest = [], 0, 0
    for block, seed in ((block, seed) for block in range(10) for seed in range(20)):
        random = np.random.default_rng([block, seed])
        problem = random_problem(random, int(random.integers(2, 5)), int(random.integers(1, 10)))
        outcome = exact_front(problem, Effort())
        sizes.append(len(outcome.plans))
        n_infeasible += not len(outcome.plans)
        widest = max(widest, int(np.sum(outcome.plans.devices >= 0, axis=1).max(initial=0)))
    assert n_infeasible > 10
    assert sum(size > 2 for size in sizes) > 40, sizes
    assert widest == 4


@pytest.mark.parametrize("seed", range(12))
def test_exact_is_the_front_of_all_predictions(seed):
    """Plain enumeration through the cost model, sharing no code with the engines."""
    random = np.random.default_rng(seed)
    model = random_cost_model(random, 3, int(random.integers(2, 6)))
    n_units, names = model.graph.n_units, [device.name for device in model.cluster.devices]
    truth = []
    for size in range(1, 4):
        for devices in permutations(names, size):
            for cuts in combinations(range(1, n_units), size - 1):
                edges = [0, *cuts, n_units]
                stages = [Stage(device=d, start=a, stop=b) for d, a, b in zip(devices, edges, edges[1:], strict=False)]
                try:
                    candidate = model.candidate(tuple(stages))
                except PlanError:
                    continue
                if not model.memory_faults(candidate.plan):
                    truth.append((candidate.cost.latency_seconds, candidate.cost.bottleneck_seconds))
    expected = np.array(truth).reshape(-1, 2)
    np.testing.assert_array_equal(points(build_problem(model)), expected[front_indices(expected)])


@pytest.mark.parametrize("seed", range(20))
def test_every_plan_keeps_to_its_bound(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 4, 8, has_limits=False)
    bound = float(random.uniform(1, 6))
    plan = least_latency_plan(problem, bound)
    everything = exhaustive_front(problem, Effort()).plans
    feasible = evaluate(problem, everything)
    feasible = feasible[feasible[:, 1] <= bound]
    if plan is None:
        assert not len(feasible)
        return
    latency, bottleneck = evaluate(problem, encode_plans(problem, [plan]))[0]
    assert bottleneck <= bound
    assert latency == feasible[:, 0].min()


@pytest.mark.parametrize("seed", range(15))
def test_more_bandwidth_or_memory_is_never_worse(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 3, 8)
    before = points(problem)
    wider = wider_problem(problem, random.uniform(1, 3))
    larger = problem.with_device_memory(problem.device_memory_bytes * random.uniform(1, 3))
    assert is_at_least_as_good(points(wider), before)
    assert is_at_least_as_good(points(larger), before)
    assert is_at_least_as_good(before, points(replace(problem, max_stages=1)))


@pytest.mark.parametrize("seed", range(10))
def test_renaming_devices_changes_nothing(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 4, 8)
    order = random.permutation(4)
    old_of = {int(old): new for new, old in enumerate(order)}
    permuted = replace(
        problem,
        **of_devices(problem, order),
        pinned_first=old_of.get(problem.pinned_first),
        pinned_last=old_of.get(problem.pinned_last),
    )
    np.testing.assert_array_equal(points(permuted), points(problem))


def test_not_splitting_wins_where_the_network_is_slow():
    problem = random_problem(np.random.default_rng(3), 3, 8, has_limits=False)
    slow = problem.link_bytes_per_second.copy()
    slow[:3, :3] = 1e-3
    outcome = exact_front(replace(problem, link_bytes_per_second=slow, link_busy_bytes_per_second=None), Effort())
    assert (np.sum(outcome.plans.devices >= 0, axis=1) == 1).all()


def test_a_front_has_splits_where_the_network_is_fast():
    problem = random_problem(np.random.default_rng(3), 3, 8, has_limits=False)
    fast = replace(
        problem,
        link_bytes_per_second=np.full_like(problem.link_bytes_per_second, 1e9),
        link_fixed_seconds=np.zeros_like(problem.link_fixed_seconds),
    )
    outcome = exact_front(fast, Effort())
    assert np.sum(outcome.plans.devices >= 0, axis=1).max() == 3
    stages = [leg.works.sum() for leg in legs(fast, outcome.plans)]
    assert stages[0] == len(outcome.plans)


@pytest.mark.parametrize("n_steps", range(1, 12))
def test_a_budget_leaves_the_part_of_least_latencies(n_steps, monkeypatch):
    monkeypatch.setattr(exact_descent, "LEAST_ROOM", 100)
    monkeypatch.setattr(exact_descent, "CELLS_PER_LABEL", 1000)
    problem = random_problem(np.random.default_rng(5), 4, 30, has_limits=False, busy_share=0.0)
    whole = exact_front(problem, Effort())
    ticks = count()
    part = exact_front(problem, Effort(budget_seconds=n_steps + 0.5, clock=lambda: float(next(ticks))))
    assert not part.is_exact
    assert f"Incomplete: the budget ended after {len(part.plans)} plans" in part.statement
    assert 0 < len(part.plans) < len(whole.plans)
    np.testing.assert_array_equal(evaluate(problem, part.plans), evaluate(problem, whole.plans)[: len(part.plans)])
    bound = float(re.search(r"is above ([\d.e-]+) s", part.statement)[1])
    assert np.sum(evaluate(problem, whole.plans)[:, 1] > bound * 1.00001) <= len(part.plans)
    assert whole.is_exact
    assert "Exact" in whole.statement


def test_a_budget_ends_an_enumeration():
    problem = random_problem(np.random.default_rng(5), 4, 30, has_limits=False)
    ticks = count()
    part = exhaustive_front(problem, Effort(budget_seconds=2.0, clock=lambda: float(next(ticks))))
    assert not part.is_exact
    assert part.n_evaluated == 2 * CHUNK
    assert "Incomplete: the budget ended after 40,000 of" in part.statement


def test_exhaustive_refuses_large_problems():
    problem = random_problem(np.random.default_rng(0), 8, 40, has_limits=False)
    with pytest.raises(PlanError, match=r"'exhaustive' would look at [\d,]+ plans, .*use engine 'exact'"):
        exhaustive_front(problem, Effort())


@pytest.mark.parametrize(("n_devices", "n_units", "expected"), [(1, 5, 1), (2, 4, 2 + 2 * 3), (3, 3, 3 + 6 * 2 + 6)])
def test_plans_are_counted(n_devices, n_units, expected):
    problem = random_problem(np.random.default_rng(0), n_devices, n_units, has_limits=False)
    assert count_plans(problem) == expected
    assert exhaustive_front(problem, Effort()).n_evaluated == expected


@pytest.mark.parametrize(("n_devices", "n_units", "limit_seconds"), [(3, 60, 1.0), (8, 60, 5.0)])
def test_whole_fronts_of_general_times_take_seconds(n_devices, n_units, limit_seconds):
    problem = random_problem(np.random.default_rng(0), n_devices, n_units, has_limits=False)
    exact_front(random_problem(np.random.default_rng(1), 2, 3), Effort())
    began = time.perf_counter()
    outcome = exact_front(problem, Effort())
    assert time.perf_counter() - began < limit_seconds
    assert outcome.is_exact


def test_too_many_states_are_refused_before_they_are_made():
    problem = replace(
        random_problem(np.random.default_rng(0), 3, 4, has_limits=False),
        max_stages=30,
        **wide_arrays(np.random.default_rng(0), n_devices=30),
    )
    with pytest.raises(PlanError, match=r"'exact' would need [\d,]+ cells for 30 devices of 30 types .*'nsga2'"):
        exact_front(problem, Effort())


def wide_arrays(random, n_devices):
    return {
        "device_names": tuple(f"d{index}" for index in range(n_devices)),
        "stage_seconds": random.uniform(1, 2, (n_devices, 5, 5)),
        "stage_memory_bytes": np.zeros((n_devices, 5, 5)),
        "device_memory_bytes": np.ones(n_devices),
        "link_fixed_seconds": np.ones((n_devices + 1, n_devices + 1)),
        "link_bytes_per_second": np.ones((n_devices + 1, n_devices + 1)),
        "stage_busy_seconds": None,
        "link_busy_bytes_per_second": None,
    }
