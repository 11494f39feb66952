from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import random_problem, smooth_problem

from partitioner.search.encoding import encode_plans, evaluate, join_plans
from partitioner.search.evolutionary.breeding import PermutationAndCuts, are_rows
from partitioner.search.evolutionary.extremes import extreme_plans, least_bottleneck_seconds
from partitioner.search.evolutionary.loads import loads_of
from partitioner.search.evolutionary.neighbourhood import neighbours
from partitioner.search.evolutionary.random_key import keys_of_plans, n_keys, plans_of_keys
from partitioner.search.evolutionary.recutting import recut
from partitioner.search.evolutionary.refilling import refill
from partitioner.search.evolutionary.settling import draft_of, settle
from partitioner.search.evolutionary.variation import CHANGES, mutate, splice, violations
from partitioner.search.exact.front import exact_front
from partitioner.search.exhaustive import exhaustive_front
from partitioner.search.outcome import Effort
from partitioner.search.sampling import possible_stages, random_plans


def without_links_and_memory(problem):
    """The same wishes, and nothing else that could forbid a plan."""
    return replace(
        problem,
        link_fixed_seconds=np.zeros_like(problem.link_fixed_seconds),
        device_memory_bytes=np.full(problem.n_devices, np.inf),
    )


def problem_with_wishes(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, int(random.integers(1, 6)), int(random.integers(1, 10)))
    return without_links_and_memory(problem), random


def all_plans(problem):
    """Every plan of a problem without wishes, in the plainest way."""
    return [
        list(zip(devices, (*cuts, problem.n_units), strict=True))
        for size in range(1, problem.n_devices + 1)
        for devices in permutations(range(problem.n_devices), size)
        for cuts in combinations(range(1, problem.n_units), size - 1)
    ]


@given(st.integers(0, 100_000))
@settings(deadline=None, max_examples=150)
def test_whatever_is_made_obeys_pins_stages_and_positions(seed):
    problem, random = problem_with_wishes(seed)
    least, most = possible_stages(problem)
    if least > most:
        return
    parents = random_plans(problem, 12, random)
    partners = parents.take(random.permutation(12))
    children = [splice(problem, parents, partners, random), mutate(problem, parents, random)]
    children += [settle(problem, change(problem, parents, random), random) for change in CHANGES]
    made = join_plans(*children)
    assert np.isfinite(evaluate(problem, made)).all()
    assert are_rows(problem, made.rows())
    assert len(made) == 12 * len(children)


@given(st.integers(0, 100_000))
@settings(deadline=None, max_examples=100)
def test_every_row_of_keys_is_a_plan(seed):
    problem, random = problem_with_wishes(seed)
    least, most = possible_stages(problem)
    if least > most:
        return
    keys = random.random((30, n_keys(problem)))
    keys[:2] = [[0.0], [1.0]]
    plans = plans_of_keys(problem, keys)
    assert np.isfinite(evaluate(problem, plans)).all()
    alone = [plans_of_keys(problem, keys[row : row + 1]).rows()[0] for row in range(30)]
    assert np.array_equal(plans.rows(), alone), "what a row stands for depends on its neighbours"


@pytest.mark.parametrize("seed", range(20))
def test_keys_of_a_plan_stand_for_it(seed):
    problem, random = problem_with_wishes(seed)
    least, most = possible_stages(problem)
    if least > most:
        return
    plans = random_plans(problem, 40, random)
    assert np.array_equal(plans_of_keys(problem, keys_of_plans(problem, plans)).rows(), plans.rows())


def test_keys_reach_every_plan():
    problem = random_problem(np.random.default_rng(0), 3, 4, has_limits=False)
    plans = plans_of_keys(problem, np.random.default_rng(1).random((5000, n_keys(problem))))
    assert len(plans.unique()) == len(all_plans(problem))


def test_settling_leaves_good_plans_and_the_generator_alone():
    problem = random_problem(np.random.default_rng(0), 4, 9, has_limits=False)
    random = np.random.default_rng(3)
    plans = random_plans(problem, 50, np.random.default_rng(0))
    assert np.array_equal(settle(problem, draft_of(plans), random).rows(), plans.rows())
    assert random.random() == np.random.default_rng(3).random()


