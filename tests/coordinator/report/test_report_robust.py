"""Plans over many network conditions: table, picture, advice, and the command from a profile on disk."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from report_sample import DIGEST, sample_cluster, sample_graph, sample_profile
from test_report_drawings import SVG, size_of
from test_report_tables import shown

from coordinator.cli.root import splitfront
from coordinator.report.robust_drawing import MOST_STRIPS, robust_strips, write_robust
from coordinator.report.robust_table import robust_table
from coordinator.report.robust_text import advice_sentence
from coordinator.run_folder import RunFolder, RunSettings
from partitioner.cost import CostModel
from partitioner.plan import Candidate
from partitioner.search.building import build_problem
from partitioner.search.robust.conditions import condition_problems
from partitioner.search.robust.network import random_conditions
from partitioner.search.robust.result import RobustResult
from partitioner.search.robust.search import search_robust

GRAPH = sample_graph()


@pytest.fixture(scope="module")
def result() -> RobustResult:
    cluster = sample_cluster()
    nominal = build_problem(CostModel(GRAPH, cluster, sample_profile()))
    conditions = random_conditions(cluster, 12, seed=2, rate_spread=3.0, delay_spread=3.0)
    return search_robust(condition_problems(nominal, cluster, conditions), nominal=nominal)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.make()
    settings = RunSettings(source="x", model_sha256=DIGEST, cluster="demo")
    for name, value in (
        ("run", settings),
        ("graph", GRAPH),
        ("cluster", sample_cluster()),
        ("profile", sample_profile()),
    ):
        run.save(name, value, seed=0, model_sha256=DIGEST)
    return run


def test_table_has_every_plan_the_nominal_ones_and_the_bound(result: RobustResult) -> None:
    chosen = result.plans[-1].candidate
    text = shown(robust_table(result, GRAPH, chosen), 140)
    assert "for 13 network conditions" in text
    assert len([line for line in text.splitlines() if "/s " in line]) == len(result.plans) + 2
    marked = [line for line in text.splitlines() if "★" in line]
    assert len(marked) == 1
    assert f"{chosen.cost.latency_seconds * 1e3:.1f} ms" in marked[0]
    assert "least latency as probed" in text
    assert "no plan has less" in text
    assert "no plan has less than" in text or "the least of all plans" in text


def test_advice_names_the_plan_that_spares_most_or_says_that_none_does(result: RobustResult) -> None:
    def with_worst(plan: int, latency: float) -> RobustResult:
        plans = [replace(one, worst_regret=(1.0, 2.0)) for one in result.plans]
        plans[plan] = replace(plans[plan], worst_regret=(latency, 2.0))
        nominal = tuple(replace(one, worst_regret=(1.0, 2.0)) for one in result.nominal)
        return replace(result, plans=tuple(plans), nominal=(nominal[0], nominal[1]))

    assert "deploy plan 1 for latency: at worst 50 %" in advice_sentence(with_worst(1, 0.5))
    assert "100 % above it." in advice_sentence(with_worst(1, 0.5))
    assert advice_sentence(with_worst(1, 0.96)).startswith("Keep the plan for the network as probed")
    assert "plan 0" in advice_sentence(replace(result, criterion="probability"))


def test_picture_shows_the_nominal_plans_first_and_a_sample_of_many(result: RobustResult, tmp_path: Path) -> None:
    many = replace(result, plans=result.plans[:1] * 37 + result.plans[-1:])
    labels = [strip.label for strip in robust_strips(many)]
    assert labels[:3] == ["least latency as probed", "most throughput as probed", "plan 0"]
    assert (labels[-1], len(labels)) == ("plan 37", MOST_STRIPS + 2)
    vector, raster = write_robust(tmp_path, result)
    assert size_of(raster)[0] == 1280
    text = vector.read_text()
    assert text == write_robust(tmp_path / "again", result)[0].read_text()
    words = {element.text for element in ElementTree.fromstring(text).iter(f"{SVG}text")}
    assert {"latency", "bottleneck", "plan 0", "worst", "times the best of each of 13 network conditions"} <= words


def test_picture_takes_plans_that_are_impossible_somewhere(result: RobustResult, tmp_path: Path) -> None:
    torn = replace(
        result.nominal[0],
        regrets=((float("inf"), float("inf")), *result.nominal[0].regrets[1:]),
        worst_regret=(float("inf"), float("inf")),
        mean_regret=(float("inf"), float("inf")),
    )
    odd = replace(result, nominal=(torn, result.nominal[1]))
    assert size_of(write_robust(tmp_path, odd)[1])[0] == 1280
    assert "∞" in shown(robust_table(odd, GRAPH), 140)


def test_command_writes_plans_that_can_be_chosen(folder: RunFolder, tmp_path: Path) -> None:
    file = tmp_path / "conditions.yaml"
    file.write_text("conditions: [{name: evening, default: {rate: 0.3x}}]")
    arguments = ["robust", "--run", str(folder.path), "--conditions", str(file), "--random", "5", "--seed", "3"]
    done = CliRunner().invoke(splitfront, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    content = json.loads(done.stdout)
    assert content["conditions"] == ["probed", "evening", *(f"random-{number:03}" for number in range(1, 6))]
    assert (content["schema"], content["seed"], content["model_sha256"]) == ("splitfront/robust/1", 3, DIGEST)
    assert f"Next: splitfront plan --run {folder.path} --from robust" in done.stderr.replace("\n", " ")
    assert (folder.path / "figures" / "robust.svg").is_file()
    last = len(content["plans"]) - 1
    chosen = CliRunner().invoke(
        splitfront,
        ["plan", "--run", str(folder.path), "--from", "robust", "--choose", str(last)],
        catch_exceptions=False,
    )
    assert chosen.exit_code == 0
    assert folder.load("plan", Candidate) == folder.load("robust", RobustResult).plans[-1].candidate


def test_command_wants_conditions_and_a_profile(folder: RunFolder, tmp_path: Path) -> None:
    without = CliRunner().invoke(splitfront, ["robust", "--run", str(folder.path)])
    assert without.exit_code == 2
    assert "--conditions FILE, --random N, or both" in without.output
    empty = CliRunner().invoke(splitfront, ["robust", "--run", str(tmp_path / "none"), "--random", "2"])
    assert "run `splitfront profile` for it first" in str(empty.exception)
