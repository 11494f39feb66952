import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from node_agent.tightness import FEWEST_SAMPLES, is_tight, median_of, median_ranks, relative_half_width


@pytest.mark.parametrize("n_samples", [1, 2, 5, 6, 7, 40, 41, 499, 500])
def test_ranks_are_those_of_the_binomial(n_samples):
    low = max(int(stats.binom.ppf(0.025, n_samples, 0.5)) - 1, 0)
    high = min(int(stats.binom.ppf(0.975, n_samples, 0.5)), n_samples - 1)
    assert median_ranks(n_samples) == (low, high)


@pytest.mark.parametrize("n_samples", [501, 1000, 100_000])
def test_ranks_of_many_samples_are_one_off_at_most(n_samples):
    exact = int(stats.binom.ppf(0.025, n_samples, 0.5)) - 1, int(stats.binom.ppf(0.975, n_samples, 0.5))
    assert np.abs(np.subtract(median_ranks(n_samples), exact)).max() <= 1


@pytest.mark.parametrize("n_samples", [*range(FEWEST_SAMPLES, 60), 499, 501, 5000])
def test_the_interval_holds_the_median_as_often_as_it_says(n_samples):
    """The median lies between ranks low and high when more than low and at most high samples are below it."""
    low, high = median_ranks(n_samples)
    below = stats.binom(n_samples, 0.5)
    assert below.cdf(high) - below.cdf(low) >= 0.95


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60))
def test_median_is_numpys(samples):
    assert median_of(sorted(samples)) == pytest.approx(float(np.median(samples)))


def test_too_few_samples_are_never_tight():
    assert relative_half_width([1.0] * (FEWEST_SAMPLES - 1)) == math.inf
    assert not is_tight([1.0] * (FEWEST_SAMPLES - 1), 0.5)
    assert is_tight([1.0] * FEWEST_SAMPLES, 0.5)


def test_without_a_tolerance_nothing_is_tight():
    assert not is_tight([1.0] * 100, 0.0)


def test_half_the_width_counts():
    ordered = [0.9, *[1.0] * 4, 1.1]  # of six the extremes are the interval
    assert relative_half_width(ordered) == pytest.approx(0.1)
    assert is_tight(ordered, 0.11)
    assert not is_tight(ordered, 0.09)
