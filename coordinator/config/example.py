"""Files to begin with (`splitfront init`), and clusters that need no file: the demo's, and N nodes on this machine."""

import os
from importlib import resources

from coordinator.config.cluster import ClusterConfig, checked_cluster, parse_cluster
from coordinator.config.document import parse_yaml
from coordinator.errors import ConfigError


def example_text(name: str = "cluster.yaml") -> str:
    """A commented `cluster.yaml`, or `sweep.yaml`, that works as it stands."""
    return _packaged(name)


def demo_cluster() -> ClusterConfig:
    """Two slow nodes near the client and a fast one behind a slower link, all emulated on this machine."""
    return checked_cluster(parse_yaml(_packaged("demo.yaml")), source="demo.yaml")


def local_cluster(n_nodes: int) -> ClusterConfig:
    """`n_nodes` nodes on this machine that share its cores; neither they nor their links are emulated.

    Raises:
        ConfigError: `n_nodes` is not 1 to 64.
    """
    if not 1 <= n_nodes <= 64:
        raise ConfigError("--local", [f"wanted 1 to 64 nodes on this machine, got {n_nodes}"])
    threads = max(1, (os.cpu_count() or 1) // n_nodes)
    nodes = [{"name": f"local-{index}", "local": True, "threads": threads} for index in range(1, n_nodes + 1)]
    return parse_cluster({"name": f"local-{n_nodes}", "nodes": nodes}, source="--local")


def _packaged(name: str) -> str:
    return (resources.files("coordinator") / "examples" / name).read_text(encoding="utf-8")
