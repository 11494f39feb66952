import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from e2e_commands import Deploy, splitfront

from coordinator.__main__ import run
from partitioner.plan import Candidate
from partitioner.serialize import load_artefact

SHORT = ("--profile-seconds", "2", "--correct-seconds", "2", "--bench-seconds", "0.5")
STEP_FILES = {
    "run.json",
    "graph.json",
    "cluster.json",
    "profile.json",
    "front.json",
    "plan.json",
    "measurement.json",
    "live_profile.json",
}


@pytest.fixture(scope="module")
def finished_run(toy_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "toy"
    done = splitfront("run", toy_model, "--local", 2, "--out", folder, *SHORT, "--correct-seconds", 12)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_run_leaves_every_artefact_and_picture_and_says_where(finished_run):
    folder, done = finished_run
    assert {path.name for path in folder.glob("*.json")} >= STEP_FILES
    for name in (
        "report.html",
        "figures/front.png",
        "figures/front.svg",
        "figures/prediction.png",
        "figures/prediction.svg",
    ):
        assert (folder / name).stat().st_size > 1000
        assert name in done.stdout


def test_measurement_holds_what_a_script_needs(finished_run):
    folder, _ = finished_run
    found = json.loads((folder / "measurement.json").read_text())
    assert {"mean", "p50", "p90", "p99"} <= found["latency_seconds"].keys()
    assert found["n_errors"] == 0
    assert found["n_requests"] >= 20
    assert 0 <= found["max_relative_error"] < 1e-4
    assert {"latency_seconds", "throughput_per_second"} <= found["predicted"].keys()
    assert {"resource", "busy_seconds"} <= found["bottleneck"].keys()
    assert found["stages"]
    assert {"emulation", "versions", "seed", "schema"} <= found.keys()
    assert len(found["baselines"]) == 2


def test_a_run_leaves_a_trace_of_its_requests(finished_run):
    folder, done = finished_run
    trace = json.loads((folder / "trace.json").read_text())
    assert "trace.json" in done.stdout
    assert trace["displayTimeUnit"] == "ms"
    slices = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert {"request", "compute", "network"} <= {event["cat"] for event in slices}
    assert all(event["dur"] > 0 for event in slices)


def test_measurement_judges_the_prediction_of_every_measured_plan(finished_run):
    folder, done = finished_run
    found = json.loads((folder / "measurement.json").read_text())
    plans, quality = [found, *found["front"], *found["baselines"]], found["prediction"]
    assert [one["label"] for one in quality["plans"]] == [plan["label"] for plan in plans]
    for one, plan in zip(quality["plans"], plans, strict=True):
        measured = plan["latency_seconds"]["p50"]["value"]
        assert one["latency"] == pytest.approx(plan["predicted"]["latency_seconds"] / measured - 1)
        for stage in plan["stages"]:
            assert stage["compute_median_seconds"]["value"] > 0
            assert stage["unloaded_compute_seconds"]["value"] > 0
    assert quality["paced"] is None
    assert 1 <= quality["unpaced"]["latency"]["before"]["n"] <= len(plans)
    assert "Kendall τ" in done.stdout
    for warning in quality["warnings"]:
        assert warning in done.stdout
    live = json.loads((folder / "live_profile.json").read_text())
    assert live["schema"] == "splitfront/live_profile/1"
    seen = {
        (device["device"], trial["start"], trial["stop"]): trial["compute_seconds"]
        for device in live["devices"]
        for trial in device["trials"]
    }
    stages = [
        ((stage["device"], stage["start"], stage["stop"]), stage["unloaded_compute_seconds"]["value"])
        for plan in plans
        for stage in plan["stages"]
    ]
    for span in {span for span, _ in stages}:
        assert seen[span] == pytest.approx(statistics.median(seconds for one, seconds in stages if one == span))


def test_each_step_can_be_taken_up_from_the_folder(finished_run):
    folder, _ = finished_run
    for arguments in (
        ("search", "--run", folder, "--engine", "exhaustive"),
        ("search", "--run", folder, "--profile", "live"),
        ("robust", "--run", folder, "--random", 2, "--profile", "live"),
        ("plan", "--run", folder, "--choose", "throughput"),
        ("bench", "--run", folder, "--bench-seconds", 0.5, "--profile", "live", "--json", "--window", "auto"),
        ("report", "--run", folder),
    ):
        done = splitfront(*arguments)
        assert done.returncode == 0, done.stderr
        if "--json" in arguments:
            found = json.loads(done.stdout)
            assert found["throughput_per_second"]["value"] > 0
            assert found["window"] in [step["window"] for step in found["window_steps"]]


def test_inputs_of_a_run_are_taken_up_and_watched(toy_model, tmp_path):
    """Sizes and values come from the file in every step; once it holds others the run is refused."""
    inputs, folder = tmp_path / "in.npz", tmp_path / "run"
    values = np.random.default_rng(1).standard_normal((2, 16, 256)).astype(np.float32)
    np.savez(inputs, x=values)
    done = splitfront("run", toy_model, "--inputs", inputs, "--local", 1, "--out", folder, *SHORT)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "graph.json").read_text())["batch"] == 2
    assert json.loads((folder / "measurement.json").read_text())["max_relative_error"] < 1e-4
    np.savez(inputs, x=2 * values)
    done = splitfront("bench", "--run", folder, "--bench-seconds", 0.5)
    assert done.returncode == 1
    assert "other arrays" in done.stderr.strip().splitlines()[-1]


