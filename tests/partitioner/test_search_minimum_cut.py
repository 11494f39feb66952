from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import random_cost_model, random_problem, smooth_problem

from partitioner.errors import NoneFoundError
from partitioner.search import search
from partitioner.search.encoding import encode_plans, evaluate
from partitioner.search.exact.front import exact_front
from partitioner.search.minimum_cut import FINEST, minimum_cut, minimum_cut_front
from partitioner.search.outcome import Effort

seeds = st.integers(0, 10**9)


def points(problem, engine):
    return evaluate(problem, engine(problem, Effort()).plans)


def alone(problem):
    """Least latency of one device alone, to which the rounding of capacities is relative."""
    each = evaluate(problem, encode_plans(problem, [[(device, problem.n_units)] for device in range(2)]))
    return each[:, 0].min()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seeds, st.integers(1, 30))
def test_two_devices_with_additive_times_have_the_exact_least_latency(seed, n_units):
    problem = smooth_problem(np.random.default_rng(seed), 2, n_units)
    cut, exact = points(problem, minimum_cut_front), points(problem, exact_front)
    assert len(cut) == 1
    rounding = (n_units + 2) * FINEST * alone(problem)
    assert exact[0, 0] <= cut[0, 0] <= exact[0, 0] + rounding


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seeds, st.integers(1, 2), st.integers(1, 12), st.booleans())
def test_limits_pins_and_general_times_are_obeyed(seed, n_devices, n_units, is_coarse):
    problem = random_problem(np.random.default_rng(seed), n_devices, n_units, is_coarse=is_coarse)
    cut, exact = points(problem, minimum_cut_front), points(problem, exact_front)
    assert len(cut) == min(1, len(exact))
    np.testing.assert_allclose(cut[:, 0], exact[:1, 0], rtol=1e-6)


def test_the_cut_is_where_one_device_becomes_the_better_one():
    problem = smooth_problem(np.random.default_rng(0), 2, 6)
    seconds = np.full((2, 7, 7), np.inf)
    units = np.array([[1.0, 1, 1, 9, 9, 9], [9.0, 9, 9, 1, 1, 1]])
    for start in range(6):
        for stop in range(start + 1, 7):
            seconds[:, start, stop] = units[:, start:stop].sum(axis=1)
    object.__setattr__(problem, "stage_seconds", seconds)
    assert minimum_cut(problem, 0, 1) == [(0, 3), (1, 6)]
    assert minimum_cut(problem, 1, 0) in ([(0, 6)], [(1, 6)])


@pytest.mark.parametrize("seed", range(5))
def test_more_devices_get_the_best_pair(seed):
    problem = smooth_problem(np.random.default_rng(seed), 4, 10)
    outcome = minimum_cut_front(problem, Effort())
    pairs = [minimum_cut(problem, first, second) for first in range(4) for second in range(4) if first != second]
    best = evaluate(problem, encode_plans(problem, pairs))[:, 0].min()
    assert evaluate(problem, outcome.plans)[0, 0] == best
    assert "two of the 4 devices" in outcome.statement
    assert not outcome.is_exact


def test_the_certificate_says_what_it_is():
    result = search(random_cost_model(np.random.default_rng(3), 2, 12, has_limits=False), "minimum_cut")
    assert len(result.front) == 1
    assert not result.certificate.is_exact
    assert result.certificate.statement.startswith("The least latency of all plans, by minimum cuts")
    assert "of the exact front's" in result.certificate.statement
    assert result.certificate.hypervolume <= result.certificate.exact_hypervolume


def test_a_budget_leaves_the_cuts_made_until_then():
    problem = smooth_problem(np.random.default_rng(1), 4, 10)
    ticks = count()
    outcome = minimum_cut_front(problem, Effort(budget_seconds=3.5, clock=lambda: float(next(ticks))))
    assert outcome.n_evaluated == 3
    assert "after 3 of 12 minimum cuts" in outcome.statement


def test_a_plan_of_three_devices_is_not_found_and_said_so():
    problem = random_problem(np.random.default_rng(0), 3, 6, has_limits=False)
    fixed = problem.link_fixed_seconds
    fixed[:] = np.inf
    fixed[3, 0] = fixed[0, 1] = fixed[1, 2] = fixed[2, 3] = 0.1
    assert len(points(problem, exact_front)) > 0
    assert len(points(problem, minimum_cut_front)) == 0
    model = random_cost_model(np.random.default_rng(0), 3, 6, has_limits=False)
    with pytest.raises(NoneFoundError, match="'minimum_cut' found none"):
        search(model, "minimum_cut", budget_seconds=0.0)
