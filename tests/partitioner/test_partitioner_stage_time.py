import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_builders import chain_graph, device_profile

from partitioner.errors import CostModelError
from partitioner.profile import DeviceProfile
from partitioner.stage_time import SCALE_BOUNDS, fit_prior, stage_seconds, unit_seconds

UNITS = [0.01, 0.02, 0.005, 0.04, 0.015]
GRAPH = chain_graph([1] * 6, flops=[10, 20, 5, 40, 15])


def spans_of(units, fixed, scale):
    n = len(units)
    several = {(i, j): fixed + scale * sum(units[i:j]) for i in range(n) for j in range(i + 2, n + 1)}
    return {(i, i + 1): seconds for i, seconds in enumerate(units)} | several


def test_fit_recovers_the_line_and_predicts_what_was_not_measured():
    spans = spans_of(UNITS, 0.003, 0.8)
    hidden = spans.pop((1, 4))
    profile = device_profile("a", spans)
    prior = fit_prior(GRAPH, profile)
    assert prior.fixed_seconds == pytest.approx(0.003)
    assert prior.scale == pytest.approx(0.8)
    assert stage_seconds(GRAPH, profile)[1, 4] == pytest.approx(hidden)


def test_measured_spans_win_and_the_last_measurement_counts():
    spans = spans_of(UNITS, 0.003, 0.8)
    first, again = device_profile("a", spans), device_profile("a", {(0, 3): 0.5})
    profile = DeviceProfile(device="a", segments=first.segments + again.segments, runtime="test")
    matrix = stage_seconds(GRAPH, profile)
    assert matrix[0, 3] == 0.5
    assert all(matrix[span] == seconds for span, seconds in spans.items() if span != (0, 3))
    assert np.isinf(matrix[np.tril_indices(6)]).all()


def test_long_and_short_spans_count_alike():
    units = [0.001] * 4 + [10.0]
    graph = chain_graph([1] * 6)
    spans = {(i, i + 1): seconds for i, seconds in enumerate(units)} | {(0, 2): 0.001, (0, 4): 0.002, (0, 5): 10.0}
    # absolute squares would care for the long span alone and give scale 1
    assert fit_prior(graph, device_profile("a", spans)).scale == pytest.approx(0.57, abs=0.1)


@pytest.mark.parametrize("several", [{}, {(0, 5): 0.03}])
def test_without_two_long_spans_times_are_sums(several):
    singles = {(i, i + 1): seconds for i, seconds in enumerate(UNITS)}
    prior = fit_prior(GRAPH, device_profile("a", singles | several))
    assert (prior.fixed_seconds, prior.scale) == (0.0, 1.0)


def test_units_not_timed_alone_share_the_shortest_span_by_flops():
    seconds = unit_seconds(GRAPH, device_profile("a", {(0, 5): 9.0, (0, 1): 0.7, (2, 4): 0.47}))
    assert seconds[0] == 0.7
    assert seconds[2:4] == pytest.approx([0.47 * 6 / 47, 0.47 * 41 / 47])
    assert seconds[4] == pytest.approx(9.0 * 16 / 95)


def test_without_flops_units_share_alike():
    assert unit_seconds(chain_graph([1] * 5), device_profile("a", {(0, 4): 2.0})) == pytest.approx([0.5] * 4)


def test_units_without_any_time_are_named():
    with pytest.raises(CostModelError, match=r"'a' has no time for 2 of 5 units \(the first is unit 3\)"):
        unit_seconds(GRAPH, device_profile("a", {(0, 3): 1.0}))


TIMES = st.floats(1e-6, 10.0)
SPANS = st.dictionaries(
    st.tuples(st.integers(0, 4), st.integers(1, 5)).filter(lambda span: span[0] < span[1]), TIMES, max_size=10
)


@given(st.tuples(*[TIMES] * 5), SPANS)
def test_times_are_never_negative_whatever_was_measured(singles, others):
    spans = {(i, i + 1): seconds for i, seconds in enumerate(singles)} | others
    profile = device_profile("a", spans)
    prior = fit_prior(GRAPH, profile)
    assert 0 <= prior.fixed_seconds <= max(spans.values())
    assert SCALE_BOUNDS[0] <= prior.scale <= SCALE_BOUNDS[1]
    matrix = stage_seconds(GRAPH, profile)
    upper = matrix[np.triu_indices(6, 1)]
    assert np.all(upper > 0)
    assert np.all(np.isfinite(upper))


@given(st.tuples(*[TIMES] * 5), SPANS)
def test_no_other_line_within_bounds_fits_better(singles, others):
    spans = {(i, i + 1): seconds for i, seconds in enumerate(singles)} | others
    several = {span: seconds for span, seconds in spans.items() if span[1] - span[0] > 1}
    if len(several) < 2:
        return
    prior = fit_prior(GRAPH, device_profile("a", spans))
    units = np.array(prior.unit_seconds)

    def loss(fixed, scale):
        return sum(((fixed + scale * units[i:j].sum()) / t - 1) ** 2 for (i, j), t in several.items())

    grid = [(f, s) for f in np.linspace(0, min(several.values()), 9) for s in np.geomspace(*SCALE_BOUNDS, 25)]
    assert loss(prior.fixed_seconds, prior.scale) <= min(loss(*pair) for pair in grid) * (1 + 1e-9) + 1e-12
