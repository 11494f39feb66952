from pathlib import Path
from typing import Any

import pytest

from coordinator.config import load_cluster, parse_cluster
from coordinator.config.document import parse_yaml
from coordinator.config.example import demo_cluster, example_text, local_cluster
from coordinator.config.sections import LimitsConfig, SecurityConfig, TlsFiles
from coordinator.errors import ConfigError
from partitioner.cluster import CLIENT


def test_the_example_works_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(example_text())
    config = load_cluster(path)
    assert all(node.local for node in config.nodes)


def in_comments(first: str, n_lines: int) -> Any:
    """What YAML makes of the example's commented lines, from the one that begins with `first`."""
    lines = [line.strip() for line in example_text().splitlines()]
    start = next(index for index, line in enumerate(lines) if line.startswith(f"# {first}"))
    return parse_yaml("\n".join(line.removeprefix("# ") for line in lines[start : start + n_lines])).content


def test_what_the_example_has_in_comments_is_right_too() -> None:
    nodes = [*in_comments("- name: pi-3", 7), {"name": "server", "address": "192.168.1.20:50051"}]
    links = {"between": in_comments("- {from: pi-3", 1)}
    config = parse_cluster({"name": "real", "nodes": nodes, "links": links, "security": {"plaintext": True}})
    assert config.node_of["pi-3"].active_watts == 6.4
    assert set(config.node_of["pi-3"].limits.model_fields_set) == set(LimitsConfig.model_fields)
    assert config.is_forbidden("pi-3", "server")
    assert not config.is_forbidden("server", "pi-3")
    security = in_comments("security:", 3)["security"]
    assert set(security["tls"]) == set(TlsFiles.model_fields)
    assert {*security, "plaintext"} == set(SecurityConfig.model_fields)


def test_the_examples_limited_node_is_right() -> None:
    config = parse_cluster({"name": "real", "nodes": in_comments("- name: limited", 5)})
    (node,) = config.nodes
    assert (node.cores, node.cpu_quota, node.optimisation) == ((0,), 0.4, "basic")


def test_the_demo_is_emulated_throughout_and_says_so() -> None:
    config = demo_cluster()
    places = [CLIENT, *config.node_of]
    assert [node.name for node in config.nodes] == ["pi-1", "pi-2", "server"]
    assert all(node.describe_emulation() for node in config.nodes)
    assert all(config.describe_link(a, b) for a in places for b in places if a != b)


def test_the_demos_server_is_fast_and_far() -> None:
    config = demo_cluster()
    slowdowns = {node.name: node.emulate.slowdown for node in config.nodes if node.emulate}
    assert slowdowns["server"] < min(slowdowns["pi-1"], slowdowns["pi-2"]) / 2
    near, far = config.link_emulation(CLIENT, "pi-1"), config.link_emulation(CLIENT, "server")
    assert near is not None
    assert far is not None
    assert far.delay_seconds > near.delay_seconds
    assert far.bytes_per_second < near.bytes_per_second


def test_local_nodes_share_the_cores_and_are_not_emulated() -> None:
    config = local_cluster(3)
    assert [node.name for node in config.nodes] == ["local-1", "local-2", "local-3"]
    assert all(node.local and node.emulate is None and node.threads for node in config.nodes)
    assert config.link_emulation(CLIENT, "local-1") is None
    for count in (0, 65):
        with pytest.raises(ConfigError, match="wanted 1 to 64 nodes"):
            local_cluster(count)
