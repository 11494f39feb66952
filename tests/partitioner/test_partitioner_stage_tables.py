from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_builders import chain_graph, device_profile, stage_trial

from partitioner.stage_tables import FACTOR_BOUNDS, LEAST_BUSY_SHARE, stage_tables
from partitioner.stage_time import stage_seconds

GRAPH = chain_graph([600, 100, 50, 400, 20, 10])
SPANS = {(start, stop): 0.01 * (stop - start) + 0.001 * start for start in range(5) for stop in range(start + 1, 6)}
PROFILE = device_profile("a", SPANS)
MOVED = np.add.outer([600, 100, 50, 400, 20, 10], [600, 100, 50, 400, 20, 10])
UPPER = np.triu_indices(6, 1)


def with_trials(*trials, profile=PROFILE):
    return stage_tables(GRAPH, replace(profile, trials=tuple(trials)))


def test_without_trials_a_device_is_busy_for_what_was_profiled_to_the_last_bit():
    profile = replace(device_profile("a", {(0, 5): 0.07, (2, 3): 0.013, (0, 2): 0.02}), unsupported_units=(4,))
    tables, plain = stage_tables(GRAPH, profile), stage_seconds(GRAPH, profile)
    for matrix in (tables.compute, tables.seconds, tables.busy):
        np.testing.assert_array_equal(matrix, plain)
    assert np.isinf(tables.handover[:, 5]).all()
    assert not tables.handover[np.isfinite(plain)].any()


def test_a_trial_s_own_figures_stand_and_the_last_counts():
    first, again = stage_trial(1, 3, 0.02, 0.004, 0.03), stage_trial(1, 3, 0.025, 0.006, 0.02)
    tables = with_trials(first, again)
    found = tables.compute[1, 3], tables.handover[1, 3], tables.seconds[1, 3], tables.busy[1, 3]
    assert found == (0.025, 0.006, 0.025 + 0.006, 0.02)


def test_a_single_trial_tells_one_factor_and_constants():
    tables = with_trials(stage_trial(1, 3, 1.2 * SPANS[1, 3], 0.004, 1.2 * SPANS[1, 3] + 0.002))
    np.testing.assert_allclose(tables.compute[UPPER], 1.2 * np.array(list(SPANS.values())), rtol=1e-12)
    np.testing.assert_allclose(tables.handover[UPPER], 0.004, rtol=1e-12)
    np.testing.assert_allclose(tables.busy[UPPER] - tables.compute[UPPER], 0.002, rtol=1e-9)
    for matrix in (tables.compute, tables.handover, tables.seconds, tables.busy):
        assert np.isinf(matrix[np.tril_indices(6)]).all()
        assert not matrix.flags.writeable


def test_handover_and_busy_time_rise_with_the_bytes_that_are_moved():
    trials = [
        stage_trial(*span, SPANS[span], 0.002 + 4e-6 * MOVED[span], SPANS[span] + 0.001 + 1e-6 * MOVED[span])
        for span in ((0, 1), (1, 3), (2, 5), (3, 4))
    ]
    tables = with_trials(*trials)
    np.testing.assert_allclose(tables.handover[UPPER], (0.002 + 4e-6 * MOVED)[UPPER], rtol=1e-9)
    np.testing.assert_allclose(tables.busy[UPPER] - tables.compute[UPPER], (0.001 + 1e-6 * MOVED)[UPPER], rtol=1e-9)
    np.testing.assert_array_equal(tables.seconds[UPPER], (tables.compute + tables.handover)[UPPER])


