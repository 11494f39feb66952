"""Pictures of three and more objectives, from values alone."""

import math
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_report_page import HOSTILE, Elements, strings

from coordinator.report import palette
from coordinator.report.figure import Figure
from coordinator.report.objective_space import Objective, ObjectiveSpace
from coordinator.report.objectives_figure import objective_figures, pairs_figure, parallel_figure, space_figure
from coordinator.report.write import write_objectives

OBJECTIVES = (
    Objective(name="latency", unit="ms"),
    Objective(name="throughput", unit="/s", is_maximised=True),
    Objective(name="energy", unit="J"),
    Objective(name="output error", unit=""),
)
POINTS = (
    (10.0, 20.0, 5.0, 0.0),
    (20.0, 60.0, 9.0, 0.0),
    (30.0, 50.0, 1.0, 2e-4),
    (15.0, 30.0, 8.0, 1e-4),
)


def space(n_objectives: int = 3, chosen: int | None = 2) -> ObjectiveSpace:
    return ObjectiveSpace(
        objectives=OBJECTIVES[:n_objectives],
        points=tuple(point[:n_objectives] for point in POINTS),
        labels=("a", "b", "c", "d"),
        chosen=chosen,
    )


def named(figure: Figure, name: str) -> list[Any]:
    return [one for one in figure.traces if one["name"] == name]


def test_goodness_runs_from_the_worst_to_the_best_whatever_the_direction() -> None:
    expected = [[1.0, 0.0, 0.5], [0.5, 1.0, 0.0], [0.0, 0.75, 1.0], [0.75, 0.25, 0.125]]
    assert space().goodness.tolist() == expected
    alike = ObjectiveSpace(objectives=OBJECTIVES[:2], points=((1.0, 2.0), (1.0, 3.0)), labels=("a", "b"))
    assert alike.goodness.tolist() == [[1.0, 0.0], [1.0, 1.0]]


def test_in_space_every_plan_is_a_point_and_axes_say_what_is_better() -> None:
    figure = space_figure(space())
    (cloud,), (chosen,) = named(figure, "front"), named(figure, "chosen")
    assert list(zip(cloud["x"], cloud["y"], cloud["z"], strict=True)) == [point[:3] for point in POINTS]
    assert (chosen["x"], chosen["y"], chosen["z"]) == ([30.0], [50.0], [1.0])
    assert cloud["marker"]["color"][0] == palette.RAMP[0]
    assert cloud["marker"]["color"][2] == palette.RAMP[-1]
    scene: Any = figure.layout["scene"]
    assert scene["xaxis"]["title"]["text"] == "latency (ms), less is better"
    assert scene["yaxis"]["title"]["text"] == "throughput (/s), more is better"
    assert cloud["hovertext"][1] == "<b>b</b><br>latency: 20.0 ms<br>throughput: 60.0 /s<br>energy: 9.00 J"
    assert chosen["hovertext"][0].startswith("<b>c</b>, chosen")
    assert not named(space_figure(space(chosen=None)), "chosen")
    with pytest.raises(ValueError, match="three objectives, got 4"):
        space_figure(space(4))


@pytest.mark.parametrize("n_objectives", [3, 4])
def test_pairs_have_a_panel_each_with_their_own_front_strong(n_objectives: int) -> None:
    figure = pairs_figure(space(n_objectives))
    panels = list(combinations(range(n_objectives), 2))
    layout: Any = figure.layout
    for index, (one, other) in enumerate(panels):
        number = str(index + 1) if index else ""
        assert layout[f"xaxis{number}"]["title"]["text"].startswith(OBJECTIVES[one].name)
        assert layout[f"yaxis{number}"]["title"]["text"].startswith(OBJECTIVES[other].name)
        found = [trace for trace in figure.traces if trace["xaxis"] == f"x{number}"]
        assert sum(len(trace["x"]) for trace in found) == len(POINTS) + 1
    first = [trace for trace in figure.traces if trace["xaxis"] == "x"]
    strong = next(trace for trace in first if trace["name"] == "strong")
    assert sorted(strong["x"]) == [10.0, 15.0, 20.0]
    domains = [(tuple(layout[f"xaxis{n}"]["domain"]), tuple(layout[f"yaxis{n}"]["domain"])) for n in ("", "2", "3")]
    assert len(set(domains)) == 3
    assert f"xaxis{len(panels) + 1}" not in layout


