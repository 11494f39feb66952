import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from coordinator.config import ClusterConfig, parse_cluster
from coordinator.config.sections import TlsFiles
from coordinator.errors import NodeDownError
from coordinator.fleet import connect_fleet
from coordinator.ports import Connect
from node_agent.api import Transfer
from node_agent.errors import NodeUnreachableError, ProtocolMismatchError
from node_agent.messages import (
    BlobRef,
    CodecProfileRequest,
    CodecSample,
    NodeDescription,
    NodeStatus,
    ProbeRequest,
    ProbeSample,
    ProfileEvent,
    ProfileRequest,
    StageLoad,
    StageLoaded,
    StageStatus,
)
from partitioner.cluster import Device

COMMAND = [sys.executable, "-S", str(Path(__file__).with_name("fake_agent.py")), "good"]


class FakeNode:
    """Describes itself and can be closed; refuses all else."""

    def __init__(self, address: str, describe: Callable[[], object] = lambda: None) -> None:
        self.address = address
        self.is_closed = False
        self._before_describing = describe

    def describe(self) -> NodeDescription:
        self._before_describing()
        return NodeDescription(
            name=self.address,
            protocol=1,
            version="0.1.0",
            machine="x86_64",
            cpu="fake",
            n_cores=2,
            memory_bytes=10**9,
            resident_bytes=5 * 10**7,
            python="3.11",
            runtime="onnxruntime 1.32.0",
            providers=("CPUExecutionProvider",),
            n_threads=1,
            slowdown=0.0,
            host_id="here",
        )

    def close(self) -> None:
        self.is_closed = True

    def status(self) -> NodeStatus:
        raise NodeUnreachableError("fake")

    def missing_blobs(self, blobs: Iterable[BlobRef]) -> tuple[BlobRef, ...]:
        raise NodeUnreachableError("fake")

    def put_blob(self, blob: BlobRef, chunks: Iterable[bytes]) -> None:
        raise NodeUnreachableError("fake")

    def put_blobs(self, transfers: Iterable[Transfer]) -> None:
        raise NodeUnreachableError("fake")

    def load_stage(self, load: StageLoad) -> StageLoaded:
        raise NodeUnreachableError("fake")

    def unload_stage(self, deployment: str) -> int:
        raise NodeUnreachableError("fake")

    def list_stages(self) -> tuple[StageStatus, ...]:
        raise NodeUnreachableError("fake")

    def profile(self, request: ProfileRequest) -> Iterator[ProfileEvent]:
        raise NodeUnreachableError("fake")

    def probe_link(self, request: ProbeRequest) -> tuple[ProbeSample, ...]:
        raise NodeUnreachableError("fake")

    def profile_codecs(self, request: CodecProfileRequest) -> tuple[CodecSample, ...]:
        raise NodeUnreachableError("fake")


class FakeNetwork:
    """Addresses at which fake nodes answer, or do not."""

    def __init__(self, *, dead: Iterable[str] = (), old: Iterable[str] = ()) -> None:
        self.dead = set(dead)
        self.old = set(old)
        self.opened: list[FakeNode] = []
        self.tls: dict[str, TlsFiles | None] = {}

    def connect(self, address: str, *, tls: TlsFiles | None) -> FakeNode:
        self.tls[address] = tls
        if address in self.dead:
            raise NodeUnreachableError(f"Nobody answers at {address} within 5 s.")
        node = FakeNode(address, self.refuse if address in self.old else lambda: None)
        self.opened.append(node)
        return node

    @staticmethod
    def refuse() -> None:
        raise ProtocolMismatchError("The node speaks protocol 7, this coordinator 1.")


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def cluster_at(*ports: int, **more: object) -> ClusterConfig:
    nodes = [{"name": f"pi-{port}", "address": f"127.0.0.1:{port}"} for port in ports]
    return parse_cluster({"name": "kitchen", "nodes": nodes, **more})


def test_a_fleet_has_its_nodes_in_order_and_closes_them(tmp_path: Path) -> None:
    network = FakeNetwork()
    with connect_fleet(cluster_at(3, 1, 2), run_dir=tmp_path, connect=network.connect) as fleet:
        assert [node.name for node in fleet.nodes] == ["pi-3", "pi-1", "pi-2"]
        assert [node.address for node in fleet.nodes] == ["127.0.0.1:3", "127.0.0.1:1", "127.0.0.1:2"]
        assert all(node.description.name == node.address for node in fleet.nodes)
        assert fleet.node_of["pi-1"].config.address == "127.0.0.1:1"
        assert not any(node.is_closed for node in network.opened)
    assert len(network.opened) == 3
    assert all(node.is_closed for node in network.opened)