def test_splicing_keeps_the_head_before_and_the_tail_behind():
    """With devices in common neither, so that nothing has to be settled."""
    problem = random_problem(np.random.default_rng(0), 6, 20, has_limits=False)
    head, tail = [(0, 6), (1, 13), (2, 20)], [(3, 4), (4, 11), (5, 20)]
    ways = encode_plans(problem, [head] * 60), encode_plans(problem, [tail] * 60)
    children = splice(problem, *ways, np.random.default_rng(0))
    seen = set()
    for devices, stops in zip(children.devices.tolist(), children.stops.tolist(), strict=True):
        plan = [(device, stop) for device, stop in zip(devices, stops, strict=True) if device >= 0]
        n_head = sum(device <= 2 for device, _ in plan)
        assert plan[: n_head - 1] == head[: n_head - 1]
        assert plan[n_head:] == tail[3 - (len(plan) - n_head) :]
        seen.add(plan[n_head - 1][1])
    assert len(seen) > 8


def test_a_plan_spliced_with_itself_is_itself():
    problem = random_problem(np.random.default_rng(0), 5, 20, has_limits=False)
    plans = random_plans(problem, 80, np.random.default_rng(1))
    assert np.array_equal(splice(problem, plans, plans, np.random.default_rng(2)).rows(), plans.rows())


def test_mutation_reaches_every_plan():
    random = np.random.default_rng(1)
    problem = random_problem(random, 3, 4, has_limits=False)
    plans, seen = encode_plans(problem, [[(0, 4)]] * 50), set()
    for _ in range(150):
        plans = mutate(problem, plans, random)
        seen |= {tuple(row) for row in plans.rows().tolist()}
    assert len(seen) == len(all_plans(problem))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__.strip("_"))
def test_each_change_changes_little_and_something(change):
    problem = smooth_problem(np.random.default_rng(2), 6, 40)
    random = np.random.default_rng(5)
    plans = random_plans(problem, 200, random)
    plans = plans.take((np.sum(plans.devices >= 0, axis=1) >= 3) & (np.sum(plans.devices >= 0, axis=1) <= 5))
    changed = settle(problem, change(problem, plans, random), random)
    assert np.isfinite(evaluate(problem, changed)).all()
    differs = (changed.rows() != plans.rows()).any(axis=1)
    assert differs.mean() > 0.4
    assert np.abs(np.sum(changed.devices >= 0, axis=1) - np.sum(plans.devices >= 0, axis=1))[differs].max() <= 4


def test_relieving_the_busiest_resource_lowers_bottlenecks_more_often_than_a_random_cut():
    problem = smooth_problem(np.random.default_rng(2), 6, 60)
    random = np.random.default_rng(5)
    plans = random_plans(problem, 3000, random)
    plans = plans.take(np.sum(plans.devices >= 0, axis=1) >= 4)
    before = loads_of(problem, plans).bottlenecks
    by_name = {change.__name__: change for change in CHANGES}
    shares = {
        name: float(
            (
                loads_of(problem, settle(problem, by_name[name](problem, plans, random), random)).bottlenecks < before
            ).mean()
        )
        for name in ("_relieve", "_move_cut")
    }
    assert shares["_relieve"] > 0.5
    assert shares["_relieve"] > 1.5 * shares["_move_cut"]


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


@pytest.mark.parametrize("seed", range(10))
def test_loads_are_those_of_the_evaluation(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 4, 9, has_limits=False)
    plans = random_plans(problem, 100, random)
    loads = loads_of(problem, plans)
    assert np.array_equal(loads.bottlenecks, evaluate(problem, plans)[:, 1])
    index, is_hop = loads.busiest
    chosen = np.where(is_hop, loads.hops[np.arange(100), index], loads.stages[np.arange(100), np.minimum(index, 3)])
    assert np.array_equal(chosen, loads.bottlenecks)


@pytest.mark.parametrize("seed", range(8))
def test_neighbours_are_plans_and_hold_all_one_cut_moves(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 5, 15, has_limits=False)
    problem = replace(
        problem, is_position_allowed=problem.is_position_allowed & (np.arange(16) % 4 != 3) | (np.arange(16) == 15)
    )
    parent = random_plans(problem, 1, random)
    plan = [(d, s) for d, s in zip(parent.devices[0].tolist(), parent.stops[0].tolist(), strict=True) if d >= 0]
    around = neighbours(problem, plan, float(evaluate(problem, parent)[0, 1]))
    assert are_rows(problem, around.rows())
    assert np.isfinite(evaluate(problem, around)).all()
    seen = {tuple(row) for row in around.rows().tolist()}
    for index, (device, _) in enumerate(plan[:-1]):
        low = plan[index - 1][1] if index else 0
        for stop in problem.positions[(problem.positions > low) & (problem.positions < plan[index + 1][1])].tolist():
            moved = [*plan[:index], (device, stop), *plan[index + 1 :]]
            assert tuple(encode_plans(problem, [moved]).rows()[0].tolist()) in seen
    used = {device for device, _ in plan}
    if len(used) < 5:
        assert {frozenset(row[row >= 0].tolist()) - used for row in around.devices} >= {
            frozenset([device]) for device in set(range(5)) - used
        }


