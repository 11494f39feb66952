import math
import random
from dataclasses import replace

import pytest
from report_sample import predicted_run, sample_run, unsplit_run

from coordinator.measurement import Estimate, Measurement
from coordinator.report import text
from coordinator.report.comparison import (
    exactly,
    latency_comparison,
    ratio_estimate,
    single_devices,
    throughput_comparison,
)
from coordinator.report.key_figures import key_figures
from coordinator.report.run import Run


def test_ratio_of_exact_figures_has_no_width() -> None:
    assert ratio_estimate(exactly(6.0), exactly(2.0)) == Estimate(value=3.0, low=3.0, high=3.0)


def test_ratio_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    source = random.Random(5)
    hits = 0
    for _ in range(2000):
        top, bottom = source.gauss(30.0, 1.0), source.gauss(10.0, 0.5)
        ratio = ratio_estimate(_normal(top, 1.0), _normal(bottom, 0.5))
        hits += ratio.low <= 3.0 <= ratio.high
    assert 0.93 <= hits / 2000 <= 0.97


def test_ratio_survives_intervals_that_reach_zero_or_infinity() -> None:
    ratio = ratio_estimate(Estimate(value=4, low=0, high=5), Estimate(value=2, low=-1, high=math.inf))
    assert (ratio.value, ratio.low, ratio.high) == (2.0, 0.0, math.inf)
    assert math.isnan(ratio_estimate(exactly(1.0), exactly(0.0)).value)


def test_best_single_device_is_another_for_throughput_than_for_latency() -> None:
    run = sample_run()
    singles = {single.device: single for single in single_devices(run)}
    throughput, latency = throughput_comparison(run), latency_comparison(run)
    assert throughput is not None
    assert latency is not None
    assert (throughput.device, latency.device) == ("server", "pi-1")
    measured = _measurement(run)
    assert throughput.times.value == pytest.approx(
        measured.throughput_per_second.value / singles["server"].throughput_per_second.value
    )
    assert latency.times.value == pytest.approx(
        measured.latency_seconds.p50.value / singles["pi-1"].latency_seconds.value
    )


def test_without_measurement_predictions_are_compared_with_predictions() -> None:
    run = predicted_run()
    throughput = throughput_comparison(run)
    assert throughput is not None
    assert not throughput.is_measured
    server = next(one for one in single_devices(run) if one.device == "server")
    expected = run.chosen.cost.throughput_per_second / server.throughput_per_second.value
    assert throughput.times == exactly(expected)
    assert text.comparison_sentence(throughput, "throughput").startswith("Predicted 3.00 × the throughput")


def test_an_interval_around_one_is_no_gain() -> None:
    run = sample_run()
    measured = _measurement(run)
    server = next(one for one in single_devices(run) if one.device == "server").throughput_per_second
    same = replace(run, measurement=replace(measured, throughput_per_second=server))
    assert text.comparison_sentences(same)[0].startswith("No clear difference in throughput to the best single device")


def test_error_is_of_the_prediction() -> None:
    assert text.error_text(0.09, 0.1) == "−10 %"


def test_headlines() -> None:
    assert text.headline(sample_run()) == _measurement(sample_run()).recommendation
    assert text.headline(predicted_run()) == "Split after features.8.conv.2, features.15.conv.0: pi-1 → pi-2 → server."
    assert text.headline(unsplit_run()) == "Do not split: run the whole model on server."


def test_a_chosen_single_device_is_held_against_the_best_split() -> None:
    run = sample_run()
    whole = run.search.front[0]
    measured = _measurement(run)
    unsplit = replace(
        run,
        chosen=whole,
        measurement=replace(measured, plan=whole.plan, front=(*measured.front, replace(measured, label="split"))),
    )
    (sentence,) = text.comparison_sentences(unsplit)
    assert "The best split that was measured (pi-1[0:9] → pi-2[9:16] → server[16:40]) reaches 1.00 ×" in sentence
    assert "none" in {figure.value for figure in key_figures(unsplit)}


def test_key_figures_show_p99_only_with_enough_samples() -> None:
    run = sample_run()
    measured = _measurement(run)
    assert "p90 102 ms, n = 400" in key_figures(run)[0].note
    many = replace(measured, latency_seconds=replace(measured.latency_seconds, n_samples=1000))
    assert "p99 121 ms, n = 1,000" in key_figures(replace(run, measurement=many))[0].note


def test_key_figures_in_order() -> None:
    assert [(one.name, one.value) for one in key_figures(sample_run())] == [
        ("latency, median", "92.8 ms"),
        ("throughput", "58.0 /s"),
        ("speed-up in throughput", "2.97 ×"),
        ("prediction error", "−2.9 %"),
        ("output error, largest", "1.3e-6"),
    ]
    assert [one.name for one in key_figures(predicted_run())] == ["latency", "throughput", "speed-up in throughput"]


def test_emulation_is_gathered_from_cluster_profile_and_measurement() -> None:
    run = sample_run()
    assert text.emulation_sentence(run.emulation) == "emulated: pi-1, pi-2, 12 links"
    real = replace(run.cluster, devices=(), links=())
    assert text.emulation_sentence(replace(run, cluster=real, profile=None).emulation) == "emulated: pi-1, 1 link"
    assert text.emulation_sentence(unsplit_run().emulation) == ""


def _measurement(run: Run) -> Measurement:
    assert run.measurement is not None
    return run.measurement


def _normal(value: float, deviation: float) -> Estimate:
    return Estimate(value=value, low=value - 1.96 * deviation, high=value + 1.96 * deviation)
