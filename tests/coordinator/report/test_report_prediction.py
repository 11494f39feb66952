"""Predicted against measured: every plan and stage is shown, with the figures of the measurement."""

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from report_sample import SLOWDOWN, WARNING, sample_run
from rich.console import Console

from coordinator.measurement import Measurement
from coordinator.report import html_table, prediction_drawing
from coordinator.report.figure import Figure
from coordinator.report.figures import COLUMN_WIDTH
from coordinator.report.prediction_figure import prediction_figure
from coordinator.report.prediction_points import panels, residuals
from coordinator.report.prediction_table import prediction_page_table
from coordinator.report.prediction_text import accuracy_sentences, factor_sentence, paced_sentence, warning_sentences
from coordinator.report.residual_figure import residual_figure
from coordinator.report.tables import prediction_table

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def measured() -> Measurement:
    found = sample_run().measurement
    assert found is not None
    return found


def traces(figure: Figure, start: str, axis: str | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [dict(trace) for trace in figure.traces]
    return [one for one in found if one["name"].startswith(start) and axis in (None, one.get("xaxis"))]


def points(figure: Figure, start: str, axis: str) -> set[tuple[float, float]]:
    return {(x, y) for trace in traces(figure, start, axis) for x, y in zip(trace["x"], trace["y"], strict=True)}


def unpaced(measurement: Measurement) -> Measurement:
    """The same on machines that are not emulated."""

    def real(plan: Any) -> Any:
        return replace(plan, stages=tuple(replace(stage, is_paced=False) for stage in plan.stages))

    front, baselines = tuple(map(real, measurement.front)), tuple(map(real, measurement.baselines))
    whole: Measurement = real(measurement)
    return replace(whole, front=front, baselines=baselines, prediction=None)


def test_every_plan_stands_where_it_was_measured_and_predicted(measured: Measurement) -> None:
    figure, plans = prediction_figure(measured), measured.plans
    assert points(figure, "predicted before", "x") == {
        (plan.latency_seconds.p50.value * 1e3, plan.predicted.latency_seconds * 1e3) for plan in plans
    }
    assert points(figure, "predicted before", "x2") == {
        (plan.throughput_per_second.value, plan.predicted.throughput_per_second) for plan in plans
    }
    corrected = [plan for plan in plans if plan.corrected]
    assert 0 < len(corrected) < len(plans)
    assert points(figure, "corrected", "x") == {
        (plan.latency_seconds.p50.value * 1e3, plan.corrected.latency_seconds * 1e3)
        for plan in corrected
        if plan.corrected
    }


def test_bars_are_the_measured_intervals_and_only_the_chosen_plan_is_large(measured: Measurement) -> None:
    for trace in traces(prediction_figure(measured), "predicted before", "x"):
        for place, text in enumerate(trace["hovertext"]):
            plan = next(plan for plan in measured.plans if f"<b>{plan.label}</b>" in text)
            median = plan.latency_seconds.p50
            assert trace["error_x"]["array"][place] == pytest.approx((median.high - median.value) * 1e3)
            assert trace["error_x"]["arrayminus"][place] == pytest.approx((median.value - median.low) * 1e3)
            assert trace["marker"]["size"][place] == (15 if plan.label == "chosen" else 9)


def test_identity_and_bands_are_what_they_say_on_both_kinds_of_axis(measured: Measurement) -> None:
    figure = prediction_figure(measured)
    for axis in ("x", "x2"):
        (line,) = traces(figure, "predicted = measured", axis)
        assert line["x"] == line["y"]
        ten, five = traces(figure, "± ", axis)
        for band, share in ((ten, 0.1), (five, 0.05)):
            ratios = [y / x for x, y in zip(band["x"], band["y"], strict=True)]
            assert ratios == pytest.approx([1 - share, 1 - share, 1 + share, 1 + share])
    assert traces(figure, "± ", "x")[0]["name"] == "± 5 % and ± 10 %"


def test_both_axes_of_a_panel_have_one_range_that_holds_all_marks(measured: Measurement) -> None:
    figure = prediction_figure(measured)
    for number in ("", "2"):
        horizontal, vertical = figure.layout[f"xaxis{number}"], figure.layout[f"yaxis{number}"]
        assert isinstance(horizontal, dict)
        assert isinstance(vertical, dict)
        assert horizontal["range"] == vertical["range"]
        assert horizontal.get("type") == vertical.get("type")
    for panel in panels(measured):
        for mark in panel.marks:
            for value in (mark.measured.low, mark.measured.high, mark.predicted, mark.corrected or mark.predicted):
                assert panel.scale.low < value < panel.scale.high


def test_a_span_of_figures_is_drawn_on_logarithmic_axes(measured: Measurement) -> None:
    slow = replace(measured.predicted, latency_seconds=90.0)
    latency, _ = panels(replace(measured, predicted=slow))
    assert latency.scale.is_logarithmic
    figure = prediction_figure(replace(measured, predicted=slow))
    axis = figure.layout["xaxis"]
    assert isinstance(axis, dict)
    assert axis["type"] == "log"


def test_hover_tells_plan_stages_figures_and_errors(measured: Measurement) -> None:
    texts = [
        text for trace in traces(prediction_figure(measured), "predicted", "x2") for text in trace.get("hovertext", [])
    ]
    chosen = next(text for text in texts if "<b>chosen</b>" in text)
    for part in (
        "throughput",
        "pi-1[0:9] → pi-2[9:16] → server[16:40]",
        "measured 58.0 samples/s (56.9 – 59.2)",
        "predicted 59.8 samples/s, +3.0 %",
        "corrected 58.9 samples/s, +1.5 %",
        "emulated device",
    ):
        assert part in chosen


def test_emulated_devices_are_marked_apart_in_figure_table_and_words(measured: Measurement) -> None:
    figure = prediction_figure(measured)
    names = {trace["name"] for trace in traces(figure, "predicted before") + traces(figure, "corrected")}
    assert names == {
        "predicted before",
        "predicted before, emulated device",
        "corrected by the other plans",
        "corrected by the other plans, emulated device",
    }
    symbols = {trace["name"]: trace["marker"]["symbol"] for trace in traces(figure, "predicted before")}
    assert symbols == {"predicted before": "circle-open", "predicted before, emulated device": "square-open"}
    n_paced = sum(plan.is_paced for plan in measured.plans)
    text = html_table.to_text(prediction_page_table(measured)).splitlines()
    row = dict(zip(text[0].split("\t"), text[1].split("\t"), strict=True))
    assert row["emulated"] == "pi-1, pi-2"
    assert paced_sentence(measured).startswith("Stages on pi-1, pi-2 are emulated")
    assert f"{n_paced} plans with emulated devices: latency" in " ".join(accuracy_sentences(measured))
    assert "emulated" not in " ".join(accuracy_sentences(unpaced(measured)))
    assert "emulated" not in html_table.to_text(prediction_page_table(unpaced(measured)))


def test_sentences_have_median_worst_and_order(measured: Measurement) -> None:
    text = " ".join(accuracy_sentences(unpaced(measured)))
    for part in (
        "6 plans: latency median error 2.0 % (worst −5.7 %, in 'knee')",
        "corrected by the other plans 1.5 % (worst −2.8 %, in 'knee'; 3 of 6)",
        "Kendall τ 0.97 in latency",
        "of the pairs whose intervals do not overlap",
    ):
        assert part in text
    assert warning_sentences(measured) == (WARNING,)


def test_factors_of_devices_are_told_with_their_interval(measured: Measurement) -> None:
    assert factor_sentence(measured) == "Live over profiled time: server 1.03 × (0.980 – 1.06, 3 stages)."
    assert factor_sentence(measured) in residual_figure(measured).caption
    assert measured.prediction is not None
    torn = replace(measured.prediction.devices[0], factor=None, low=1.0, high=6.5, n_stages=1)
    odd = replace(measured, prediction=replace(measured.prediction, devices=(torn,)))
    assert factor_sentence(odd).endswith("server not one factor (1.00 – 6.50, 1 stage).")
    assert factor_sentence(unpaced(measured)) == ""


def test_residuals_have_every_stage_of_every_plan_by_device_and_span(measured: Measurement) -> None:
    found = residuals(measured)
    expected = [(plan.label, stage.stage) for plan in measured.plans for stage in plan.stages]
    assert sorted((one.plan.label, one.stage.stage) for one in found) == sorted(expected)
    devices = [one.stage.device for one in found]
    assert list(dict.fromkeys(devices)) == list(SLOWDOWN)
    assert devices == sorted(devices, key=list(SLOWDOWN).index)
    for one in found:
        live = one.stage.unloaded_compute_seconds
        assert live is not None
        assert one.error == pytest.approx(one.stage.predicted_compute_seconds / live.value - 1)
    figure = residual_figure(measured)
    drawn = [
        (y, x) for trace in traces(figure, "predicted before") for y, x in zip(trace["y"], trace["x"], strict=True)
    ]
    assert len(drawn) == len(found)
    assert sorted(x for _, x in drawn) == pytest.approx(sorted(one.error * 100 for one in found))
    axis = figure.layout["yaxis"]
    assert isinstance(axis, dict)
    assert {y for y, _ in drawn} == set(axis["categoryarray"])
    assert "pi-1, units 0–8" in axis["categoryarray"]
    n_corrected = sum(len(trace["x"]) for trace in traces(figure, "corrected"))
    assert n_corrected == sum(one.corrected_error is not None for one in found) > 0


def test_plotly_knows_every_property(measured: Measurement) -> None:
    plotly = pytest.importorskip("plotly.graph_objects")
    for figure in (prediction_figure(measured), residual_figure(measured)):
        plotly.Figure(data=list(figure.traces), layout=dict(figure.layout))


def test_page_table_has_every_plan_in_full_precision(measured: Measurement) -> None:
    lines = html_table.to_text(prediction_page_table(measured)).splitlines()
    heads = lines[0].split("\t")
    assert len(set(heads)) == len(heads)
    assert len(lines) == 1 + len(measured.plans)
    for line, plan in zip(lines[1:], measured.plans, strict=True):
        row = dict(zip(heads, line.split("\t"), strict=True))
        assert row["plan"] == plan.label
        assert float(row["latency (ms)"]) == plan.latency_seconds.p50.value * 1e3
        assert float(row["latency (ms) predicted"]) == plan.predicted.latency_seconds * 1e3
        assert float(row["throughput (/s) high"]) == plan.throughput_per_second.high
        if plan.corrected:
            assert float(row["throughput (/s) corrected"]) == plan.corrected.throughput_per_second
        else:
            assert row["throughput (/s) corrected"] == ""


@pytest.mark.parametrize("width", [80, 160])
def test_terminal_table_has_a_row_for_each_plan_and_keeps_its_width(measured: Measurement, width: int) -> None:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(prediction_table(measured))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for part in ("90.1 ms", "92.8 ms", "−2.9 %", "59.8 /s", "58.0 /s", "+3.0 %", "+1.5 %"):
        assert part in text
    if width == 160:
        for plan in measured.plans:
            assert plan.label in text


def test_drawing_holds_every_mark_and_says_what_is_emulated(measured: Measurement, tmp_path: Path) -> None:
    path = prediction_drawing.draw_prediction(measured, tmp_path / "p.svg")
    text = path.read_text()
    assert text == prediction_drawing.draw_prediction(measured, tmp_path / "again.svg").read_text()
    words = {element.text for element in ElementTree.fromstring(text).iter(f"{SVG}text")}
    assert {
        "latency, measured (ms)",
        "throughput, predicted (samples/s)",
        "predicted = measured",
        "predicted before, emulated",
        "corrected by other plans, emulated",
        "emulated devices: agreement of their stages proves nothing",
    } <= words
    n_marks = 2 * sum(1 + (plan.corrected is not None) for plan in measured.plans)
    real = prediction_drawing.draw_prediction(unpaced(measured), tmp_path / "real.svg").read_text()
    assert "emulated" not in real
    assert len(re.findall(r'<g id="LineCollection_\d+">', text)) == n_marks  # one bar for each mark


def test_a_narrow_drawing_puts_one_panel_under_the_other(measured: Measurement, tmp_path: Path) -> None:
    path = prediction_drawing.draw_prediction(measured, tmp_path / "column.svg", COLUMN_WIDTH)
    root = ElementTree.fromstring(path.read_text())
    width, height = (float(root.attrib[name].removesuffix("pt")) for name in ("width", "height"))
    assert width == pytest.approx(72 * COLUMN_WIDTH)
    assert height > 1.5 * width
