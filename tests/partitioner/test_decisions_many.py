"""Fronts and regrets under many conditions, in parts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import random_problem
from search_media import on_cores, shared

from partitioner.decisions.many_conditions import (
    PART,
    LinkStates,
    PoolPart,
    find_fronts,
    join_fronts,
    judge_pool,
    pair_plans,
    whole_plans,
)
from partitioner.front import front_indices
from partitioner.search.encoding import encode_plans, evaluate
from partitioner.search.exhaustive import every_plan
from partitioner.search.problem import SearchProblem


def link_states_of(problem, n_conditions, random):
    shape = (n_conditions, *problem.link_fixed_seconds.shape)
    rate = random.uniform(20, 2000, shape)
    return LinkStates(
        fixed_seconds=problem.link_fixed_seconds * random.uniform(0, 10, shape),
        bytes_per_second=rate,
        busy_bytes_per_second=rate * random.uniform(0.5, 2, shape),
    )


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_fronts_are_those_of_all_plans_and_say_where_a_link_is_the_bottleneck(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 3, 4)
    links = link_states_of(problem, 3, random)
    found = find_fronts(problem, links)
    begin = 0
    for each, length in zip(links.problems(problem), found.lengths.tolist(), strict=True):
        points = evaluate(each, encode_plans(each, list(every_plan(each))))
        points = points[np.isfinite(points[:, 0])]
        rows = slice(begin, begin + length)
        assert found.points[rows].tolist() == points[front_indices(points)].tolist()
        for plan, bottleneck, is_bound in zip(
            found.plans.take(np.arange(begin, begin + length)).rows().tolist(),
            found.points[rows, 1].tolist(),
            found.is_link_bound[rows].tolist(),
            strict=True,
        ):
            assert is_bound == (busiest_between(each, plan) >= bottleneck * (1 - 1e-9))
        begin += length


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("share", [shared, on_cores])
def test_what_links_or_devices_share_counts(share, seed):
    random = np.random.default_rng(seed)
    problem = share(random, random_problem(random, 3, 4))
    links = link_states_of(problem, 2, random)
    found, begin = find_fronts(problem, links), 0
    for each, length in zip(links.problems(problem), found.lengths.tolist(), strict=True):
        points = evaluate(each, encode_plans(each, list(every_plan(each))))
        points = points[np.isfinite(points[:, 0])]
        assert found.points[begin : begin + length].tolist() == points[front_indices(points)].tolist()
        begin += length


def busiest_between(problem, row):
    devices, stops = row[: problem.n_devices], row[problem.n_devices :]
    hops = [
        problem.busy_seconds[one, other, stop]
        for one, other, stop in zip(devices, devices[1:], stops, strict=False)
        if other >= 0
    ]
    return max(hops, default=0.0)


def test_of_equal_plans_the_front_keeps_the_one_that_does_not_split():
    """The second device computes the rest in no time over a free link: both take 2 s and keep a device busy for 2 s."""
    stages = np.full((2, 3, 3), np.inf)
    stages[0, 0, 1], stages[0, 1, 2], stages[0, 0, 2] = 2.0, 1.0, 2.0
    stages[1, 0, 1], stages[1, 1, 2], stages[1, 0, 2] = 9.0, 0.0, 9.0
    problem = SearchProblem(
        device_names=("a", "b"),
        stage_seconds=stages,
        stage_memory_bytes=np.zeros_like(stages),
        device_memory_bytes=np.full(2, np.inf),
        boundary_bytes=np.zeros(3),
        link_fixed_seconds=np.zeros((3, 3)),
        link_bytes_per_second=np.ones((3, 3)),
        is_position_allowed=np.ones(3, dtype=bool),
        max_stages=2,
    )
    links = LinkStates(
        fixed_seconds=np.zeros((1, 3, 3)), bytes_per_second=np.ones((1, 3, 3)), busy_bytes_per_second=np.ones((1, 3, 3))
    )
    found = find_fronts(problem, links)
    assert found.points.tolist() == [[2.0, 2.0]]
    assert found.plans.devices.tolist() == [[0, -1]]


def test_parts_joined_are_the_whole():
    random = np.random.default_rng(3)
    problem = random_problem(random, 2, 4, has_limits=False)
    links = link_states_of(problem, 2 * PART + 3, random)
    parts = links.parts()
    assert [len(part) for part in parts] == [PART, PART, 3]
    whole, joined = find_fronts(problem, links), join_fronts([find_fronts(problem, part) for part in parts])
    assert joined.points.tolist() == whole.points.tolist()
    assert joined.plans.rows().tolist() == whole.plans.rows().tolist()
    assert joined.lengths.tolist() == whole.lengths.tolist()


def test_regrets_leave_out_conditions_without_a_plan():
    random = np.random.default_rng(4)
    problem = random_problem(random, 2, 3, has_limits=False)
    links = link_states_of(problem, 3, random)
    cut = replace(links, fixed_seconds=links.fixed_seconds.copy())
    cut.fixed_seconds[1] = np.inf
    plans = encode_plans(problem, list(every_plan(problem)))
    costs = np.stack([evaluate(each, plans) for each in cut.problems(problem)])
    best = costs.min(axis=1)
    found = judge_pool(problem, PoolPart(plans=plans, links=cut, best=best))
    wanted = costs[[0, 2]] / best[[0, 2], None] - 1
    assert found.worst.tolist() == wanted.max(axis=0).tolist()
    assert found.total.tolist() == wanted.sum(axis=0).tolist()


def test_whole_plans_and_pairs_are_all_there_are():
    problem = random_problem(np.random.default_rng(5), 3, 4, has_limits=False)
    assert len(whole_plans(problem)) == 3
    assert len(pair_plans(problem)) == 3 * 2 * 3
    assert len(pair_plans(replace(problem, max_stages=1))) == 0
