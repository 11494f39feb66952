import time
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from search_builders import of_devices, random_problem, smooth_problem
from search_reference import reference_front

from partitioner.search.device_types import find_device_types
from partitioner.search.encoding import evaluate
from partitioner.search.exact.front import exact_front
from partitioner.search.exact.tables import build_tables
from partitioner.search.exhaustive import exhaustive_front
from partitioner.search.outcome import Effort


def of_types(problem, kinds):
    """The problem with a device of the kind of `kinds[i]` at i; devices of a kind differ in their names only."""
    kinds = np.array(kinds)
    return replace(
        problem,
        device_names=tuple(f"copy{index}" for index in range(len(kinds))),
        **of_devices(problem, kinds),
        max_stages=len(kinds),
        pinned_first=None,
        pinned_last=None,
    )


def points(problem, engine=exact_front):
    return evaluate(problem, engine(problem, Effort()).plans)


def test_devices_of_a_kind_are_found_and_one_difference_parts_them():
    problem = of_types(random_problem(np.random.default_rng(0), 2, 5, has_limits=False), [0, 1, 0, 0, 1])
    assert find_device_types(problem) == ((0, 2, 3), (1, 4))
    assert find_device_types(replace(problem, pinned_first=2)) == ((0, 3), (1, 4), (2,))
    memory = problem.device_memory_bytes.copy()
    memory[3] = problem.stage_memory_bytes[3, 0, 5] - 1
    assert find_device_types(problem.with_device_memory(memory)) == ((0, 2), (1, 4), (3,))
    for name in ("stage_seconds", "link_fixed_seconds", "link_bytes_per_second"):
        changed = getattr(problem, name).copy()
        changed[(4, 1, 3) if changed.ndim == 3 else (4, 1)] *= 1.5
        assert find_device_types(replace(problem, **{name: changed})) == ((0, 2, 3), (1,), (4,)), name


def test_what_a_device_sends_to_itself_parts_nothing():
    problem = of_types(random_problem(np.random.default_rng(0), 1, 5, has_limits=False), [0, 0])
    fixed = problem.link_fixed_seconds.copy()
    fixed[0, 0] = 9.0
    assert find_device_types(replace(problem, link_fixed_seconds=fixed)) == ((0, 1),)


@pytest.mark.parametrize("kinds", [(0, 0), (0, 1, 0), (0, 0, 0, 1), (1, 1, 0, 0)])
@pytest.mark.parametrize("seed", range(12))
def test_alike_devices_have_the_front_of_an_enumeration(seed, kinds):
    random = np.random.default_rng(seed)
    problem = of_types(random_problem(random, 2, int(random.integers(1, 8)), is_coarse=seed % 3 == 0), kinds)
    problem = replace(problem, max_stages=int(random.integers(1, len(kinds) + 1)))
    assert len(find_device_types(problem)) < len(kinds)
    np.testing.assert_array_equal(points(problem), points(problem, exhaustive_front))


@pytest.mark.parametrize("seed", range(4))
def test_a_pinned_device_among_alike_ones(seed):
    problem = of_types(random_problem(np.random.default_rng(seed), 2, 7, has_limits=False), (0, 0, 1, 1))
    for first, last in permutations(range(4), 2):
        pinned = replace(problem, pinned_first=first, pinned_last=last)
        outcome = exact_front(pinned, Effort())
        assert (outcome.plans.devices[:, 0] == first).all()
        np.testing.assert_array_equal(evaluate(pinned, outcome.plans), points(pinned, exhaustive_front))


def test_the_order_of_alike_devices_changes_nothing():
    problem = smooth_problem(np.random.default_rng(1), 3, 20)
    fronts = [points(of_types(problem, kinds)) for kinds in ((0, 0, 1, 1, 2), (1, 2, 0, 1, 0), (2, 0, 1, 0, 1))]
    np.testing.assert_array_equal(fronts[0], reference_front(of_types(problem, (0, 0, 1, 1, 2))))
    np.testing.assert_array_equal(fronts[0], fronts[1])
    np.testing.assert_array_equal(fronts[0], fronts[2])


def test_twelve_devices_of_three_types_have_few_states_and_are_fast():
    problem = of_types(smooth_problem(np.random.default_rng(2), 3, 60), [0, 1, 2] * 4)
    tables = build_tables(problem)
    assert tables.types.members == ((0, 3, 6, 9), (1, 4, 7, 10), (2, 5, 8, 11))
    assert tables.shape == (3 * 4 * 5 * 5, 61)  # used (1 ... 4) of the last type, 0 ... 4 of the others
    began = time.perf_counter()
    outcome = exact_front(problem, Effort())
    assert time.perf_counter() - began < 5.0
    assert outcome.is_exact
    used = outcome.plans.devices
    assert all(len(set(row[row >= 0])) == np.sum(row >= 0) for row in used)
    assert np.sum(used >= 0, axis=1).max() > 6