def test_panels_do_not_overlap_for_six_objectives() -> None:
    random = np.random.default_rng(0)
    wide = ObjectiveSpace(
        objectives=tuple(Objective(name=f"o{i}", unit="") for i in range(6)),
        points=tuple(map(tuple, random.uniform(size=(5, 6)).tolist())),
        labels=tuple("abcde"),
    )
    layout: Any = pairs_figure(wide).layout
    cells = [(layout[f"xaxis{n}"]["domain"], layout[f"yaxis{n}"]["domain"]) for n in ("", *map(str, range(2, 16)))]
    for (x, y), (other_x, other_y) in combinations(cells, 2):
        assert x[1] <= other_x[0] or other_x[1] <= x[0] or y[1] <= other_y[0] or other_y[1] <= y[0]
    assert all(0 <= low < high <= 1 for cell in cells for low, high in cell)


def test_parallel_lines_cross_every_axis_with_its_best_on_top() -> None:
    figure = parallel_figure(space(4))
    lines = [trace for trace in named(figure, "front") for _ in [0]]
    heights = np.array([y for trace in lines for y in trace["y"] if y is not None]).reshape(-1, 4)
    assert sorted(map(tuple, heights.tolist())) == sorted(map(tuple, space(4).goodness.tolist()))
    assert all(trace["x"][4] is None for trace in lines)
    (chosen,) = named(figure, "chosen")
    assert chosen["y"][:4] == space(4).goodness[2].tolist()
    layout: Any = figure.layout
    assert layout["xaxis"]["ticktext"] == ["latency", "throughput", "energy", "output error"]
    best = [note["text"] for note in layout["annotations"] if note["y"] > 1]
    worst = [note["text"] for note in layout["annotations"] if note["y"] < 0]
    assert best == ["10.0 ms", "60.0 /s", "1.00 J", "0"]
    assert worst == ["30.0 ms", "20.0 /s", "9.00 J", "2.0e-4"]


def test_the_pictures_fit_the_number_of_objectives() -> None:
    assert [figure.name for figure in objective_figures(space(2))] == []
    assert [figure.name for figure in objective_figures(space(3))] == ["space", "pairs", "parallel"]
    assert [figure.name for figure in objective_figures(space(4))] == ["parallel", "pairs"]


def test_a_page_stands_alone_and_names_do_nothing(tmp_path: Path) -> None:
    hostile = ObjectiveSpace(
        objectives=tuple(Objective(name=HOSTILE, unit=HOSTILE) for _ in range(3)),
        points=tuple(point[:3] for point in POINTS),
        labels=(HOSTILE,) * 4,
        chosen=0,
    )
    pages = [write_objectives(one, HOSTILE, tmp_path / f"{i}.html") for i, one in enumerate((space(), hostile))]
    plain, odd = (Elements(page.read_text()) for page in pages)
    assert {tag for tag, _ in odd.tags} == {tag for tag, _ in plain.tags}
    assert list(plain.embedded("figures-data")) == ["space", "pairs", "parallel"]
    for text in strings(odd.embedded("figures-data")):
        assert "<img" not in text
        assert "<script" not in text


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"points": ((1.0, 2.0), (3.0,))}, "one figure for each"),
        ({"points": ()}, "one figure for each"),
        ({"labels": ("a",)}, "as many labels"),
        ({"chosen": 2}, "a chosen one among them"),
        ({"points": ((1.0, 2.0), (3.0, math.inf))}, "finite"),
    ],
)
def test_faulty_values_are_refused(settings: dict[str, Any], fault: str) -> None:
    good = {"objectives": OBJECTIVES[:2], "points": ((1.0, 2.0), (3.0, 4.0)), "labels": ("a", "b")}
    with pytest.raises(ValueError, match=fault):
        ObjectiveSpace(**{**good, **settings})
