import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator.config import ClusterConfig, parse_cluster
from coordinator.errors import NodeDownError, RunFolderError
from coordinator.local_nodes import LocalNodes, agent_options
from node_agent.arguments import parse_arguments
from node_agent.limits import Limits

FAKE = str(Path(__file__).with_name("fake_agent.py"))


def fake(behaviour: str) -> list[str]:
    return [sys.executable, "-S", FAKE, behaviour]


@pytest.fixture
def cluster() -> ClusterConfig:
    nodes = [
        {"name": "pi-1", "local": True, "threads": 2, "emulate": {"slowdown": 8.5}},
        {"name": "pi-2", "local": True, "providers": ["CUDAExecutionProvider", "CPUExecutionProvider"]},
        {"name": "server", "local": True},
    ]
    return parse_cluster({"name": "three", "nodes": nodes})


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def said(folder: Path, name: str) -> dict[str, object]:
    return json.loads((folder / name / "store" / "options.json").read_text())


def test_nodes_are_started_with_their_options_and_stopped(cluster: ClusterConfig, tmp_path: Path) -> None:
    with LocalNodes(cluster.nodes, folder=tmp_path, command=fake("good")) as local:
        nodes = local.nodes
        assert [node.name for node in nodes] == ["pi-1", "pi-2", "server"]
        assert [node.address for node in nodes] == [f"127.0.0.1:{node.pid}" for node in nodes]
        assert all(is_running(node.pid) for node in nodes)
        options = said(tmp_path, "pi-1")
        assert (options["listen"], options["threads"], options["slowdown"]) == ("127.0.0.1:0", "2", "8.5")
        assert (options["exit_with_stdin"], options["log_format"]) == (True, "json")
        assert said(tmp_path, "pi-2")["provider"] == ["CUDAExecutionProvider", "CPUExecutionProvider"]
        assert said(tmp_path, "server")["threads"] is None
    assert not any(is_running(node.pid) for node in nodes)
    assert local.nodes == ()


def test_other_lines_before_the_address_are_passed_over(cluster: ClusterConfig, tmp_path: Path) -> None:
    with LocalNodes(cluster.nodes[:1], folder=tmp_path, command=fake("chatty")) as local:
        assert local.nodes[0].address == f"127.0.0.1:{local.nodes[0].pid}"


def test_agents_are_out_of_reach_of_the_terminals_interrupt(cluster: ClusterConfig, tmp_path: Path) -> None:
    with LocalNodes(cluster.nodes[:1], folder=tmp_path, command=fake("good")) as local:
        assert said(tmp_path, "pi-1")["session"] == local.nodes[0].pid != os.getsid(0)


@pytest.mark.parametrize("behaviour", ["deaf", "stubborn"])
def test_agents_that_ignore_their_stdin_or_sigterm_end_too(
    behaviour: str, cluster: ClusterConfig, tmp_path: Path
) -> None:
    with LocalNodes(cluster.nodes[:2], folder=tmp_path, command=fake(behaviour), stop_seconds=0.2) as local:
        nodes = local.nodes
    assert not any(is_running(node.pid) for node in nodes)


def test_the_failure_of_a_later_node_stops_the_earlier_ones_and_shows_its_log(
    cluster: ClusterConfig, tmp_path: Path
) -> None:
    local = LocalNodes(cluster.nodes, folder=tmp_path, command=fake("fails:server"))
    with pytest.raises(NodeDownError, match="'server' ended with status 3 before it listened") as caught, local:
        pytest.fail("must not start")
    assert caught.value.nodes == ("server",)
    assert "the store is on fire" in str(caught.value)
    assert str(tmp_path / "server" / "agent.log") in str(caught.value)
    assert not any(is_running(int(said(tmp_path, name)["pid"])) for name in ("pi-1", "pi-2"))


def test_all_failures_are_named_at_once(cluster: ClusterConfig, tmp_path: Path) -> None:
    local = LocalNodes(cluster.nodes, folder=tmp_path, command=fake("fails"))
    with pytest.raises(NodeDownError) as caught, local:
        pytest.fail("must not start")
    assert caught.value.nodes == ("pi-1", "pi-2", "server")


