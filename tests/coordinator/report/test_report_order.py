"""The picture of a network along its order."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from report_sample import N_UNITS, sample_graph
from test_report_drawings import SVG, size_of
from test_report_page import HOSTILE, Elements, strings

from coordinator.report.axes import byte_ticks
from coordinator.report.order_figure import order_figure
from coordinator.report.order_points import order_note, order_points, order_title
from coordinator.report.write import write_order
from partitioner.graph import Graph

GRAPH = sample_graph()


def without_work(graph: Graph) -> Graph:
    return replace(graph, layers=tuple(replace(layer, flops=0) for layer in graph.layers))


def trace(graph: Graph, name: str) -> Any:
    return next(one for one in order_figure(graph).traces if one["name"] == name)


def test_points_are_those_of_the_graph_at_every_position() -> None:
    points = order_points(GRAPH)
    assert points.boundary_bytes == tuple(GRAPH.boundary_bytes(position) for position in range(N_UNITS + 1))
    assert points.is_single == tuple(len(names) == 1 for names in GRAPH.boundaries)
    assert points.flops == sum(layer.flops for layer in GRAPH.layers)
    before = sum(layer.flops for layer in GRAPH.layers[: GRAPH.units[12].start])
    assert points.work_share[12] == pytest.approx(before / points.flops)
    assert (points.work_share[0], points.work_share[-1]) == (0.0, 1.0)
    assert points.n_below_input == sum(
        GRAPH.boundary_bytes(position) < GRAPH.boundary_bytes(0) for position in range(1, N_UNITS)
    )
    assert 0 < points.n_below_input < N_UNITS - 1


def test_words_say_size_work_and_what_is_not_counted() -> None:
    points = order_points(GRAPH)
    assert order_title(GRAPH, points) == "mobilenet_v2, batch 1: 40 units, 1.06 GFLOP"
    assert order_note(points) == f"Less than the input crosses at {points.n_below_input} of 39 split points."
    assert "No operations are counted of 3 units" in order_note(replace(points, n_uncounted=3))
    uncounted = without_work(GRAPH)
    assert order_title(uncounted, order_points(uncounted)) == "mobilenet_v2, batch 1: 40 units"


def test_the_figure_has_every_position_once_and_tells_what_crosses() -> None:
    single, several = trace(GRAPH, "one tensor crosses"), trace(GRAPH, "several cross")
    assert sorted(single["x"] + several["x"]) == list(range(N_UNITS + 1))
    assert single["y"] == [GRAPH.boundary_bytes(position) for position in single["x"]]
    assert {len(GRAPH.boundaries[position]) for position in single["x"]} == {1}
    assert trace(GRAPH, "input, 588 KiB")["y"] == [GRAPH.boundary_bytes(0)] * 2
    assert trace(GRAPH, "work before it")["y"][-1] == 100.0
    hover = several["hovertext"][0]
    assert "after features." in hover
    assert "of the work before it" in hover
    assert all(name in hover for name in GRAPH.boundaries[several["x"][0]])


def test_without_counted_work_there_is_one_panel() -> None:
    figure = order_figure(without_work(GRAPH))
    assert "work before it" not in [one["name"] for one in figure.traces]
    layout: Any = figure.layout
    assert "yaxis2" not in layout
    assert layout["xaxis"]["anchor"] == "y"
    assert figure.height < order_figure(GRAPH).height


def test_a_long_network_has_dots_without_stems(tmp_path: Path) -> None:
    long = sample_graph(tuple(f"block.{i}" for i in range(300)))
    names = [one["name"] for one in order_figure(long).traces]
    assert "one tensor crosses" in names
    assert not [name for name in names if "stems" in str(name)]
    assert "one tensor crosses, stems" in [one["name"] for one in order_figure(GRAPH).traces]
    dense, sparse = write_order(long, tmp_path / "long.svg"), write_order(GRAPH, tmp_path / "short.svg")
    assert "LineCollection" in sparse.read_text()
    assert "LineCollection" not in dense.read_text()


def test_marks_of_bytes() -> None:
    assert byte_ticks(900, 3e6) == ((1024.0, "1 KiB"), (10240.0, "10 KiB"), (102400.0, "100 KiB"), (1048576.0, "1 MiB"))
    assert byte_ticks(1, 50) == ((1.0, "1 B"), (10.0, "10 B"))


def test_png_and_svg_show_the_same_words(tmp_path: Path) -> None:
    width, height = size_of(write_order(GRAPH, tmp_path / "new" / "order.png"))
    assert (width, height) == (1280, 820)
    assert size_of(write_order(without_work(GRAPH), tmp_path / "flat.png"))[1] < height
    text = write_order(GRAPH, tmp_path / "order.svg").read_text()
    assert text == write_order(GRAPH, tmp_path / "again.svg").read_text()
    words = {element.text for element in ElementTree.fromstring(text).iter(f"{SVG}text")}
    assert {"one tensor crosses", "input, 588 KiB", "1 MiB", "work before it (%)"} <= words
    assert order_title(GRAPH, order_points(GRAPH)) in words


def test_a_page_of_one_figure_loads_nothing_and_no_name_runs(tmp_path: Path) -> None:
    hostile = replace(sample_graph(tuple(f"{HOSTILE}{i}" for i in range(N_UNITS))), name=HOSTILE)
    page = Elements(write_order(hostile, tmp_path / "order.html").read_text())
    plain = Elements(write_order(GRAPH, tmp_path / "plain.html").read_text())
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in plain.tags}
    assert not [tag for tag, attributes in page.tags if attributes.keys() & {"src", "href", "srcset", "data"}]
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert [a["data-figure"] for _, a in page.tags if "data-figure" in a] == ["order"]
    for text in strings(page.embedded("figures-data")):
        assert "<img" not in text
        assert "<script" not in text