@pytest.mark.parametrize("seed", range(10))
def test_refilling_keeps_the_order_and_the_bound_where_it_can(seed):
    problem = smooth_problem(np.random.default_rng(seed), 5, 40)
    random = np.random.default_rng(seed)
    plans = random_plans(problem, 200, random)
    bottlenecks = evaluate(problem, plans)[:, 1]
    filled = refill(problem, plans, bottlenecks)
    for old, new in zip(plans.devices.tolist(), filled.devices.tolist(), strict=True):
        order = [device for device in new if device >= 0]
        assert order == [device for device in old if device in order]
    kept = evaluate(problem, filled)[:, 1] <= bottlenecks
    assert kept.mean() > 0.7


@pytest.mark.parametrize("seed", range(25))
def test_recutting_finds_the_least_latency_of_an_order(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 4, 9)
    problem = replace(problem, pinned_first=None, pinned_last=None, max_stages=4)
    order = random.permutation(4)[: int(random.integers(1, 5))].tolist()
    bound = float(random.uniform(2, 12))
    everything = exhaustive_front_of_order(problem, order)
    feasible = everything[everything[:, 1] <= bound]
    plan = recut(problem, order, bound)
    if plan is None:
        assert not len(feasible)
        return
    assert [device for device, _ in plan] == order
    latency, bottleneck = evaluate(problem, encode_plans(problem, [plan]))[0]
    assert bottleneck <= bound
    assert latency == feasible[:, 0].min()


def exhaustive_front_of_order(problem, order):
    inner = problem.positions[1:-1].tolist()
    plans = [list(zip(order, (*cuts, problem.n_units), strict=True)) for cuts in combinations(inner, len(order) - 1)]
    return evaluate(problem, encode_plans(problem, plans))


@pytest.mark.parametrize("seed", range(40))
def test_extremes_are_the_ends_of_the_exact_front(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, int(random.integers(1, 5)), int(random.integers(1, 9)))
    front = evaluate(problem, exact_front(problem, Effort()).plans)
    ends = evaluate(problem, extreme_plans(problem))
    if not len(front):
        assert not len(ends)
        assert np.isinf(least_bottleneck_seconds(problem))
        return
    assert np.array_equal(ends[:, 0], front[[0, -1], 0])
    assert np.array_equal(ends[1], front[-1])
    assert least_bottleneck_seconds(problem) == front[-1, 1]


def test_dear_extremes_are_not_computed():
    problem = random_problem(np.random.default_rng(0), 4, 9, has_limits=False)
    assert len(extreme_plans(problem, most_cells=100)) == 0


def test_rows_of_a_file_are_judged():
    problem = random_problem(np.random.default_rng(0), 3, 6, has_limits=False)
    good = [0, 1, -1, 2, 6, 6]
    bad = [
        [0, 3, -1, 2, 6, 6],
        [-2, -1, -1, 6, 6, 6],
        [-1, -1, -1, 6, 6, 6],
        [0, -1, 1, 2, 6, 6],
        [0, 1, -1, 2, 2, 6],
        [0, 1, -1, 2, 7, 6],
        [0, 1, -1, 2, 6, 5],
        [0, 1, -1, -1, 6, 6],
    ]
    assert are_rows(problem, np.array([good]))
    for row in bad:
        assert not are_rows(problem, np.array([good, row])), row
    assert not are_rows(problem, np.array([good], dtype=float))
    assert not are_rows(problem, np.array([good[:4]]))
    assert PermutationAndCuts().are_genes(problem, np.array([good]))


def test_exhaustive_enumeration_agrees_with_the_plain_one():
    problem = random_problem(np.random.default_rng(0), 3, 5, has_limits=False)
    assert exhaustive_front(problem, Effort()).n_evaluated == len(all_plans(problem))
