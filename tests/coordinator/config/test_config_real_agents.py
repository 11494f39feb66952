import os
from pathlib import Path

import pytest

from coordinator.config import parse_cluster
from coordinator.errors import NodeDownError
from coordinator.fleet import connect_fleet
from coordinator.local_nodes import LocalNodes


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_fleet_of_real_agents_comes_up_as_described_and_goes(tmp_path: Path) -> None:
    nodes = [
        {"name": "pi-1", "local": True, "threads": 1, "emulate": {"slowdown": 8.5}},
        {"name": "server", "local": True, "threads": 2, "providers": ["CPUExecutionProvider"]},
    ]
    with connect_fleet(parse_cluster({"name": "two", "nodes": nodes}), run_dir=tmp_path) as fleet:
        pi, server = (node.description for node in fleet.nodes)
        assert (pi.name, pi.n_threads, pi.slowdown) == ("pi-1", 1, 8.5)
        assert (server.name, server.n_threads, server.slowdown) == ("server", 2, 0.0)
        assert server.providers == ("CPUExecutionProvider",)
        assert pi.host_id == server.host_id
        assert fleet.node_of["server"].device.memory_bytes == server.memory_bytes
        addresses = [node.address for node in fleet.nodes]
        assert fleet.nodes[0].client.status().n_stages == 0

    gone = [{"name": f"gone-{index}", "address": address} for index, address in enumerate(addresses)]
    again = connect_fleet(parse_cluster({"name": "gone", "nodes": gone}), run_dir=tmp_path)
    with pytest.raises(NodeDownError, match="2 of 2 nodes cannot be used") as caught, again:
        pytest.fail("must not connect")
    assert caught.value.nodes == ("gone-0", "gone-1")


def test_an_agent_that_cannot_run_says_why(tmp_path: Path) -> None:
    config = parse_cluster({"name": "one", "nodes": [{"name": "pi-1", "local": True, "providers": ["NoProvider"]}]})
    with pytest.raises(NodeDownError, match="NoProvider"), LocalNodes(config.nodes, folder=tmp_path):
        pytest.fail("must not start")


def test_the_log_of_an_agent_is_kept(tmp_path: Path) -> None:
    config = parse_cluster({"name": "one", "nodes": [{"name": "pi-1", "local": True, "threads": 1}]})
    with LocalNodes(config.nodes, folder=tmp_path) as local:
        (node,) = local.nodes
        assert is_running(node.pid)
    assert '"event": "agent listens"' in node.log.read_text()
    assert not is_running(node.pid)
