"""`splitfront deploy` when nodes, or the coordinator, are killed."""

import json
import shutil
import signal
import time

import pytest
from e2e_commands import Deploy, splitfront
from node_processes import running_agent

from node_agent.client import NodeClient

WAIT_SECONDS = 60


def wait_until(is_so):
    ends_at = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < ends_at, "it did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def agents(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agents")
    with running_agent(folder / "a", "--name", "a") as a, running_agent(folder / "b", "--name", "b") as b:
        yield {"a": a, "b": b}


@pytest.fixture(scope="module")
def run_folder(agents, toy_model, tmp_path_factory):
    """A run on agents that are given by address, its plan split over both."""
    folder = tmp_path_factory.mktemp("run")
    cluster = folder / "cluster.yaml"
    nodes = "\n".join(f'  - {{name: {name}, address: "{agent.address}"}}' for name, agent in agents.items())
    cluster.write_text(f"name: two\nnodes:\n{nodes}\n", encoding="utf-8")
    for arguments in (
        ("profile", toy_model, "--cluster", cluster, "--profile-seconds", 1, "--out", folder),
        ("search", "--run", folder, "--pin-first", "a", "--pin-last", "b"),
        ("plan", "--run", folder, "--choose", "throughput"),
    ):
        done = splitfront(*arguments)
        assert done.returncode == 0, done.stderr
    return folder


def stored_bytes(agents):
    found = {}
    for name, agent in agents.items():
        with NodeClient.connect(agent.address) as node:
            found[name] = node.status().store_bytes
    return found


def stages_of(agent):
    with NodeClient.connect(agent.address) as node:
        return [(stage.deployment, stage.epoch, stage.stage) for stage in node.list_stages()]


def test_a_killed_coordinator_leaves_a_plan_that_the_next_one_adopts(run_folder, agents):
    first = Deploy(run_folder, "--lease", "60")
    deployed = first.next_event("deployed")
    before = {name: stages_of(agent) for name, agent in agents.items()}
    first.end(signal.SIGKILL)
    assert {name: stages_of(agent) for name, agent in agents.items()} == before
    stored = stored_bytes(agents)

    second = Deploy(run_folder)
    adopted = second.next_event("adopted")
    assert (adopted["plan"], adopted["epoch"]) == (deployed["plan"], deployed["epoch"])
    assert {name: stages_of(agent) for name, agent in agents.items()} == before
    assert stored_bytes(agents) == stored

    third = splitfront("deploy", "--run", run_folder, "--seconds", 0)
    assert third.returncode == 1
    assert "Another `splitfront deploy` serves" in third.stderr
    err = second.end()
    assert "0.0 MiB sent" in err
    assert not any(stages_of(agent) for agent in agents.values())
    kinds = [json.loads(line)["kind"] for line in (run_folder / "events.jsonl").read_text().splitlines()]
    assert {"deployed", "adopted"} <= set(kinds)


def test_a_plan_stays_recorded_until_it_was_taken_off(run_folder, agents):
    """A node that is frozen holds up the end; the coordinator is killed while it waits."""
    deploy = Deploy(run_folder, "--lease", "1")
    assert any(line.startswith("Live as") for line in deploy.process.stderr)
    agents["b"].process.send_signal(signal.SIGSTOP)
    try:
        deploy.process.send_signal(signal.SIGINT)
        wait_until(lambda: not stages_of(agents["a"]))
        deploy.end(signal.SIGKILL)
        assert (run_folder / "deployment.json").exists()
    finally:
        agents["b"].process.send_signal(signal.SIGCONT)
    wait_until(lambda: not stages_of(agents["b"]))


def test_a_copy_of_a_run_folder_is_served_as_a_deployment_of_its_own(run_folder, agents, tmp_path):
    first = Deploy(run_folder)
    first.next_event("deployed")
    before = {name: stages_of(agent) for name, agent in agents.items()}
    copy = tmp_path / "copy"
    shutil.copytree(run_folder, copy)
    second = splitfront("deploy", "--run", copy, "--seconds", 0, "--json")
    assert [json.loads(line)["kind"] for line in second.stdout.splitlines()] == ["deployed"]
    assert {name: stages_of(agent) for name, agent in agents.items()} == before
    first.end()


def test_what_a_killed_coordinator_left_is_freed_when_its_lease_is_over(run_folder, agents):
    deploy = Deploy(run_folder, "--lease", "1")
    deploy.next_event("deployed")
    time.sleep(1.5)  # beats keep it
    assert all(stages_of(agent) for agent in agents.values())
    deploy.end(signal.SIGKILL)
    wait_until(lambda: not any(stages_of(agent) for agent in agents.values()))
    assert "lease is over" in agents["a"].log.read_text()
    again = Deploy(run_folder)
    again.next_event("deployed")
    assert next(event["kind"] for event in again.events) == "attempt-failed"
    again.end()
