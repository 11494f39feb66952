"""Clusters for whole runs with real processes."""

import pytest


@pytest.fixture(scope="session")
def equal_slow_cluster(tmp_path_factory):
    """Two equal devices and links of 4 Mbit/s: splitting cannot pay."""
    path = tmp_path_factory.mktemp("cluster") / "slow-link.yaml"
    path.write_text(
        """
name: slow-link
nodes:
  - {name: a, local: true, memory: 1GiB, threads: 1, emulate: {slowdown: 4}}
  - {name: b, local: true, memory: 1GiB, threads: 1, emulate: {slowdown: 4}}
links:
  default: {rate: 4mbit, delay: 2ms}
""",
        encoding="utf-8",
    )
    return path
