"""The drawings for paper."""

import struct
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from report_sample import predicted_run, sample_run, unsplit_run

from coordinator.report import figures

SVG = "{http://www.w3.org/2000/svg}"


def test_png_is_200_dots_per_inch_at_screen_and_column_width(tmp_path: Path) -> None:
    run = sample_run()
    assert size_of(figures.draw_front(run, tmp_path / "front.png"))[0] == 1280
    column = figures.draw_front(run, tmp_path / "column.png", figures.COLUMN_WIDTH)
    assert size_of(column)[0] == 700
    width, height = size_of(figures.draw_profile(run, tmp_path / "profile.png"))
    assert (width, height > 900) == (1280, True)


def test_svg_is_the_same_twice_and_dateless_with_text_as_text(tmp_path: Path) -> None:
    run = sample_run()
    first = figures.draw_front(run, tmp_path / "first.svg").read_text()
    assert first == figures.draw_front(run, tmp_path / "second.svg").read_text()
    assert "<dc:date>" not in first
    words = {element.text for element in ElementTree.fromstring(first).iter(f"{SVG}text")}
    assert {"front, predicted", "pi-1 alone", "server alone", "chosen", "emulated devices or links"} <= words


def test_unsplit_and_predicted_runs_are_drawn_without_what_they_lack(tmp_path: Path) -> None:
    text = figures.draw_front(unsplit_run(), tmp_path / "one.svg").read_text()
    assert "measured" not in text
    assert "emulated" not in text
    text = figures.draw_front(predicted_run(), tmp_path / "predicted.svg").read_text()
    assert "measured" not in text
    assert size_of(figures.draw_profile(predicted_run(), tmp_path / "p.png"))[1] < 500


def test_names_are_neither_formulas_nor_elements(tmp_path: Path) -> None:
    run = unsplit_run()
    stage = replace(run.chosen.plan.stages[0], device="$x_<script>$")
    chosen = replace(run.chosen, plan=replace(run.chosen.plan, stages=(stage,)))
    odd = replace(run, chosen=chosen, search=replace(run.search, front=(chosen,)))
    text = figures.draw_front(odd, tmp_path / "odd.svg").read_text()
    assert not list(ElementTree.fromstring(text).iter(f"{SVG}script"))
    assert "$x_&lt;script&gt;$ alone" in text


def test_a_wide_front_has_logarithmic_marks_and_a_far_device_is_named(tmp_path: Path) -> None:
    run = sample_run()
    assert run.measurement is not None
    first, last = run.search.front[0], run.search.front[-1]
    fast = replace(first, cost=replace(first.cost, latency_seconds=0.002))
    slow = replace(run.measurement.predicted, latency_seconds=90.0)
    baseline = replace(run.measurement.baselines[0], predicted=slow)
    wide = replace(
        run,
        search=replace(run.search, front=(fast, last)),
        measurement=replace(run.measurement, baselines=(baseline,)),
    )
    text = figures.draw_front(wide, tmp_path / "wide.svg").read_text()
    words = {element.text for element in ElementTree.fromstring(text).iter(f"{SVG}text")}
    assert {"2", "5", "10", "20", "50", "100", "pi-1 alone: 69.9 ms, 18.8 /s ↘"} <= words


def size_of(png: Path) -> tuple[int, int]:
    head = png.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:24])
    return width, height
