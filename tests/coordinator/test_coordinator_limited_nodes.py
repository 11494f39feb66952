"""Local nodes made unequal by the system: real agents, real control groups."""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from cpu_group_trees import group_folders, groups_here, needs_groups
from node_shards import BuiltShard, build_shard, spec, weights_of
from onnx import helper

from coordinator.config import parse_cluster
from coordinator.errors import NodeDownError
from coordinator.fleet import Fleet, FleetNode, connect_fleet
from coordinator.local_nodes import LocalNodes
from node_agent.host.processors import usable_cores
from node_agent.messages import ProfileRequest, ProfileSegment, SegmentSamples

FAKE_AGENT = [sys.executable, "-S", str(Path(__file__).parent / "config" / "fake_agent.py")]
CORE = usable_cores()[-1]
LIMITED = {"name": "limited", "local": True, "cpu_quota": 0.3, "cores": [CORE]}
BASIC = {"name": "basic", "local": True, "optimisation": "basic", "cores": [CORE]}


def heavy_shard() -> BuiltShard:
    """Four products of matrices, 2 GFLOP: many periods of the quota; no level of optimisation changes them."""
    width = 1024
    nodes = [helper.make_node("MatMul", [f"x{n}", f"w{n}"], [f"x{n + 1}"]) for n in range(4)]
    weights = {f"w{n}": weights_of(n, width, width) for n in range(4)}
    return build_shard(nodes, (spec("x0", (256, width)),), (spec("x4", (256, width)),), weights)


def favour(pid: int) -> None:
    """Lets an agent compute before whoever else does on this machine, as far as its quota lets it compute at all."""
    for thread in psutil.Process(pid).threads():
        with suppress(PermissionError, ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, thread.id, -19)
    session = Path(f"/proc/{pid}/autogroup")  # where the kernel shares out time by session, that is what counts
    if session.exists():
        with suppress(OSError):  # not permitted, or just done
            session.write_text("-19")
    weights = [folder / file for folder in group_folders() for file in ("cpu.shares", "cpu.weight")]
    for path in weights:
        if path.exists():
            path.write_text("10000")


def sampled_seconds(node: FleetNode, shard: BuiltShard) -> list[float]:
    segment = ProfileSegment(name="heavy", shard=shard.ref)
    request = ProfileRequest(segments=(segment,), n_rounds=5, budget_seconds=20.0, seed=0)
    return [
        seconds
        for event in node.client.profile(request)
        if isinstance(event, SegmentSamples)
        for seconds in event.seconds
    ]


def median_ratio(fleet: Fleet, pids: dict[str, int], shard: BuiltShard, n_turns: int = 6) -> float:
    """Median time on the limited node over the median on the other; they take turns, the first one is a warm-up."""
    seconds: dict[str, list[float]] = {}
    for turn in range(n_turns):
        for node in fleet.nodes:
            favour(pids[node.name])
            sampled = sampled_seconds(node, shard)
            seconds.setdefault(node.name, []).extend(sampled if turn else [])
    return statistics.median(seconds["limited"]) / statistics.median(seconds["basic"])


def pid_behind(node: FleetNode) -> int:
    """The agent that listens at a node's address."""
    port = int(node.address.rpartition(":")[2])
    found = [
        child.pid
        for child in psutil.Process().children()
        if any(one.laddr.port == port for one in child.net_connections(kind="tcp") if one.status == "LISTEN")
    ]
    (pid,) = found
    return pid


@pytest.fixture
def before() -> set[str]:
    return groups_here()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    config = parse_cluster({"name": "unequal", "nodes": [LIMITED, BASIC]})
    with connect_fleet(config, run_dir=tmp_path_factory.mktemp("run")) as fleet:
        yield fleet
    assert not any(name.endswith("-limited") for name in groups_here())


@needs_groups
def test_nodes_say_how_they_are_unequal_and_that_none_is_paced(fleet: Fleet) -> None:
    limited, basic = fleet.nodes
    assert limited.description.cpu_limit == 0.3
    assert basic.description.cpu_limit == 0
    assert (limited.description.optimisation, basic.description.optimisation) == ("all", "basic")
    assert limited.description.cores == basic.description.cores == (CORE,)
    assert limited.description.n_threads == basic.description.n_threads == 1
    assert limited.description.slowdown == basic.description.slowdown == 0
    assert (limited.is_limited, limited.is_paced) == (True, False)
    assert (basic.is_limited, basic.is_paced) == (False, False)
    assert limited.device.emulation == "30 % of a core, by the system's quota"
    assert basic.device.emulation is None
    assert any(name.endswith("-limited") for name in groups_here())


