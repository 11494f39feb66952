"""Bootstrap, paired comparison and outliers: against brute force, and against what the truth was."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from partitioner.decisions.noisy_front import front_probabilities, jaccard, noisy_front
from partitioner.decisions.outliers import deviations, flag_outliers
from partitioner.decisions.pairs import adjusted_p_values, compare_pairs
from partitioner.decisions.resampling import estimate, figure_of, joint_draws, mean, median

SAMPLE = st.floats(0.1, 10)
RUNS = st.lists(st.lists(SAMPLE, min_size=1, max_size=5), min_size=1, max_size=4)


@given(RUNS)
def test_a_figure_is_the_mean_over_runs_however_long_each_was(runs):
    assert figure_of(runs) == pytest.approx(sum(float(np.median(run)) for run in runs) / len(runs))


@given(RUNS)
@settings(max_examples=40)
def test_an_interval_holds_its_figure_and_repeats_with_its_seed(runs):
    found = estimate(runs, n_draws=100, seed=3)
    assert 0 <= found.low <= found.value <= found.high
    assert (found.n_runs, found.n_samples) == (len(runs), sum(map(len, runs)))
    assert estimate(runs, n_draws=100, seed=3) == found


def test_draws_have_the_moments_of_all_that_can_be_drawn():
    """Two runs of two samples each: 4 ways to draw the runs, 4 to draw each run's samples; all are enumerated."""
    runs = [[1.0, 2.0], [4.0, 8.0]]
    every = [
        np.mean([np.mean(pair) for pair in drawn])
        for chosen in product(runs, repeat=2)
        for drawn in product(*(list(product(run, repeat=2)) for run in chosen))
    ]
    value = figure_of(runs, mean)
    spread = value + math.sqrt(2) * (np.array(every) - value)
    draws = joint_draws([[runs]], [mean], n_draws=200_000)[:, 0, 0]
    assert draws.mean() == pytest.approx(spread.mean(), abs=0.01)
    assert draws.std() == pytest.approx(spread.std(), rel=0.01)


def coverage(n_runs, how):
    """Share of intervals that hold the truth, where runs differ among themselves by more than their samples do."""
    random, n_hits = np.random.default_rng(1), 0
    for trial in range(120):
        runs = 10 + random.normal(0, 1, (n_runs, 1)) + random.normal(0, 0.3, (n_runs, 40))
        found = how(runs, trial)
        n_hits += found.low <= 10 <= found.high
    return n_hits / 120


def test_intervals_hold_the_truth_of_the_next_run_where_pooled_samples_do_not():
    def pooled(runs, seed):
        return estimate([runs.ravel()], n_draws=300, seed=seed)

    assert coverage(5, lambda runs, seed: estimate(list(runs), n_draws=300, seed=seed)) >= 0.9
    assert coverage(3, lambda runs, seed: estimate(list(runs), n_draws=300, seed=seed)) >= 0.88
    assert coverage(5, pooled) < 0.5, "samples of one run are not independent: the toy version is far too sure"


def test_what_slows_a_whole_repeat_down_is_no_noise_between_plans():
    """One plan is always 5 % faster, while repeats differ by 50 %: together drawn, there is no doubt."""
    random = np.random.default_rng(0)
    slowness = [1.0, 1.5, 0.9, 1.3, 1.1]
    plans = [
        [
            [slow * factor * (1 + 0.002 * random.standard_normal(30)) for slow in slowness],
            [slow * factor * (1 + 0.002 * random.standard_normal(8)) for slow in slowness],
        ]
        for factor in (1.0, 1.05)
    ]
    found = noisy_front(plans, (median, mean), n_draws=400)
    assert found.probabilities == (1.0, 0.0)
    assert found.front == (0,)
    assert found.sure == (0,)


def test_plans_within_the_noise_are_both_perhaps_on_the_front():
    random = np.random.default_rng(2)
    plans = [[[random.normal(1, 0.05, 20) for _ in range(4)] for _ in range(2)] for _ in range(2)]
    found = noisy_front(plans, (mean, mean), n_draws=500)
    assert all(0.05 < share < 1 for share in found.probabilities)
    assert sum(found.probabilities) >= 1, "in each draw some plan is on the front"
    assert found.low_hypervolume <= found.hypervolume <= found.high_hypervolume


@given(st.lists(st.lists(st.tuples(SAMPLE, SAMPLE), min_size=3, max_size=3), min_size=1, max_size=5))
def test_probabilities_count_the_draws_without_a_better_plan(draws):
    def is_on_front(draw, mine):
        return not any(all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine for other in draw)

    wanted = [np.mean([is_on_front(draw, draw[plan]) for draw in draws]) for plan in range(3)]
    assert front_probabilities(draws).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize(
    "plans", [[[[[1.0]]]], [[[[1.0]], [[1.0], [2.0]]]], [[[[1.0]], [[]]]], [[[[1.0]], [[math.inf]]]], [[[], []]]]
)
def test_runs_that_do_not_fit_are_refused(plans):
    with pytest.raises(ValueError, match="wants"):
        joint_draws(plans, (median, mean))


