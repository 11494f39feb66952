"""Studies that are predicted and not measured."""

import pytest
from sweep_builders import SWEEP, MemoryStore, studies_of, sweep_file

from coordinator.report.sweep.forecast import forecast_series
from coordinator.sweep.beginning import begin
from coordinator.sweep.predict_only import load_forecasts, predict_studies
from coordinator.sweep.predicted import PredictedSweep
from coordinator.sweep.words import rate_sentences
from coordinator.sweep.workers import ThisProcess

TWO_RATES = "[as-is, {name: r8, default: {rate: 8mbit}}, {name: r50, default: {rate: 50mbit}}]"


def predicted(text, folder) -> PredictedSweep:
    file = sweep_file(text)
    studies = studies_of(file)
    sweep = begin(file, studies, MemoryStore()).sweep
    list(predict_studies(file, sweep, studies, folder, workers=ThisProcess(), on_step=lambda *_: None))
    (found,) = load_forecasts(folder, sweep.name)
    return found


def test_what_a_condition_leaves_out_is_that_of_the_description(tmp_path) -> None:
    links = "links: {default: {rate: 2mbit, delay: 50ms}}"
    text = SWEEP.replace("    subsets:", f"      {links}\n    subsets:").replace(
        "[as-is, {name: slow, default: {delay: 30ms, rate: 8mbit}}]", TWO_RATES
    )
    found = predicted(text, tmp_path)
    axes = [(one.delay_seconds, one.bytes_per_second) for one in found.conditions]
    assert axes == [(0.05, 2.5e5), (0.05, 1e6), (0.05, 6.25e6)]
    latency, throughput = found.crossover
    assert latency.rates == throughput.rates == (2.5e5, 1e6, 6.25e6)
    for condition in forecast_series(found, name="three", slug="three").conditions:
        assert condition.round_trip_seconds == pytest.approx(0.1)
        assert condition.bytes_per_second is not None


def test_of_links_that_differ_no_rate_is_told(tmp_path) -> None:
    links = "links: {between: [{from: a, to: b, rate: 1mbit}, {from: b, to: c, rate: 2mbit}]}"
    found = predicted(SWEEP.replace("    subsets:", f"      {links}\n    subsets:"), tmp_path)
    assert [one.bytes_per_second for one in found.conditions] == [None, 1e6]
    assert found.crossover == ()
    assert rate_sentences(found, "latency") == ()


def test_each_sweep_of_a_folder_has_its_own_predictions(tmp_path) -> None:
    first = predicted(SWEEP, tmp_path)
    second = predicted(SWEEP.replace("name: made-up", "name: again").replace("8mbit", "4mbit"), tmp_path)
    for name, found in (("made-up", first), ("again", second)):
        (own,) = load_forecasts(tmp_path, name)
        assert (own.sweep, own.conditions) == (name, found.conditions)
    assert first.conditions != second.conditions
    assert load_forecasts(tmp_path, "other") == ()


def test_a_window_of_the_file_limits_what_is_predicted(tmp_path) -> None:
    found = predicted(SWEEP + "window: 1\n", tmp_path)
    assert found.window == 1
    for latencies, rates in zip(found.latency_seconds, found.throughput_per_second, strict=True):
        assert list(rates) == pytest.approx([1 / seconds for seconds in latencies])


def test_predictions_of_older_versions_which_name_no_sweep_come_before_newer_ones(tmp_path) -> None:
    predicted(SWEEP, tmp_path)
    (path,) = tmp_path.glob("predicted/*.json")
    path.with_name("z.json").write_text(path.read_text().replace('"sweep": "made-up"', '"sweep": ""'))
    assert [found.sweep for found in load_forecasts(tmp_path, "made-up")] == ["", "made-up"]