def test_neither_part_of_a_fit_is_negative():
    falling = [stage_trial(*span, 0.01, 0.009 - 1e-5 * MOVED[span], 0.008) for span in ((0, 1), (1, 3), (4, 5))]
    tables = with_trials(*falling)
    assert np.ptp(tables.handover[0, 2:]) == 0.0  # a constant, where least squares would fall with the bytes
    assert tables.busy[0, 5] == tables.compute[0, 5]
    from_nothing = [
        stage_trial(*span, 0.01, 1e-5 * max(MOVED[span] - 100, 0), 0.01) for span in ((0, 1), (1, 3), (4, 5))
    ]
    tables = with_trials(*from_nothing)
    slope = tables.handover[0, 2] / MOVED[0, 2]
    np.testing.assert_allclose(tables.handover[0, 3:], slope * MOVED[0, 3:], rtol=1e-9)


def test_the_factor_is_a_median_within_bounds_and_of_the_latest_segments():
    profile = replace(PROFILE, segments=(*PROFILE.segments, *device_profile("a", {(0, 1): 0.02}).segments))
    trials = [stage_trial(0, 1, 0.03, 0.0, 0.03), stage_trial(1, 2, 1.1 * SPANS[1, 2], 0.0, 1.0)]
    trials.append(stage_trial(2, 3, 9 * SPANS[2, 3], 0.0, 1.0))  # one that something disturbed
    tables = with_trials(*trials, profile=profile)
    assert tables.compute[2, 5] == pytest.approx(1.5 * SPANS[2, 5])
    slow = with_trials(stage_trial(2, 3, 9 * SPANS[2, 3], 0.0, 1.0))
    assert slow.compute[2, 5] == FACTOR_BOUNDS[1] * SPANS[2, 5]
    assert slow.compute[2, 3] == 9 * SPANS[2, 3]


def test_a_span_that_was_tried_but_not_profiled_has_no_factor():
    profile = device_profile("a", {(0, 5): 0.05})
    tables = with_trials(stage_trial(0, 2, 0.04, 0.0, 0.04), profile=profile)
    assert tables.compute[0, 5] == 0.05


def test_no_trial_makes_a_unit_possible_that_the_device_refuses():
    profile = replace(PROFILE, unsupported_units=(2,))
    tables = with_trials(stage_trial(1, 4, 0.01, 0.001, 0.02), profile=profile)
    for matrix in (tables.compute, tables.handover, tables.seconds, tables.busy):
        assert np.isinf(matrix[1, 4])
        assert np.isfinite(matrix[3, 5])


TIMES = st.floats(1e-5, 1.0)
TRIALS = st.dictionaries(st.sampled_from(list(SPANS)), st.tuples(TIMES, st.floats(0, 1.0), TIMES), max_size=6)


@given(TRIALS)
def test_times_are_possible_and_busy_times_near_those_of_computing(trials):
    tables = with_trials(*(stage_trial(*span, *times) for span, times in trials.items()))
    assert np.all(tables.compute[UPPER] > 0)
    assert np.all(tables.handover[UPPER] >= 0)
    assert np.all(np.isfinite(tables.seconds[UPPER]))
    assert np.all(tables.busy[UPPER] >= LEAST_BUSY_SHARE * tables.compute[UPPER])


@given(TRIALS)
def test_no_other_constant_and_slope_fit_the_handover_better(trials):
    if len(trials) < 2 or len({MOVED[span] for span in trials}) < 2:
        return
    tables = with_trials(*(stage_trial(*span, *times) for span, times in trials.items()))
    hidden = [span for span in SPANS if span not in trials]
    one, other = min(hidden, key=lambda span: MOVED[span]), max(hidden, key=lambda span: MOVED[span])
    slope = (tables.handover[other] - tables.handover[one]) / (MOVED[other] - MOVED[one])
    constant = tables.handover[one] - slope * MOVED[one]

    def loss(a, b):
        return sum(((a + b * MOVED[span] - handover) / compute) ** 2 for span, (compute, handover, _) in trials.items())

    grid = [(a, b) for a in np.linspace(0, 1, 21) for b in np.linspace(0, 0.05, 21)]
    assert loss(constant, slope) <= min(loss(*pair) for pair in grid) * (1 + 1e-6) + 1e-9