def test_a_front_of_no_plans_is_refused():
    with pytest.raises(ValueError, match="at least one plan"):
        noisy_front([], (mean, mean))


@given(st.lists(st.tuples(SAMPLE, SAMPLE), min_size=1, max_size=7))
def test_the_p_value_is_the_share_of_all_ways_to_turn_pairs_round(pairs):
    first, second = zip(*pairs, strict=True)
    found = compare_pairs(first, second)
    logs = [math.log(b / a) for a, b in pairs]
    sums = [
        abs(sum(s * one for s, one in zip(signs, logs, strict=True))) for signs in product((1, -1), repeat=len(logs))
    ]
    n_as_far = sum(one >= abs(sum(logs)) - 1e-9 for one in sums)
    assert (
        found.p_value == pytest.approx(n_as_far / len(sums), abs=1e-6)
        or min(abs(one - abs(sum(logs))) for one in sums) < 1e-6
    )
    assert found.ratio == pytest.approx(math.exp(sum(logs) / len(logs)))
    assert found.low <= found.ratio <= found.high
    assert found.p_value >= found.least_p_value - 1e-12


def test_three_pairs_show_nothing_however_far_apart():
    found = compare_pairs([1.0, 1.1, 1.2], [5.0, 5.5, 6.0])
    assert found.p_value == 0.25
    assert not found.is_significant
    assert not found.can_be_significant


def test_pairing_shows_what_unpaired_figures_hide():
    random = np.random.default_rng(4)
    slowness = np.exp(random.normal(0, 0.5, 30))
    found = compare_pairs(slowness, slowness * 1.03 * np.exp(random.normal(0, 0.01, 30)))
    assert found.is_significant
    assert found.low < 1.03 < found.high
    assert found.high - found.low < 0.02


def test_without_a_difference_false_alarms_are_as_rare_as_the_level_says():
    random = np.random.default_rng(5)
    alarms = [compare_pairs(*np.exp(random.normal(0, 0.1, (2, 8)))).is_significant for _ in range(400)]
    assert 0.01 <= np.mean(alarms) <= 0.09


def test_equal_figures_do_not_differ():
    found = compare_pairs([1.0] * 8, [1.0] * 8)
    assert (found.ratio, found.p_value, found.low, found.high) == (1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(("first", "second"), [([], []), ([1.0], [1.0, 2.0]), ([0.0], [1.0]), ([math.nan], [1.0])])
def test_pairs_that_do_not_fit_are_refused(first, second):
    with pytest.raises(ValueError, match="Pairs want"):
        compare_pairs(first, second)


@given(st.lists(st.floats(0, 1), max_size=6))
def test_adjusted_p_values_keep_the_order_and_are_no_smaller(values):
    adjusted = adjusted_p_values(values)
    assert all(one >= value for one, value in zip(adjusted, values, strict=True))
    assert all(one <= 1 for one in adjusted)
    if values:
        assert min(adjusted) == pytest.approx(min(1, len(values) * min(values)))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert [adjusted[index] for index in order] == sorted(adjusted)


def test_a_stall_is_flagged_and_usual_spread_is_not():
    samples = np.append(np.random.default_rng(0).normal(10, 0.1, 200), [14.0, 3.0])
    flags = flag_outliers(samples)
    assert flags[-2:].all()
    assert flags[:-2].sum() <= 2


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=12))
@example([0.0, 1.0, 1e-313])
def test_deviations_are_counted_from_the_median(samples):
    away = deviations(samples)
    centre = float(np.median(samples))
    sizes = [abs(sample - centre) for sample in samples]
    scale = 1.4826 * float(np.median(sizes)) or 1.2533 * float(np.mean(sizes))
    wanted = [(sample - centre) / scale if scale > 0 else 0.0 for sample in samples]
    assert away.tolist() == pytest.approx(wanted)


def test_where_most_samples_are_equal_the_odd_one_is_still_found():
    assert flag_outliers([1.0] * 20 + [9.0]).tolist() == [False] * 20 + [True]
    assert not flag_outliers([2.0] * 5).any()
    assert flag_outliers([]).tolist() == []
    with pytest.raises(ValueError, match="finite"):
        flag_outliers([1.0, math.nan])


def test_jaccard():
    assert jaccard([1, 2], [2, 3]) == pytest.approx(1 / 3)
    assert jaccard([], []) == 1