def test_an_agent_that_says_nothing_is_given_up_at_the_deadline(cluster: ClusterConfig, tmp_path: Path) -> None:
    local = LocalNodes(cluster.nodes[:2], folder=tmp_path, command=fake("silent:pi-2"), start_seconds=3.0)
    with pytest.raises(NodeDownError, match="'pi-2' said no address within 3 s") as caught, local:
        pytest.fail("must not start")
    assert caught.value.nodes == ("pi-2",)
    assert not is_running(int(said(tmp_path, "pi-1")["pid"]))


def test_a_program_that_is_not_there_is_named(cluster: ClusterConfig, tmp_path: Path) -> None:
    local = LocalNodes(cluster.nodes, folder=tmp_path, command=["/nowhere/agent"])
    with pytest.raises(NodeDownError, match="Cannot start local node 'pi-1' with /nowhere/agent"), local:
        pytest.fail("must not start")


def test_a_folder_that_cannot_be_written_is_named(cluster: ClusterConfig, tmp_path: Path) -> None:
    (tmp_path / "pi-2").touch()
    local = LocalNodes(cluster.nodes, folder=tmp_path, command=fake("good"))
    with pytest.raises(RunFolderError, match=r"Cannot write .*pi-2/agent.log, the log of local node 'pi-2'"), local:
        pytest.fail("must not start")
    assert not (tmp_path / "server").exists()


def test_an_interrupt_inside_the_context_leaves_no_agent(cluster: ClusterConfig, tmp_path: Path) -> None:
    nodes = ()

    def interrupted() -> None:
        nonlocal nodes
        with LocalNodes(cluster.nodes, folder=tmp_path, command=fake("good")) as local:
            nodes = local.nodes
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(nodes) == 3
    assert not any(is_running(node.pid) for node in nodes)


PARENT = """
import signal, sys
from pathlib import Path
from coordinator.config import parse_cluster
from coordinator.local_nodes import LocalNodes

cluster = parse_cluster({"name": "one", "nodes": [{"name": "pi-1", "local": True}]})
with LocalNodes(cluster.nodes, folder=Path(sys.argv[1]), command=sys.argv[2:]) as local:
    print(local.nodes[0].pid, flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_agents_end_with_a_coordinator_that_is_killed(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path), *fake("good")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(number)
        parent.wait(20)
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline and not is_zombie(pid):
        time.sleep(0.02)
    assert is_zombie(pid) or not is_running(pid)


def is_zombie(pid: int) -> bool:
    """Ended, but nobody has asked for its status: its parent is gone, and this container may have no init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_cores_and_level_become_options() -> None:
    node = {"name": "pi-1", "local": True, "cores": [3, 0, 1], "optimisation": "extended"}
    options = agent_options(parse_cluster({"name": "one", "nodes": [node]}).nodes[0], store=Path("/store"))
    assert options[options.index("--cores") + 1] == "0-1,3"
    assert options[options.index("--optimisation") + 1] == "extended"


def test_limits_become_options_that_the_agent_understands() -> None:
    limits = {"trial": "90s", "run": "10min", "store": "2GiB"}
    node = {"name": "pi-1", "local": True, "limits": limits}
    options = agent_options(parse_cluster({"name": "one", "nodes": [node]}).nodes[0], store=Path("/store"))
    understood = parse_arguments(options).config.limits
    assert (understood.trial_seconds, understood.run_seconds, understood.disk_bytes) == (90.0, 600.0, 2 << 30)
    assert understood == replace(Limits(), trial_seconds=90.0, run_seconds=600.0, disk_bytes=2 << 30)


def test_options_leave_out_what_the_agent_decides(cluster: ClusterConfig) -> None:
    options = agent_options(cluster.node_of["server"], store=Path("/store"))
    assert not {"--threads", "--provider", "--slowdown", "--cores", "--optimisation"} & set(options)