@needs_groups
@pytest.mark.slow
def test_a_limited_node_takes_as_much_longer_as_its_quota_says(fleet: Fleet) -> None:
    shard = heavy_shard()
    for node in fleet.nodes:
        shard.put_into(node.client)
    pids = {node.name: pid_behind(node) for node in fleet.nodes}
    assert 2.5 <= median_ratio(fleet, pids, shard) <= 4.5


@needs_groups
def test_groups_go_with_their_nodes_however_these_end(before: set[str], tmp_path: Path) -> None:
    nodes = parse_cluster({"name": "two", "nodes": [LIMITED, BASIC | {"cpu_quota": 0.5}]}).nodes
    with LocalNodes(nodes, folder=tmp_path, command=[*FAKE_AGENT, "stubborn"], stop_seconds=0.2):
        assert len(groups_here() - before) == 2
    assert groups_here() == before
    local = LocalNodes(nodes, folder=tmp_path, command=[*FAKE_AGENT, "fails:basic"])
    with pytest.raises(NodeDownError, match="'basic' ended with status 3 before it listened"), local:
        pytest.fail("must not start")
    assert groups_here() == before
    local = LocalNodes(nodes, folder=tmp_path, command=["/nowhere/agent"])
    with pytest.raises(NodeDownError, match=r"(?s)'limited' ended with status 127.*/nowhere/agent"), local:
        pytest.fail("must not start")
    assert groups_here() == before


@needs_groups
@pytest.mark.slow
def test_an_agent_of_a_limited_node_is_stopped_at_full_speed(before: set[str], tmp_path: Path) -> None:
    """At a twentieth of a core an agent's end would take seconds."""
    nodes = parse_cluster({"name": "one", "nodes": [LIMITED | {"cpu_quota": 0.05}]}).nodes
    with LocalNodes(nodes, folder=tmp_path) as local:
        (node,) = local.nodes
        assert len(groups_here() - before) == 1
        used = psutil.Process(node.pid).cpu_times()
        started = time.monotonic()
    assert groups_here() == before
    assert used.user + used.system > 0.1
    assert time.monotonic() - started < 4


PARENT = """
import signal, sys
from pathlib import Path
from coordinator.config import parse_cluster
from coordinator.local_nodes import LocalNodes

cluster = parse_cluster({"name": "one", "nodes": [{"name": "orphan", "local": True, "cpu_quota": 0.5}]})
with LocalNodes(cluster.nodes, folder=Path(sys.argv[1]), command=sys.argv[2:]) as local:
    print(local.nodes[0].pid, flush=True)
    signal.pause()
"""


@needs_groups
def test_the_next_start_takes_away_what_a_killed_coordinator_left(before: set[str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "first"), *FAKE_AGENT, "good"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) > 0
        parent.send_signal(signal.SIGKILL)
        parent.wait(20)
    left = f"splitfront-{parent.pid}-orphan"
    assert groups_here() - before == {left}
    nodes = parse_cluster({"name": "next", "nodes": [{"name": "next", "local": True}]}).nodes
    started = time.monotonic()
    with LocalNodes(nodes, folder=tmp_path / "second", command=[*FAKE_AGENT, "good"]):
        assert left not in groups_here()
    assert time.monotonic() - started < 20


def test_where_groups_are_not_permitted_the_error_says_so_before_anything_starts(tmp_path: Path) -> None:
    nodes = parse_cluster({"name": "many", "nodes": [{"name": "vast", "local": True, "cpu_quota": 1000}]}).nodes
    with (
        pytest.raises(NodeDownError, match="Cannot hold local node 'vast' to 1000 cores"),
        LocalNodes(nodes, folder=tmp_path, command=[*FAKE_AGENT, "good"]),
    ):
        pytest.fail("must not start")
    assert not (tmp_path / "vast" / "store").exists()
