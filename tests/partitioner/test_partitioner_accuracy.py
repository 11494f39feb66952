"""Accuracy of predictions, against definitions written out, scipy, and the laws they obey."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from partitioner.accuracy import hypervolume_share, rank_agreement, regret, signed_error, summarise_errors
from partitioner.hypervolume import hypervolume

FIGURES = st.floats(min_value=0.01, max_value=100.0)
COARSE = st.integers(1, 6).map(float)
"""Few different values: ties everywhere."""


def columns(figures, n_columns, least=1):
    """Lists of rows of that many figures."""
    return st.lists(st.tuples(*[figures] * n_columns), min_size=least, max_size=9)


def test_an_error_is_above_zero_where_too_much_was_promised():
    assert signed_error(0.011, 0.010) == pytest.approx(0.1)
    assert signed_error(90.0, 100.0) == pytest.approx(-0.1)
    assert math.isnan(signed_error(1.0, 0.0))


def test_a_summary_of_known_errors():
    errors = {"a": 0.02, "b": -0.30, "c": 0.01, "d": -0.04, "e": 0.05}
    found = summarise_errors(errors)
    assert found.n == 5
    assert found.mape == pytest.approx(0.084)
    assert found.median == pytest.approx(0.04)
    assert found.p90 == pytest.approx(0.20)  # 0.6 of the way from 0.05 to 0.30
    assert (found.worst, found.worst_name) == (-0.30, "b")
    assert summarise_errors({}) is None


def test_an_error_that_is_no_figure_is_refused_by_name():
    with pytest.raises(ValueError, match="'second'"):
        summarise_errors({"first": 0.1, "second": math.nan})


@given(st.dictionaries(st.text(min_size=1), st.floats(-5, 5), min_size=1), st.randoms(use_true_random=False))
def test_a_summary_has_no_order(errors, chance):
    shuffled = list(errors.items())
    chance.shuffle(shuffled)
    one, other = summarise_errors(errors), summarise_errors(dict(shuffled))
    assert (one.worst, one.worst_name, one.n) == (other.worst, other.worst_name, other.n)
    assert one.mape == pytest.approx(other.mape)
    assert one.p90 == other.p90
    assert 0 <= one.median <= one.p90 + 1e-12 <= abs(one.worst) + 2e-12


@given(columns(COARSE, 2, least=2))
def test_tau_is_that_of_scipy_also_with_ties(rows):
    predicted, measured = zip(*rows, strict=True)
    expected = stats.kendalltau(predicted, measured).statistic
    found = rank_agreement(predicted, measured)
    assert found.n == len(rows)
    if math.isnan(expected):
        assert found.tau is None
    else:
        assert found.tau == pytest.approx(expected)


@given(columns(FIGURES, 2, least=2), st.floats(0, 30))
def test_resolved_tau_is_that_of_the_pairs_told_apart(rows, width):
    predicted, measured = zip(*rows, strict=True)
    found = rank_agreement(predicted, measured, [(value - width, value + width) for value in measured])
    pairs = [
        (i, j)
        for i, j in combinations(range(len(rows)), 2)
        if max(measured[i], measured[j]) - width > min(measured[i], measured[j]) + width
    ]
    assert found.n_resolved == len(pairs)
    signs = [(np.sign(predicted[i] - predicted[j]), np.sign(measured[i] - measured[j])) for i, j in pairs]
    n_predicted = sum(one != 0 for one, _ in signs)
    if n_predicted:
        expected = sum(one * other for one, other in signs) / math.sqrt(n_predicted * len(pairs))
        assert found.resolved_tau == pytest.approx(expected)
    else:
        assert found.resolved_tau is None


def test_plans_that_cannot_be_told_apart_count_for_no_order():
    predicted, measured = [1.0, 2.0, 3.0], [1.0, 3.01, 3.0]
    found = rank_agreement(predicted, measured, [(0.9, 1.1), (2.9, 3.1), (2.9, 3.1)])
    assert found.tau == pytest.approx(1 / 3)
    assert (found.n_resolved, found.resolved_tau) == (2, 1.0)


@given(st.lists(FIGURES, min_size=2, max_size=8, unique=True))
def test_measuring_what_was_predicted_is_perfect(figures):
    found = rank_agreement(figures, figures)
    assert (found.tau, found.resolved_tau) == (pytest.approx(1.0), pytest.approx(1.0))
    assert rank_agreement(figures, [-value for value in figures]).tau == pytest.approx(-1.0)
    assert regret(figures, figures) == regret(figures, figures, is_maximised=True) == 0.0
    assert summarise_errors({str(value): signed_error(value, value) for value in figures}).mape == 0.0
    points = [(value, other) for value, other in zip(figures, reversed(figures), strict=True)]
    assert hypervolume_share(points, points) == pytest.approx(1.0)


@pytest.mark.parametrize("figures", [[], [3.0]])
def test_one_plan_has_no_order(figures):
    found = rank_agreement(figures, figures)
    assert (found.n, found.tau, found.n_resolved, found.resolved_tau) == (len(figures), None, 0, None)


def test_orders_of_other_plans_are_refused():
    with pytest.raises(ValueError, match="2 predictions, 1 measurements"):
        rank_agreement([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="NaN"):
        rank_agreement([1.0, math.nan], [1.0, 2.0])


@given(columns(COARSE, 2), st.booleans())
def test_regret_is_what_the_choice_loses(rows, is_maximised):
    best = (max if is_maximised else min)(predicted for predicted, _ in rows)
    chosen = [measured for predicted, measured in rows if predicted == best]
    if is_maximised:
        expected = max(measured for _, measured in rows) / min(chosen) - 1
    else:
        expected = max(chosen) / min(measured for _, measured in rows) - 1
    predicted, measured = zip(*rows, strict=True)
    assert regret(predicted, measured, is_maximised=is_maximised) == pytest.approx(expected)
    reversed_regret = regret(predicted[::-1], measured[::-1], is_maximised=is_maximised)
    assert reversed_regret == pytest.approx(expected)
    assert expected >= 0


def test_regret_of_nothing_or_of_impossible_times_is_refused():
    for predicted, measured in (([], []), ([1.0], [1.0, 2.0]), ([1.0, 2.0], [0.0, 1.0])):
        with pytest.raises(ValueError, match="Regret wants"):
            regret(predicted, measured)


@settings(max_examples=60, deadline=None)
@given(columns(COARSE, 4), st.randoms(use_true_random=False))
def test_share_is_of_the_measured_points_of_the_plans_that_nothing_was_predicted_to_beat(rows, chance):
    def share(of):
        return hypervolume_share([row[:2] for row in of], [row[2:] for row in of], reference=(7.0, 7.0))

    def is_beaten(row):
        return any(a[0] <= row[0] and a[1] <= row[1] and a[:2] != row[:2] for a in rows)

    kept = [row[2:] for row in rows if not is_beaten(row)]
    expected = hypervolume(kept, (7.0, 7.0)) / hypervolume([row[2:] for row in rows], (7.0, 7.0))
    assert share(rows) == pytest.approx(expected)
    assert 0 < share(rows) <= 1 + 1e-12
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert share(shuffled) == pytest.approx(expected)


def test_share_without_a_reference_counts_every_point():
    predicted, measured = [(1.0, 2.0), (2.0, 1.0), (3.0, 3.0)], [(1.0, 2.0), (2.0, 1.0), (0.5, 0.5)]
    assert hypervolume_share(predicted, measured) == pytest.approx((1.15 * 0.15 + 0.15 * 1.0) / 1.65**2, rel=1e-9)
    with pytest.raises(ValueError, match="the same plans"):
        hypervolume_share(predicted, measured[:2])