def test_all_nodes_that_do_not_answer_are_named_at_once(tmp_path: Path) -> None:
    network = FakeNetwork(dead=["127.0.0.1:1", "127.0.0.1:3"], old=["127.0.0.1:4"])
    fleet = connect_fleet(cluster_at(1, 2, 3, 4), run_dir=tmp_path, connect=network.connect)
    with pytest.raises(NodeDownError) as caught, fleet:
        pytest.fail("must not connect")
    assert caught.value.nodes == ("pi-1", "pi-3", "pi-4")
    first, *lines = str(caught.value).splitlines()
    assert first == "3 of 4 nodes cannot be used:"
    assert lines[0].startswith("  'pi-1' at 127.0.0.1:1: Nobody answers at 127.0.0.1:1 within 5 s. Try: check that")
    assert "`python -m node_agent --listen 127.0.0.1:3`" in lines[1]
    assert "protocol 7" in lines[2]
    assert "the same version of splitfront" in lines[2]
    assert all(node.is_closed for node in network.opened)


def test_nodes_are_connected_at_the_same_time(tmp_path: Path) -> None:
    together = threading.Barrier(3)

    def connect(address: str, *, tls: TlsFiles | None) -> FakeNode:
        return FakeNode(address, lambda: together.wait(20))

    with connect_fleet(cluster_at(1, 2, 3), run_dir=tmp_path, connect=connect) as fleet:
        assert len(fleet.nodes) == 3


def test_an_error_of_our_own_closes_what_is_open(tmp_path: Path) -> None:
    network = FakeNetwork()

    def connect(address: str, *, tls: TlsFiles | None) -> FakeNode:
        if address.endswith(":2"):
            raise ZeroDivisionError
        return network.connect(address, tls=tls)

    with pytest.raises(ZeroDivisionError), connect_fleet(cluster_at(1, 2), run_dir=tmp_path, connect=connect):
        pytest.fail("must not connect")
    assert all(node.is_closed for node in network.opened)


def test_one_connection_that_cannot_be_closed_keeps_no_other_open(tmp_path: Path) -> None:
    network = FakeNetwork()
    fleet = connect_fleet(cluster_at(1, 2, 3), run_dir=tmp_path, connect=network.connect)
    with pytest.raises(ZeroDivisionError), fleet:
        network.opened[1].close = lambda: 1 // 0
    assert sorted(node.is_closed for node in network.opened) == [False, True, True]


def test_local_nodes_run_while_the_fleet_does_and_are_told_from_others(tmp_path: Path) -> None:
    network = FakeNetwork()
    nodes = [
        {"name": "slow", "local": True, "memory": "512MiB", "emulate": {"slowdown": 8}},
        {"name": "box", "address": "127.0.0.1:1"},
        {"name": "fast", "local": True},
    ]
    config = parse_cluster({"name": "mixed", "nodes": nodes})
    with connect_fleet(config, run_dir=tmp_path, connect=network.connect, local_command=COMMAND) as fleet:
        pids = [int(fleet.node_of[name].address.rpartition(":")[2]) for name in ("slow", "fast")]
        assert all(is_running(pid) for pid in pids)
        assert [node.name for node in fleet.nodes] == ["slow", "box", "fast"]
        assert (tmp_path / "nodes" / "slow" / "agent.log").exists()
        assert fleet.node_of["slow"].device == Device(
            name="slow", memory_bytes=2**29, emulation="8 times slower than this machine, by waiting"
        )
        assert fleet.node_of["box"].device == Device(name="box", memory_bytes=10**9)
    assert not any(is_running(pid) for pid in pids)


def test_local_nodes_are_stopped_when_another_does_not_answer(tmp_path: Path) -> None:
    network = FakeNetwork(dead=["127.0.0.1:1"])
    nodes = [{"name": "here", "local": True}, {"name": "there", "address": "127.0.0.1:1"}]
    fleet = connect_fleet(
        parse_cluster({"name": "mixed", "nodes": nodes}),
        run_dir=tmp_path,
        connect=network.connect,
        local_command=COMMAND,
    )
    with pytest.raises(NodeDownError, match="1 of 2 nodes"), fleet:
        pytest.fail("must not connect")
    (here,) = network.opened
    assert here.is_closed
    assert not is_running(int(here.address.rpartition(":")[2]))


def test_tls_files_go_to_the_nodes_with_an_address_only(tmp_path: Path) -> None:
    for name in ("cert", "key", "ca"):
        (tmp_path / name).touch()
    nodes = [{"name": "here", "local": True}, {"name": "there", "address": "127.0.0.1:1"}]
    tls = {name: str(tmp_path / name) for name in ("cert", "key", "ca")}
    config = parse_cluster({"name": "mixed", "nodes": nodes, "security": {"tls": tls}})
    network = FakeNetwork()
    connect: Connect = network.connect
    with connect_fleet(config, run_dir=tmp_path, connect=connect, local_command=COMMAND):
        there = network.tls.pop("127.0.0.1:1")
        assert there is not None
        assert there.key == tmp_path / "key"
        assert list(network.tls.values()) == [None]
