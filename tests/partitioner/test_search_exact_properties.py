"""What must hold for the exact engine whatever the problem, by hypothesis, by enumeration and by a slow reference."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import random_problem, smooth_problem
from search_reference import reference_front

from partitioner.search import exact_descent
from partitioner.search.encoding import encode_plans, evaluate
from partitioner.search.exact import exact_front, least_latency_plan
from partitioner.search.exact_tables import build_tables
from partitioner.search.exhaustive import exhaustive_front
from partitioner.search.outcome import Effort

problems = st.builds(
    lambda seed, n_devices, n_units, has_limits, is_coarse: random_problem(
        np.random.default_rng(seed), n_devices, n_units, has_limits=has_limits, is_coarse=is_coarse
    ),
    st.integers(0, 10**9),
    st.integers(1, 4),
    st.integers(1, 8),
    st.booleans(),
    st.booleans(),
)
smooth_problems = st.builds(
    lambda seed, n_devices, n_units: smooth_problem(np.random.default_rng(seed), n_devices, n_units),
    st.integers(0, 10**9),
    st.integers(1, 4),
    st.integers(1, 9),
)


def points(problem, engine=exact_front):
    return evaluate(problem, engine(problem, Effort()).plans)


def is_at_least_as_good(better, worse):
    return all(np.all(better <= point, axis=1).any() for point in worse)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(problems, smooth_problems))
def test_exact_is_exhaustive_to_the_last_bit(problem):
    np.testing.assert_array_equal(points(problem), points(problem, exhaustive_front))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.one_of(problems, smooth_problems))
def test_little_room_for_labels_changes_nothing(problem):
    """Bounds are then halved to the last bit, and the room doubled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_descent, "LEAST_ROOM", 3)
        patch.setattr(exact_descent, "CELLS_PER_LABEL", 10**9)
        patch.setattr(exact_descent, "KEPT_LIMITS", 1)
        np.testing.assert_array_equal(points(problem), points(problem, exhaustive_front))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(problems, st.integers(0, 10**9))
def test_more_bandwidth_or_memory_never_worsens_the_front(problem, seed):
    random, before = np.random.default_rng(seed), points(problem)
    wider = problem.link_bytes_per_second * random.uniform(1, 3, problem.link_bytes_per_second.shape)
    larger = problem.device_memory_bytes * random.uniform(1, 3, problem.n_devices)
    assert is_at_least_as_good(points(replace(problem, link_bytes_per_second=wider)), before)
    assert is_at_least_as_good(points(problem.with_device_memory(larger)), before)
    assert is_at_least_as_good(points(replace(problem, max_stages=problem.n_devices)), before)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(problems, st.floats(0.0, 12.0))
def test_the_fastest_plan_under_a_bound_is_the_enumeration_s(problem, bound):
    every = points(replace(problem), exhaustive_front)
    kept = every[every[:, 1] <= bound]
    plan = least_latency_plan(problem, bound)
    assert (plan is None) == (not len(kept))
    if plan is not None:
        latency, bottleneck = evaluate(problem, encode_plans(problem, [plan]))[0]
        assert latency == kept[0, 0]
        assert bottleneck <= bound


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["additive", "general", "limited", "coarse"])
def test_exact_is_the_reference_where_enumeration_ends(kind, seed):
    random = np.random.default_rng([7, seed])
    problem = {
        "additive": lambda: smooth_problem(random, 4, 25),
        "general": lambda: random_problem(random, 4, 25, has_limits=False),
        "limited": lambda: random_problem(random, 5, 25),
        "coarse": lambda: random_problem(random, 4, 20, is_coarse=True),
    }[kind]()
    np.testing.assert_array_equal(points(problem), reference_front(problem))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["additive", "one measured span", "general", "limited"])
def test_exact_is_the_reference_at_six_devices(kind, seed):
    random = np.random.default_rng([8, seed])
    problem = smooth_problem(random, 6, 50) if kind != "general" else random_problem(random, 6, 40, has_limits=False)
    if kind == "one measured span":
        problem.stage_seconds[:, 7, 30] *= random.uniform(0.7, 1.3, 6)
    if kind == "limited":
        problem = random_problem(random, 6, 50)
    np.testing.assert_array_equal(points(problem), reference_front(problem))


def test_additive_times_are_recognised_device_by_device():
    problem = smooth_problem(np.random.default_rng(0), 4, 12)
    assert build_tables(problem).chain.is_additive.all()
    seconds = problem.stage_seconds.copy()
    seconds[1, 3, 9] *= 1 + 1e-9
    seconds[2, 5, 8] = np.inf
    changed = replace(problem, stage_seconds=seconds)
    assert build_tables(changed).chain.is_additive.tolist() == [True, False, False, True]
    np.testing.assert_array_equal(points(changed), reference_front(changed))


def test_memory_that_grows_with_the_span_keeps_times_additive():
    problem = smooth_problem(np.random.default_rng(0), 4, 12)
    spans = np.maximum(np.subtract.outer(np.arange(13), np.arange(13)).T, 0)
    limited = replace(problem, stage_memory_bytes=np.broadcast_to(spans, (4, 13, 13)).astype(float))
    limited = limited.with_device_memory(np.array([5.0, 6.0, 4.0, 9.0]))
    assert build_tables(limited).chain.is_additive.all()
    np.testing.assert_array_equal(points(limited), reference_front(limited))
