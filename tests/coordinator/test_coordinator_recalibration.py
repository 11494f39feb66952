"""Live recalibration in worlds whose true factors are known."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_builders import N_UNITS, SPEED, chain_model, measure, tried_model, without_medians

from coordinator.leaving_out import correct_each_by_others
from coordinator.recalibration import (
    FACTOR_BOUNDS,
    device_factor,
    live_profile,
    live_spans,
    recalibrate,
)

MODEL = chain_model()
SPLITS = ((("a", 4), ("b", N_UNITS)), (("a", 6), ("b", N_UNITS)), (("b", 6), ("a", N_UNITS)), (("a", N_UNITS),))
FACTORS = st.fixed_dictionaries({"a": st.floats(0.5, 2.0), "b": st.floats(0.5, 2.0)})


def world(factors, **how):
    return tuple(measure(MODEL, f"plan {i}", places, factors, seed=i, **how) for i, places in enumerate(SPLITS))


def times(profile, device):
    found = next(one for one in profile.devices if one.device == device)
    return {(one.start, one.stop): one for one in found.segments}


@settings(max_examples=30, deadline=None)
@given(FACTORS, st.integers(0, 6))
def test_the_true_factor_of_each_device_is_found_in_noise_and_outliers(factors, outliers):
    """Medians of 60 requests with 5 % of noise stray by 0.8 %; some took ten times as long."""
    found = recalibrate(MODEL, world(factors, noise=0.05, outliers=outliers), "unloaded")
    assert [one.device for one in found.factors] == ["a", "b"]
    for one in found.factors:
        assert one.factor == pytest.approx(factors[one.device], rel=0.03)
        assert one.low <= one.factor <= one.high
        for (start, stop), timing in times(found.profile, one.device).items():
            assert timing.seconds == pytest.approx(factors[one.device] * SPEED[one.device] * (stop - start), rel=0.05)


def test_slow_requests_do_not_move_the_result():
    factors = {"a": 1.2, "b": 0.8}
    quiet, disturbed = (recalibrate(MODEL, world(factors, outliers=n), "busy") for n in (0, 20))
    assert [one.factor for one in disturbed.factors] == pytest.approx([one.factor for one in quiet.factors])
    for device in ("a", "b"):
        before, after = times(quiet.profile, device), times(disturbed.profile, device)
        assert {k: v.seconds for k, v in after.items()} == pytest.approx({k: v.seconds for k, v in before.items()})


def test_spans_seen_live_have_the_live_median_and_others_are_scaled():
    plans = world({"a": 1.5})
    odd = replace(
        plans[0],
        stages=(replace(plans[0].stages[0], compute_median_seconds=replace(plans[0].stages[0].compute_median_seconds,
                value=0.0201, low=0.0199, high=0.0203)), plans[0].stages[1]),
    )  # fmt: skip
    found = times(recalibrate(MODEL, (odd, *plans[1:]), "busy").profile, "a")
    assert (found[0, 4].seconds, found[0, 4].low_seconds, found[0, 4].high_seconds) == (0.0201, 0.0199, 0.0203)
    assert (found[0, 4].source, found[0, 4].n_samples) == ("pipeline", 60)
    assert (found[0, 4].session_seconds, found[0, 4].memory_bytes) == (0.02, 7000)
    assert (found[2, 3].source, found[2, 3].n_samples) == ("scaled", 30)
    assert found[2, 3].seconds == pytest.approx(1.5 * 0.004)
    assert found[2, 3].low_seconds == pytest.approx(1.5 * 0.99 * 0.004)


def test_a_span_that_the_profiler_never_timed_is_added():
    plan = measure(MODEL, "new", (("a", 5), ("b", N_UNITS)), {"a": 1.1, "b": 1.1})
    found = times(recalibrate(MODEL, (plan, *world({"a": 1.1, "b": 1.1})), "busy").profile, "a")
    assert found[0, 5].seconds == pytest.approx(1.1 * 5 * 0.004)
    assert (found[0, 5].source, found[0, 5].memory_bytes) == ("pipeline", 0)


def test_devices_without_live_stages_keep_their_profile():
    before, after = MODEL.profile, recalibrate(MODEL, world({"a": 1.3, "b": 0.7}), "busy").profile
    assert times(after, "c") == times(before, "c")
    assert recalibrate(MODEL, (), "busy").profile == before
    old = tuple(map(without_medians, world({"a": 1.3})))
    assert recalibrate(MODEL, old, "busy").profile == before
    assert all(plan.corrected is None for plan in correct_each_by_others(MODEL, old))


def test_paced_stages_teach_nothing():
    """Even where the emulation overshot, as a sleep does: the profile must not chase its own echo."""
    plans = world({"a": 1.2, "b": 1.2}, paced=("a",))
    echo = tuple(
        replace(plan, stages=tuple(replace(s, compute_median_seconds=replace(s.compute_median_seconds, value=9.0))
                if s.is_paced else s for s in plan.stages))
        for plan in plans
    )  # fmt: skip
    found = recalibrate(MODEL, echo, "busy")
    assert times(found.profile, "a") == times(MODEL.profile, "a")
    assert [one.device for one in found.factors] == ["b"]


def test_one_stage_speaks_for_its_device_only_when_it_is_sure():
    def factor(noise, n):
        plan = measure(MODEL, "only", (("a", 4), ("b", N_UNITS)), {"a": 1.4, "b": 1.0}, noise=noise, n=n)
        return recalibrate(MODEL, (plan,), "busy")

    sure, unsure = factor(0.02, 60), factor(0.5, 12)
    assert sure.factors[0].factor == pytest.approx(1.4, rel=0.02)
    assert unsure.factors[0].factor is None
    assert unsure.factors[0].low < 1.4 < unsure.factors[0].high
    assert times(sure.profile, "a")[2, 3].source == "scaled"
    assert times(unsure.profile, "a")[2, 3].source == "profiler"
    assert times(unsure.profile, "a")[0, 4].source == "pipeline"


def test_short_spans_have_no_say_in_the_factor():
    """A fixed part of 3 ms trebles a span of 1 ms, and is little of 12 ms; the long ones decide."""
    spans = live_spans(MODEL, [measure(MODEL, "p", (("b", N_UNITS),), {})], "busy")
    whole = replace(spans[0], predicted_seconds=0.012, live=replace(spans[0].live, value=0.0126))
    short = replace(whole, stop=1, predicted_seconds=0.001, live=replace(whole.live, value=0.004))
    most = replace(whole, stop=10, predicted_seconds=0.010, live=replace(whole.live, value=0.0106))
    found = device_factor("b", [whole, most, short, replace(short, start=1, stop=2), replace(short, start=2, stop=3)])
    assert found.factor == pytest.approx(1.055)
    assert found.n_stages == 5


def test_ratios_that_no_factor_describes_give_none():
    spans = live_spans(MODEL, world({"a": 1.0}), "busy")
    torn = [
        replace(span, live=replace(span.live, value=span.predicted_seconds * ratio))
        for span, ratio in zip(spans, (1.0, 6.0), strict=False)
    ]
    found = device_factor("a", torn)
    assert found.factor is None
    assert (found.low, found.high) == (pytest.approx(1.0), pytest.approx(6.0))


@pytest.mark.parametrize(("true", "believed"), [(50.0, FACTOR_BOUNDS[1]), (0.01, FACTOR_BOUNDS[0]), (1.7, 1.7)])
def test_a_factor_beyond_belief_is_clipped_and_said(true, believed):
    found = recalibrate(MODEL, world({"a": true}), "busy").factors[0]
    assert found.factor == pytest.approx(believed)
    assert found.is_clipped == (true != believed)
    assert found.low == pytest.approx(true)


@settings(max_examples=25, deadline=None)
@given(FACTORS, st.randoms(use_true_random=False))
def test_the_order_of_plans_is_nothing(factors, chance):
    plans = list(world(factors, noise=0.1))
    expected = recalibrate(MODEL, plans, "busy")
    chance.shuffle(plans)
    found = recalibrate(MODEL, plans, "busy")
    assert found.factors == expected.factors
    assert found.profile == expected.profile


def test_a_span_seen_in_several_plans_has_the_median_of_them():
    places = SPLITS[0]
    plans = [measure(MODEL, str(i), places, {"a": ratio}) for i, ratio in enumerate((1.0, 1.1, 9.0))]
    span = live_spans(MODEL, plans, "busy")[0]
    assert span.live.value == pytest.approx(1.1 * 0.016)
    assert span.n_samples == 180


def test_each_plan_is_corrected_by_others_alone():
    """Its own live times may be anything: they change nothing of its prediction, but of all the others'."""
    plans = world({"a": 1.3, "b": 0.8})
    expected = correct_each_by_others(MODEL, plans)
    liar = replace(
        plans[1],
        stages=tuple(
            replace(s, compute_median_seconds=replace(s.compute_median_seconds, value=7.0),
                    unloaded_compute_seconds=replace(s.unloaded_compute_seconds, value=7.0))
            for s in plans[1].stages
        ),
    )  # fmt: skip
    twin = replace(liar, label="the same plan, measured again")
    found = correct_each_by_others(MODEL, (plans[0], liar, *plans[2:], twin))
    assert found[1].corrected == expected[1].corrected
    assert found[4].corrected == expected[1].corrected
    assert [s.corrected_compute_seconds for s in found[1].stages] == [
        s.corrected_compute_seconds for s in expected[1].stages
    ]
    assert found[0].corrected != expected[0].corrected


