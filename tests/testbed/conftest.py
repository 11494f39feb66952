"""Hosts of the testbed, the files to reach them by, and what can be seen of them."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from host_state import LISTING
from nodes_command import NodesCommand

from coordinator.config import load_cluster
from coordinator.nodes import hosts_of
from coordinator.nodes.testbed_files import testbed_files
from deploy.ssh import HostKeyRules, SshRunner, connect
from deploy.testbed import Testbed, missing_needs, running_testbed


@dataclass(kw_only=True)
class Bed(NodesCommand):
    """Hosts that were just booted, and the commands on them."""

    testbed: Testbed

    @property
    def names(self) -> list[str]:
        return [host.name for host in self.testbed.hosts]

    def outcomes(self, *words: object) -> dict[str, str]:
        return {node["node"]: node["outcome"] for node in self.json(*words)["nodes"]}

    @contextmanager
    def runner(self, name: str) -> Iterator[SshRunner]:
        """A connection to a host."""
        (host,) = hosts_of(load_cluster(self.cluster), [name])
        runner = connect(host.ssh, HostKeyRules(known_hosts=Path("/nowhere")), lambda _: None)
        try:
            yield runner
        finally:
            runner.close()

    def listing(self, name: str) -> str:
        """All that can be seen of a host."""
        with self.runner(name) as runner:
            return runner.run(LISTING).stdout

    def tell(self, what: str, value: object) -> None:
        """Prints a figure, also of tests that pass."""
        with self.capture.disabled():
            sys.stdout.write(f"{what}: {value}\n")

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.tell(what, f"{time.monotonic() - began:.1f} s")

    def listings(self) -> dict[str, str]:
        """Of each host, all at a time."""
        with ThreadPoolExecutor() as pool:
            return dict(zip(self.names, pool.map(self.listing, self.names), strict=True))


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    if missing := missing_needs():
        pytest.skip(f"there can be no testbed here: {'; '.join(missing)}")
    with running_testbed(3) as testbed, testbed_files(testbed, tmp_path_factory.mktemp("bed") / "testbed") as cluster:
        yield Bed(testbed=testbed, cluster=cluster)


@pytest.fixture
def bed(booted, capsys):
    booted.capture = capsys
    return booted
