"""Pictures of a sweep for paper: sizes, letters, formats."""

import re
import struct
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
from sweep_sample import grid_series, usual_series

from coordinator.report.sweep.crossover_drawing import draw_crossover
from coordinator.report.sweep.drawing import SIZES, write_drawings
from coordinator.report.sweep.front_drawing import draw_fronts, draw_overlay
from coordinator.report.sweep.prediction_drawing import draw_prediction
from coordinator.report.sweep.series import SettingSeries
from coordinator.report.sweep.spread_drawing import draw_regret, draw_spread

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def setting() -> SettingSeries:
    return usual_series().settings[0]


def test_paper_has_both_widths_and_letters_of_8_points(setting: SettingSeries, tmp_path: Path) -> None:
    written = write_drawings(partial(draw_regret, setting.regrets[0]), tmp_path, "regret", "paper")
    names = {path.name for path in written}
    assert names == {f"regret_{width}.{kind}" for width in ("1col", "2col") for kind in ("png", "svg", "pdf")}
    assert [width_of(tmp_path / f"regret_{width}.png") for width in ("1col", "2col")] == [999, 2100]
    svg = (tmp_path / "regret_1col.svg").read_text()
    assert re.search(r'<svg [^>]*width="239.76pt"', svg), "3.33 inches"
    sizes = {float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)}
    assert max(sizes) == 8
    assert min(sizes) >= 7
    pdf = (tmp_path / "regret_1col.pdf").read_bytes()
    assert b"/Type0" in pdf, "letters, not shapes"
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf


def test_equal_sweeps_give_equal_pictures_with_text_as_text(setting: SettingSeries, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_drawings(partial(draw_overlay, setting), tmp_path / folder, "overlay", "screen")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    assert {condition.name for condition in setting.conditions} <= words_of(tmp_path / "a" / "overlay.svg")


def test_fronts_name_conditions_plans_and_what_is_recommended(setting: SettingSeries, tmp_path: Path) -> None:
    write_drawings(partial(draw_fronts, setting), tmp_path, "fronts", "screen")
    words = words_of(tmp_path / "fronts.svg")
    assert {condition.name for condition in setting.conditions} <= words
    assert {"on the front", "knee", "one plan for all conditions", "does not split", "pi-1", "14"} <= words


def test_maps_are_read_without_colour(setting: SettingSeries, tmp_path: Path) -> None:
    grid = grid_series().settings[0]
    write_drawings(partial(draw_crossover, grid), tmp_path, "grid", "screen")
    assert {"pi-1", "14", "26", "46"} <= words_of(tmp_path / "grid.svg")
    assert "<pattern" in (tmp_path / "grid.svg").read_text(), "hatches"
    write_drawings(partial(draw_crossover, setting), tmp_path, "points", "screen")
    assert {"paper-degraded", "wifi-poor", "least latency", "most throughput"} <= words_of(tmp_path / "points.svg")


def test_spread_and_prediction_are_drawn_in_a_column(setting: SettingSeries) -> None:
    column, page = SIZES["paper"]
    assert len(draw_spread(setting, "latency", column).axes) == 1
    assert len(draw_spread(setting, "throughput", page).axes) == 6
    predicted = draw_prediction(setting, column)
    assert predicted is not None
    assert predicted.get_figwidth() == 3.33


def width_of(png: Path) -> int:
    width: int = struct.unpack(">I", png.read_bytes()[16:20])[0]
    return width


def words_of(svg: Path) -> set[str]:
    return {"".join(element.itertext()).strip() for element in ElementTree.parse(svg).iter(f"{SVG}text")}