@settings(max_examples=20, deadline=None)
@given(FACTORS)
def test_correction_brings_predictions_to_what_is_measured(factors):
    for plan in correct_each_by_others(MODEL, world(factors, noise=0.02)):
        assert plan.corrected is not None
        assert plan.corrected.latency_seconds == pytest.approx(plan.latency_seconds.p50.value, rel=0.03)
        for stage in plan.stages:
            assert stage.corrected_compute_seconds == pytest.approx(stage.compute_median_seconds.value, rel=0.03)


def test_latency_is_of_unloaded_and_throughput_of_busy_stages():
    plans = world({"a": 1.0, "b": 1.0}, busy_over_unloaded=1.4)
    found = correct_each_by_others(MODEL, plans)[0]
    assert found.corrected.latency_seconds == pytest.approx(found.predicted.latency_seconds)
    assert found.corrected.throughput_per_second == pytest.approx(found.predicted.throughput_per_second / 1.4)


def test_only_plans_on_the_same_devices_inform():
    alone = measure(MODEL, "c alone", (("c", N_UNITS),), {"c": 2.0})
    plans = (*world({"a": 1.2, "b": 1.2}), alone)
    found = correct_each_by_others(MODEL, plans)
    assert found[-1].corrected is None
    assert found[-1].stages[0].corrected_compute_seconds is None
    assert [plan.corrected for plan in found[:-1]] == [
        plan.corrected for plan in correct_each_by_others(MODEL, plans[:-1])
    ]


