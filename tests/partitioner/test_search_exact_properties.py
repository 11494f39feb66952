"""What must hold for the exact engine whatever the problem, by hypothesis, by enumeration and by a slow reference."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import random_problem, smooth_problem, wider_problem, with_busy_tables
from search_reference import reference_front
from search_wide import wide_cost_model

from partitioner.search.building import build_problem
from partitioner.search.encoding import encode_plans, evaluate
from partitioner.search.exact import descent as exact_descent
from partitioner.search.exact.front import exact_front, least_latency_plan
from partitioner.search.exact.tables import build_tables
from partitioner.search.exhaustive import exhaustive_front
from partitioner.search.outcome import Effort
from partitioner.search.problem import BOTTLENECK, LATENCY, MEMORY

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
    wider = wider_problem(problem, random.uniform(1, 3, problem.link_bytes_per_second.shape))
    larger = problem.device_memory_bytes * random.uniform(1, 3, problem.n_devices)
    assert is_at_least_as_good(points(wider), before)
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


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**9),
    kinds=st.sampled_from([(0, 0), (0, 0, 0), (0, 0, 1), (0, 1, 0, 1), (0, 0, 0, 0)]),
    n_units=st.integers(1, 4),
    most=st.integers(2, 4),
    has_codecs=st.booleans(),
    max_stages=st.sampled_from([None, 1, 2, 3]),
    pin=st.sampled_from([None, "d0", "d1"]),
)
def test_codecs_and_replicas_are_exact_too(*, seed, kinds, n_units, most, has_codecs, max_stages, pin):
    problem = build_problem(
        wide_cost_model(np.random.default_rng(seed), kinds, n_units),
        codecs=("int8", "zstd") if has_codecs and n_units < 4 else (),
        max_replicas=most,
        max_stages=max_stages,
        pinned_first=pin,
    )
    np.testing.assert_array_equal(points(problem), points(problem, exhaustive_front))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, 10**9), st.sampled_from([(0, 0, 1), (0, 1, 0, 1)]), st.floats(0.1, 0.9), st.booleans())
def test_bounds_of_the_two_objectives_and_memory_are_exact_too(seed, kinds, share, has_replicas):
    model = wide_cost_model(np.random.default_rng(seed), kinds, 4)
    wide = build_problem(model, objectives=(LATENCY, BOTTLENECK, MEMORY), max_replicas=2 if has_replicas else 1)
    figures = points(wide, exhaustive_front)
    bounds = dict(zip(wide.objectives, np.quantile(figures, 0.5 + share / 2, axis=0).tolist(), strict=True))
    problem = replace(wide, objectives=(LATENCY, BOTTLENECK), bounds=bounds)
    np.testing.assert_array_equal(points(problem), points(problem, exhaustive_front))


def test_replicas_and_codecs_never_worsen_the_front():
    for seed in range(20):
        model = wide_cost_model(np.random.default_rng(seed), (0, 0, 1), 4)
        plain = points(build_problem(model))
        assert is_at_least_as_good(points(build_problem(model, codecs=("int8", "zstd"))), plain)
        assert is_at_least_as_good(points(build_problem(model, max_replicas=2)), plain)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["additive", "general", "limited", "coarse", "handed over", "busy otherwise"])
def test_exact_is_the_reference_where_enumeration_ends(kind, seed):
    random = np.random.default_rng([7, seed])
    problem = {
        "additive": lambda: smooth_problem(random, 4, 25),
        "general": lambda: random_problem(random, 4, 25, has_limits=False),
        "limited": lambda: random_problem(random, 5, 25),
        "coarse": lambda: random_problem(random, 4, 20, is_coarse=True),
        "handed over": lambda: with_handover(smooth_problem(random, 4, 25)),
        "busy otherwise": lambda: with_busy_tables(smooth_problem(random, 4, 25), random, share=1.0),
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


def test_times_are_additive_also_where_a_longer_stage_keeps_its_device_less_busy():
    problem = smooth_problem(np.random.default_rng(0), 4, 12)
    busy = problem.stage_seconds * 1.5
    busy[2, 3, 9] = busy[2, 3, 8] / 2
    changed = replace(problem, stage_busy_seconds=busy)
    chain = build_tables(changed).chain
    assert chain.is_additive.all()
    assert chain.is_steady.tolist() == [True, True, False, True]
    np.testing.assert_array_equal(points(changed), reference_front(changed))


def test_what_stages_take_for_the_bytes_they_move_keeps_times_additive():
    problem = with_handover(smooth_problem(np.random.default_rng(0), 4, 12))
    chain = build_tables(problem).chain
    assert chain.is_additive.all()
    assert not chain.is_steady.any()
    np.testing.assert_array_equal(points(problem), reference_front(problem))


def with_handover(problem):
    """Stages that take longer, and keep their devices busy for longer, the more bytes they receive and send."""
    moved = problem.boundary_bytes[:, None] + problem.boundary_bytes[None, :]
    seconds = problem.stage_seconds
    return replace(
        problem, stage_seconds=seconds + 0.1 + 0.02 * moved, stage_busy_seconds=seconds + 0.05 + 0.03 * moved
    )


def test_memory_that_grows_with_the_span_keeps_times_additive():
    problem = smooth_problem(np.random.default_rng(0), 4, 12)
    spans = np.maximum(np.subtract.outer(np.arange(13), np.arange(13)).T, 0)
    limited = replace(problem, stage_memory_bytes=np.broadcast_to(spans, (4, 13, 13)).astype(float))
    limited = limited.with_device_memory(np.array([5.0, 6.0, 4.0, 9.0]))
    assert build_tables(limited).chain.is_additive.all()
    np.testing.assert_array_equal(points(limited), reference_front(limited))
