"""Two sweeps, or two runs, side by side."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from report_sample import sample_run
from sweep_sample import NETWORKS, sample_sweep

from coordinator.cli.compare_command import command as compare_command
from coordinator.cli.report_command import command as report_command
from coordinator.report.compare.drawing import draw_comparison
from coordinator.report.compare.pairing import compare_sides
from coordinator.report.compare.sides import run_side, sweep_side
from coordinator.report.compare.tables import verdict
from coordinator.results.store import open_store
from coordinator.results.values import Run, Sweep


def sweep_of(
    *, plane: str = "grpc", factor: float = 1.0, n_repeats: int = 10, seed: int = 7
) -> tuple[Sweep, tuple[Run, ...]]:
    return sample_sweep(
        models=["resnet18"],
        networks=NETWORKS[3:5],
        planes=[plane],
        factor=factor,
        n_repeats=n_repeats,
        n_samples=4,
        seed=seed,
        name=plane,
    )


def test_what_is_twice_as_slow_is_found_worse_everywhere() -> None:
    found = compare_sides(sweep_side("before", *sweep_of()), sweep_side("after", *sweep_of(factor=2.0, seed=8)))
    assert len(found.rows) == 24
    assert found.opposed == {}
    for row in found.rows:
        assert row.ratios["latency"].value == pytest.approx(2.0, rel=0.1)
        assert row.ratios["throughput"].value == pytest.approx(0.5, rel=0.1)
        assert verdict(row.ratios["latency"], "latency") == verdict(row.ratios["throughput"], "throughput") == "worse"
        assert row.ratios["latency"].low <= row.ratios["latency"].value <= row.ratios["latency"].high
    assert "chance alone would hardly show that" in found.sentences[0]


def test_the_same_again_shows_no_difference() -> None:
    found = compare_sides(sweep_side("one", *sweep_of()), sweep_side("other", *sweep_of(seed=9)))
    words = [verdict(row.ratios["latency"], "latency") for row in found.rows]
    assert words.count("better") + words.count("worse") == 0, "p-values are adjusted for 24 comparisons"


def test_few_repeats_are_said_to_be_too_few() -> None:
    few = compare_sides(
        sweep_side("one", *sweep_of(n_repeats=3)), sweep_side("other", *sweep_of(n_repeats=3, factor=2.0))
    )
    words = {verdict(row.ratios["latency"], "latency") for row in few.rows}
    assert "perhaps worse" in words
    assert words <= {"perhaps worse", "too few repeats"}
    assert "chance alone would hardly show that" in few.sentences[0], "all cases together tell it"


def test_planes_are_compared_though_their_cases_differ() -> None:
    found = compare_sides(sweep_side("grpc", *sweep_of()), sweep_side("tcp", *sweep_of(plane="tcp")))
    assert found.opposed == {"data plane": ("grpc", "tcp")}
    assert len(found.rows) == 24
    assert found.only_first == found.only_second == ()


def test_what_only_one_side_has_is_told() -> None:
    one, other = (sweep_of(), sample_sweep(models=["resnet18"], networks=NETWORKS[4:6], n_repeats=2, n_samples=3))
    found = compare_sides(sweep_side("one", *one), sweep_side("other", *other))
    assert {row.facets[-2] for row in found.rows} == {"wifi-poor"}
    assert {facets[-2] for facets in found.only_first} == {"lte"}
    assert {facets[-2] for facets in found.only_second} == {"paper-degraded"}


def test_runs_are_compared_by_their_intervals() -> None:
    run = sample_run()
    assert run.measurement is not None
    side = run_side("run", "m", "c", run.measurement)
    found = compare_sides(side, side)
    assert len(found.rows) == len({plan.plan.describe() for plan in run.measurement.plans})
    for row in found.rows:
        assert row.ratios["latency"].value == 1
        assert row.ratios["latency"].differs is False


def test_the_picture_is_drawn_for_paper(tmp_path: Path) -> None:
    found = compare_sides(sweep_side("grpc", *sweep_of()), sweep_side("tcp", *sweep_of(plane="tcp")))
    written = draw_comparison(found, tmp_path, "paper")
    assert {path.name for path in written} == {
        f"compare_{width}.{kind}" for width in ("1col", "2col") for kind in ("png", "svg", "pdf")
    }
    assert "tcp over grpc" in (tmp_path / "compare_1col.svg").read_text()


def kept(folder: Path, *sweeps: tuple[Sweep, tuple[Run, ...]]) -> Path:
    folder.mkdir()
    with open_store(str(folder / "results.sqlite")) as store:
        for sweep, runs in sweeps:
            store.add_sweep(sweep)
            for run in runs:
                store.record(run)
    return folder


def test_commands_draw_and_compare_what_is_kept(tmp_path: Path) -> None:
    one = sample_sweep(models=["resnet18"], networks=NETWORKS[3:4], n_repeats=2, n_samples=3, name="one")
    other = sample_sweep(
        models=["resnet18"], networks=NETWORKS[3:4], planes=["tcp"], n_repeats=2, n_samples=3, name="other"
    )
    both = kept(tmp_path / "both", one, other)
    runner = CliRunner()
    unsure = runner.invoke(report_command, [str(both)])
    assert "name one of them (one, other)" in str(unsure.exception)
    drawn = runner.invoke(report_command, [str(both), "--sweep", "one", "--out", str(tmp_path / "drawn")])
    assert drawn.exit_code == 0, drawn.output
    assert (tmp_path / "drawn" / "report.html").is_file()
    assert (tmp_path / "drawn" / "figures" / "resnet18" / "fronts.pdf").is_file()
    names = [str(both), str(both), "--first", "one", "--second", "other"]
    compared = runner.invoke(compare_command, [*names, "--out", str(tmp_path / "compared")])
    assert compared.exit_code == 0, compared.output
    assert "data plane: grpc against tcp." in compared.output
    with (tmp_path / "compared" / "compare.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12
    as_json = runner.invoke(compare_command, [*names, "--json"])
    assert json.loads(as_json.stdout)["opposed"] == {"data plane": ["grpc", "tcp"]}


def test_commands_refuse_what_they_cannot_use(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    runner = CliRunner()
    assert "Name one folder" in runner.invoke(report_command, []).output
    asked = runner.invoke(report_command, [str(tmp_path / "run"), "--figures", "paper"])
    assert "are for sweeps" in asked.output
    sweep = kept(tmp_path / "sweep", sample_sweep(models=["resnet18"], networks=NETWORKS[:1], n_repeats=1, n_samples=2))
    mixed = runner.invoke(compare_command, [str(sweep), str(tmp_path / "run")])
    assert mixed.exit_code == 2
    assert "compare two sweeps, or two runs" in mixed.output
