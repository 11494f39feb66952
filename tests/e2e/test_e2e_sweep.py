"""`splitfront sweep` on two agents of this machine: measured, verified, killed, and taken up again."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from e2e_commands import splitfront

from coordinator.__main__ import run
from coordinator.report.sweep.reading import read_sweep
from coordinator.results.store import open_store
from coordinator.sweep.predicted import PREDICTED_SWEEP, PredictedSweep
from partitioner.serialize import load_artefact

PAPER = Path(__file__).parents[2] / "benchmarks" / "paper"
SWEEP = """
name: toy
models: [{source: TOY, name: toy}]
clusters:
  - cluster:
      name: pair
      nodes:
        - {name: near, local: true, threads: 1}
        - {name: far, local: true, threads: 1}
conditions:
  - as-is
  - {name: slow, default: {delay: 5ms, rate: 40mbit}}
plans: [{spread: 1}]
repeats: {least: REPEATS, most: REPEATS}
effort: {seconds: 150ms, requests: 20, least: 3}
profile: 1s
"""
N_CASES = 2 * 3


def write_sweep(folder, toy_model, n_repeats):
    path = folder / "sweep.yaml"
    path.write_text(SWEEP.replace("TOY", str(toy_model)).replace("REPEATS", str(n_repeats)))
    return path


def runs_of(out):
    with open_store(str(out)) as store:
        return store.sweep("toy"), store.runs("toy", with_samples=True)


def kill_later(file, out, draw, *, latest_seconds, is_measuring=False):
    """Starts the command and kills it at a random moment, where wished after it has recorded a run; its status."""
    before = len(runs_of(out)[1]) if is_measuring and (out / "results.sqlite").is_file() else 0
    command = [sys.executable, "-m", "coordinator", "sweep", str(file), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while is_measuring and process.poll() is None:
        if (out / "results.sqlite").is_file() and any(out.glob("clusters/pair/toy-batch-1-*/profile.json")):
            with open_store(str(out)) as store:
                if "toy" in store.sweeps() and len(store.runs("toy")) > before:
                    break
        time.sleep(0.05)
    try:
        return process.wait(draw.uniform(0, latest_seconds))
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def check_complete(out, n_repeats):
    """Exactly the planned runs, none twice, in the order of the sweep."""
    sweep, runs = runs_of(out)
    assert len(sweep.order) == n_repeats * N_CASES
    done = [one for one in runs if one.state == "done"]
    assert [(one.case_key, one.repeat) for one in done] == list(sweep.order)
    assert [one.position for one in sorted(done, key=lambda one: one.began_at)] == list(range(len(sweep.order)))
    return sweep, runs


@pytest.fixture(scope="module")
def killed_sweep(toy_model, tmp_path_factory):
    """Killed twice while it measured, then left to end."""
    folder = tmp_path_factory.mktemp("sweep")
    file, out, draw = write_sweep(folder, toy_model, 3), folder / "out", random.Random(7)
    statuses = [kill_later(file, out, draw, latest_seconds=0.8, is_measuring=True) for _ in range(2)]
    ended = splitfront("sweep", file, "--out", out, "--json")
    return file, out, statuses, ended


def test_killed_and_resumed_it_has_exactly_the_planned_runs_in_order(killed_sweep):
    _, out, statuses, ended = killed_sweep
    assert -signal.SIGKILL in statuses
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["n_done"] == 3 * N_CASES
    assert "Goes on with sweep 'toy'" in ended.stderr
    sweep, _ = check_complete(out, 3)
    assert {case.plan_label for case in sweep.cases} == {"whole model on near", "whole model on far", "split 12"}


def test_every_run_says_what_its_links_were_and_keeps_every_sample(killed_sweep):
    _, out, _, _ = killed_sweep
    sweep, runs = runs_of(out)
    case_of = {case.key: case for case in sweep.cases}
    for one in (each for each in runs if each.state == "done"):
        case = case_of[one.case_key]
        assert len(one.links) == len(case.plan.stages) + 1
        for link in one.links:
            assert link.asked_round_trip_seconds == (0.01 if case.condition == "slow" else None)
            assert link.round_trip_seconds > (0.009 if case.condition == "slow" else 0)
        scenarios = [sample.scenario for sample in one.samples]
        assert {"single_stream", "offline"} == set(scenarios)
        assert all(len(sample.compute_seconds) == len(case.plan.stages) for sample in one.samples)
        lone = sorted(sample.latency_seconds for sample in one.samples if sample.scenario == "single_stream")
        assert lone[0] <= one.figures["latency_seconds"] <= lone[-1]
        assert one.figures["latency_seconds"] > (0.01 if case.condition == "slow" else 0)
        assert one.figures["max_relative_error"] < 1e-4
        assert one.figures["reference_latency_seconds"] <= one.figures["loaded_latency_seconds"]
        assert {"before", "after", "versions", "nodes"} <= set(one.environment)
        assert one.predicted_latency_seconds > 0


def test_it_is_predicted_from_what_was_profiled(killed_sweep, capsys):
    file, out, _, _ = killed_sweep
    assert run(["sweep", str(file), "--out", str(out), "--predict-only", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["n_conditions"] == 2
    assert any(sentence.startswith("For latency") for sentence in found["sentences"])
    predicted = load_artefact(Path(found["path"]), PredictedSweep, schema=PREDICTED_SWEEP)
    assert {plan.label for plan in predicted.plans} >= {"whole model on near", "whole model on far", "split 12"}
    condition = next(each for each in predicted.conditions if each.name == "slow")
    label = predicted.plans[condition.plans[0]].label
    sweep, runs = runs_of(out)
    (case,) = (each for each in sweep.cases if (each.plan_label, each.condition) == (label, "slow"))
    told = {one.predicted_latency_seconds for one in runs if one.case_key == case.key}
    assert min(told) == max(told) == pytest.approx(condition.latency_seconds[0])


def test_its_report_comes_back_from_its_bundle(killed_sweep, tmp_path):
    _, out, _, _ = killed_sweep
    assert run(["report", str(out)]) == 0
    tables = tables_of(out)
    assert {"cases.csv", "runs.csv", "toy/conditions.tex"} <= tables.keys()
    assert run(["bundle", str(out), "--out", str(tmp_path / "toy.zip")]) == 0
    assert run(["replay", str(tmp_path / "toy.zip"), "--out", str(tmp_path / "again")]) == 0
    assert tables_of(tmp_path / "again") == tables


def tables_of(folder):
    tables = folder / "tables"
    return {str(path.relative_to(tables)): path.read_bytes() for path in tables.rglob("*") if path.is_file()}


def test_another_file_is_refused_and_a_dry_run_starts_nothing(killed_sweep, capsys):
    file, out, _, _ = killed_sweep
    assert run(["sweep", str(file), "--out", str(out), "--seed", "9"]) == 1
    assert "was begun with another file: seed differ" in capsys.readouterr().err
    assert run(["sweep", str(file), "--out", str(out), "--dry-run"]) == 0
    assert "That is 6 cases" in capsys.readouterr().out
    assert run(["sweep", str(file), "--out", str(out), "--dry-run", "--json"]) == 0
    assert sum(study["n_plans"] for study in json.loads(capsys.readouterr().out)["studies"]) == 6


def test_a_condition_that_cannot_be_had_ends_it_before_anything_is_made(toy_model, tmp_path, capsys):
    file = write_sweep(tmp_path, toy_model, 3)
    real = "{name: far, address: '127.0.0.1:9'}"
    file.write_text(file.read_text().replace("{name: far, local: true, threads: 1}", real))
    assert run(["sweep", str(file), "--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "'slow' changes client → far" in told
    assert "splitfront nodes shape far" in told
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_it_cleanly(killed_sweep, toy_model, tmp_path):
    """Taken up from a finished preparation, so that it is measuring soon."""
    file, out = write_sweep(tmp_path, toy_model, 50), tmp_path / "out"
    shutil.copytree(killed_sweep[1] / "clusters", out / "clusters", ignore=shutil.ignore_patterns("nodes"))
    process = subprocess.Popen(
        [sys.executable, "-m", "coordinator", "sweep", str(file), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if "cases, each" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_20_random_moments_it_ends_with_exactly_the_planned_runs(toy_model, tmp_path):
    file, out, draw = write_sweep(tmp_path, toy_model, 12), tmp_path / "out", random.Random(3)
    statuses = [kill_later(file, out, draw, latest_seconds=9.0) for _ in range(20)]
    assert statuses.count(-signal.SIGKILL) == 20
    ended = splitfront("sweep", file, "--out", out, timeout=300)
    assert ended.returncode == 0, ended.stderr
    check_complete(out, 12)


@pytest.mark.parametrize(
    ("name", "n_cases"), [("short.yaml", 16), pytest.param("paper.yaml", 1008, marks=pytest.mark.slow)]
)
def test_the_papers_sweeps_are_understood_whole(name, n_cases, tmp_path, capsys):
    """Everything they name is found and every case is counted, before anything is measured."""
    assert run(["sweep", str(PAPER / name), "--out", str(tmp_path / "out"), "--dry-run"]) == 0
    assert f"That is {n_cases} cases" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_papers_short_sweep_runs(tmp_path):
    """All of its cases, each once: measured, and no slower over a link that is the bottleneck than that makes it."""
    out = tmp_path / "out"
    ended = splitfront("sweep", PAPER / "short.yaml", "--out", out, "--quick", "--json", timeout=200)
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert (found["n_cases"], found["n_done"], found["missing"]) == (2 * (2 + 6), 2 * (2 + 6), [])
    with open_store(str(out)) as store:
        points = [point for _, point in read_sweep(store.sweep("paper-short"), store.runs("paper-short")).cases]
    splits = [point for point in points if point.is_split]
    assert all(point.bottleneck is not None and point.bottleneck.boundary_bytes > 0 for point in splits)
    bound = [point for point in splits if point.bottleneck.bytes_bound is not None]
    assert {point.condition for point in bound} == {"paper-degraded"}
    assert min(point.bottleneck.best_share for point in bound) > 0.9
    assert run(["report", str(out), "--figures", "paper"]) == 0
    assert (out / "figures/mobilenet_v2/fronts_1col.pdf").is_file()