def test_a_dry_run_of_a_step_names_its_plans_to_scripts(finished_run, capsys):
    folder, _ = finished_run
    plan = load_artefact(folder / "plan.json", Candidate, schema="plan").plan.describe()
    assert run(["deploy", "--run", str(folder), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plan"] == plan
    assert run(["bench", "--run", str(folder), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plans"]["chosen"] == plan


def test_after_a_new_search_only_its_plans_are_deployed_and_what_was_measured_is_reported(
    finished_run, tmp_path, capsys
):
    folder = tmp_path / "again"
    shutil.copytree(finished_run[0], folder)
    device = load_artefact(folder / "plan.json", Candidate, schema="plan").plan.stages[0].device
    other = {"local-1": "local-2", "local-2": "local-1"}[device]
    assert run(["search", "--run", str(folder), "--pin-first", other]) == 0
    assert "is not on this front" in capsys.readouterr().out
    for command in ("deploy", "bench"):
        assert run([command, "--run", str(folder), "--dry-run"]) == 1
        assert "run `splitfront plan`" in capsys.readouterr().err
    assert run(["report", "--run", str(folder)]) == 0
    assert "newer than the plan that was measured: `splitfront plan" in capsys.readouterr().out
    assert run(["plan", "--run", str(folder)]) == 0
    assert run(["deploy", "--run", str(folder), "--dry-run"]) == 0


def test_deploy_keeps_the_plan_up_and_takes_it_off(finished_run):
    folder, _ = finished_run
    done = splitfront("deploy", "--run", folder, "--seconds", 0.5)
    assert done.returncode == 0, done.stderr
    assert "Predicted: " in done.stdout
    assert "Live as toy" in done.stdout
    assert "answers correctly" in done.stdout
    assert done.stdout.strip().endswith("Taken off.")


def test_a_node_that_dies_while_the_plan_is_up_is_planned_around_and_the_events_are_kept(finished_run):
    folder, _ = finished_run
    deploy = Deploy(folder)
    victim = deploy.next_event("deployed")["plan"].partition("[")[0]
    [agent] = [
        child
        for child in psutil.Process(deploy.process.pid).children(recursive=True)
        if "node_agent" in child.cmdline() and victim in child.cmdline()
    ]
    agent.kill()
    recovered = deploy.next_event("recovered")
    assert victim not in recovered["plan"]
    assert victim in recovered["cause"]
    assert "was taken off" in deploy.end()
    kept = json.loads((folder / "measurement.json").read_text())["events"]
    assert [event["kind"] for event in kept] == [event["kind"] for event in deploy.events]
    assert splitfront("report", "--run", folder).returncode == 0
    assert 'id="events"' in (folder / "report.html").read_text()


def test_where_splitting_does_not_pay_the_tool_says_so_and_runs_one_device(toy_model, equal_slow_cluster, tmp_path):
    folder = tmp_path / "slow"
    done = splitfront("run", toy_model, "--cluster", equal_slow_cluster, "--out", folder, *SHORT)
    assert done.returncode == 0, done.stderr
    assert "Do not split" in done.stdout
    assert len(json.loads((folder / "plan.json").read_text())["plan"]["stages"]) == 1
    found = json.loads((folder / "measurement.json").read_text())
    assert len(found["plan"]["stages"]) == 1
    assert found["recommendation"].startswith("Do not split")
    assert found["emulation"]


@pytest.mark.slow
def test_a_pytorch_factory_is_found_where_the_user_stands(tmp_path):
    (tmp_path / "small_network.py").write_text(
        "import torch\n\ndef make():\n"
        "    layers = [torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(5)]\n"
        "    network = torch.nn.Sequential(*layers)\n    network(torch.zeros(1, 3, 32, 32))\n"
        "    return network, (torch.zeros(1, 3, 32, 32),)\n"
    )
    command = Path(sys.executable).with_name("splitfront")
    done = subprocess.run(
        [command, "inspect", "small_network:make"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Conv" in done.stdout


SLOW = [pytest.param(phase, marks=pytest.mark.slow) for phase in ("Probing", "Searching")]


@pytest.mark.parametrize("phase", ["Loading", "Profiling", "Deploying", *SLOW])
def test_an_interrupt_in_any_phase_ends_cleanly(toy_model, tmp_path, phase):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "coordinator", "run", toy_model, "--local", "2", "--out", folder, *SHORT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = ""
    children = []
    while phase not in seen:
        line = process.stderr.readline()
        assert line, f"ended before {phase}: {seen}"
        seen += line
    children = psutil.Process(process.pid).children(recursive=True)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=20)
    assert process.returncode == 130, rest
    assert "interrupted" in rest
    assert "Traceback" not in rest
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    for path in folder.rglob("*.json"):
        json.loads(path.read_text())
    assert not list(folder.rglob("*.tmp*"))


def test_an_interrupt_is_not_lost_where_python_drops_what_is_raised(tmp_path):
    (tmp_path / "interrupted_in_callback.py").write_text(
        "import os, signal, time, weakref\n"
        "from coordinator import __main__ as entry\n"
        "class Thing: pass\n"
        "def drop(_):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(0.01)\n"
        "def work(**_):\n"
        "    thing = Thing()\n"
        "    kept = weakref.ref(thing, drop)\n"
        "    del thing\n"
        "    time.sleep(30)\n"
        "entry.splitfront.main = work\n"
        "entry.main()\n"
    )
    command = [sys.executable, "-m", "interrupted_in_callback"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 130, done.stderr
    assert done.stderr.startswith("splitfront: interrupted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_generated_text_runs_keeps_the_exit_status(tmp_path, number):
    """Compiling and importing run texts by `exec`; there, `python -m` once turned our status into a kill by SIGINT."""
    (tmp_path / "interrupted_inside_exec.py").write_text(
        "from coordinator import __main__ as entry\n"
        f"text = 'import os, time; os.kill(os.getpid(), {int(number)}); time.sleep(9)'\n"
        "entry.splitfront.main = lambda **_: exec(text)\n"
        "entry.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "interrupted_inside_exec"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr
