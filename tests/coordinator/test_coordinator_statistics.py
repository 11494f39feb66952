import math

import numpy as np
import pytest

from coordinator.statistics import latency_summary, mean_estimate, quantile_estimate, rate_estimate


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_quantile_interval_covers_the_true_quantile_about_as_often_as_it_says(quantile):
    rng = np.random.default_rng(1)
    truth = -np.log(1 - quantile)
    hits = 0
    for _ in range(400):
        estimate = quantile_estimate(rng.exponential(size=60).tolist(), quantile)
        hits += estimate.low <= truth <= estimate.high
    assert 0.93 <= hits / 400 <= 1.0


def test_mean_interval_is_students():
    estimate = mean_estimate([1.0, 2.0, 3.0, 4.0])
    assert estimate.value == 2.5
    assert estimate.high - estimate.value == pytest.approx(3.18245 * np.std([1, 2, 3, 4], ddof=1) / 2, rel=1e-4)


def test_a_single_sample_has_no_width():
    assert mean_estimate([3.0]).low == mean_estimate([3.0]).high == 3.0
    assert quantile_estimate([3.0], 0.99).high == 3.0


def test_rate_of_even_completions_is_exact():
    estimate = rate_estimate([0.5 + 0.1 * index for index in range(21)])
    assert estimate.value == pytest.approx(10)
    assert estimate.low == pytest.approx(10)
    assert estimate.high == pytest.approx(10)


def test_rate_interval_widens_when_the_pace_changes():
    times = np.cumsum([0.1] * 20 + [0.2] * 20).tolist()
    estimate = rate_estimate(times)
    assert estimate.low < estimate.value < estimate.high
    assert estimate.high - estimate.low > 1


@pytest.mark.parametrize("n_completions", range(7, 30))
def test_a_rate_counts_whole_rounds_of_ways_that_answer_in_bunches(n_completions):
    """As of two nodes that bear a stage in turn: from the first of a bunch to the last of another is no period."""
    bunches = [0.6 * (index // 2) + 0.001 * (index % 2) for index in range(n_completions)]
    estimate = rate_estimate(bunches, 2)
    assert estimate.value == pytest.approx(2 / 0.6)
    assert estimate.low == pytest.approx(2 / 0.6)
    assert estimate.high == pytest.approx(2 / 0.6)


@pytest.mark.parametrize(("n_completions", "n_ways", "has_interval"), [(3, 1, False), (4, 1, True), (6, 2, False)])
def test_a_rate_of_fewer_than_three_rounds_has_no_interval(n_completions, n_ways, has_interval):
    estimate = rate_estimate([0.1 * index for index in range(n_completions)], n_ways)
    assert estimate.value == pytest.approx(10)
    assert (estimate.low > 0, math.isfinite(estimate.high)) == (has_interval, has_interval)


def test_a_rate_of_less_than_a_round_is_of_all_completions():
    assert rate_estimate([1.0, 1.5], 4).value == pytest.approx(2)


def test_latency_summary_orders_its_percentiles_and_counts():
    summary = latency_summary([index / 1000 for index in range(1, 101)])
    assert summary.n_samples == 100
    assert summary.p50.value < summary.p90.value < summary.p99.value
    assert summary.mean.value == pytest.approx(0.0505)