TRIED = tried_model()


def tried_world(factors, **how):
    return tuple(measure(TRIED, f"plan {i}", places, factors, seed=i, **how) for i, places in enumerate(SPLITS))


@settings(max_examples=20, deadline=None)
@given(FACTORS)
def test_where_stages_were_tried_correction_moves_computing_and_leaves_handling(factors):
    for plan in correct_each_by_others(TRIED, tried_world(factors, noise=0.02)):
        assert plan.corrected is not None
        assert plan.corrected.latency_seconds == pytest.approx(plan.latency_seconds.p50.value, rel=0.03)
        for stage in plan.stages:
            assert stage.corrected_compute_seconds == pytest.approx(stage.unloaded_compute_seconds.value, rel=0.03)


def test_spans_seen_live_become_trials_where_stages_were_tried():
    plans = tried_world({"a": 1.3, "b": 0.8})
    live = replace(TRIED, profile=live_profile(TRIED, plans))
    found = {(one.start, one.stop): one for one in live.profile.devices[0].trials}
    assert set(found) == {(0, 4), (0, 6), (6, N_UNITS), (0, N_UNITS)}
    assert found[0, 4].compute_seconds == plans[0].stages[0].unloaded_compute_seconds.value
    assert found[0, 4].handover_seconds == 0.002
    for device, factor in (("a", 1.3), ("b", 0.8)):
        never_seen = live.stage_compute_matrix(device)[1, 5]
        assert never_seen == pytest.approx(factor * 1.1 * 4 * SPEED[device], rel=0.02)
    assert live.profile.devices[2] == TRIED.profile.devices[2]


def test_what_handling_adds_to_a_busy_device_is_not_counted_twice():
    """Under load computing was seen to take 0.6 ms more, of the 1 ms that handling was tried to take."""
    plan = tried_world({"a": 1.0})[0]
    stage = plan.stages[0]
    alone = stage.unloaded_compute_seconds.value
    loaded = replace(stage, compute_median_seconds=replace(stage.unloaded_compute_seconds, value=alone + 0.0006))
    span = live_spans(TRIED, [replace(plan, stages=(loaded, plan.stages[1]))], "busy")[0]
    assert span.live.value == pytest.approx(alone + 0.001)
    crowded = replace(stage, compute_median_seconds=replace(stage.unloaded_compute_seconds, value=alone + 0.005))
    span = live_spans(TRIED, [replace(plan, stages=(crowded, plan.stages[1]))], "busy")[0]
    assert span.live.value == pytest.approx(alone + 0.005)
