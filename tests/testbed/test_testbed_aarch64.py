"""A host for aarch64 is installed over SSH like any other, and computes what x86-64 computes."""

import json
import os
import stat
from pathlib import Path

import pytest

from coordinator.__main__ import run
from coordinator.config import load_cluster
from coordinator.deployment import deploy_plan
from coordinator.fleet import connect_fleet
from coordinator.planning import probe_links
from coordinator.profile_cache import default_cache_file
from coordinator.profiling import profile_fleet
from deploy.ssh import HostKeyRules, connect
from deploy.testbed.aarch64 import running_aarch64, why_no_aarch64
from deploy.testbed.aarch64_root import root_archive
from partitioner.cost import CostModel
from partitioner.equality import relative_error
from partitioner.onnx_io import load_model
from partitioner.plan import Stage

WHY_NOT = why_no_aarch64()
pytestmark = [pytest.mark.testbed, pytest.mark.timeout(900), pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]

MOST_WHEEL_BYTES = 60_000_000
MOST_ERROR = 1e-5
HEALTH_SECONDS = "240"
NOT_KEPT = {"proc", "dev", "run", "tmp"}
COPIES = {"etc/.pwd.lock", *(f"etc/{name}-" for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid"))}


@pytest.fixture(scope="module")
def archive():
    return root_archive(default_cache_file().parent / "testbed")


@pytest.fixture
def host(archive, tmp_path):
    with running_aarch64(archive, tmp_path / "host") as host:
        yield host


@pytest.fixture
def cluster(host, tmp_path):
    """The cluster file of one node on the host, with mutual TLS."""
    pki = tmp_path / "pki"
    assert run(["pki", "init", "lab", "--pki", str(pki)]) == 0
    path = tmp_path / "cluster.yaml"
    path.write_text(
        f"name: lab\nnodes:\n  - name: pi\n    address: {host.address}:50051\n"
        f"    ssh: {{user: root, key: {host.key}, fingerprint: '{host.fingerprint}'}}\n"
        f"    limits: {{trial: 5min, run: 5min}}\n"
        f"security: {{pki: {pki}}}\n"
    )
    return path


@pytest.fixture
def nodes(cluster, capsys):
    """`splitfront nodes`, with what it says of the one node."""

    def call(*words, status=0):
        capsys.readouterr()
        got = run(["nodes", *words, "--cluster", str(cluster), "--json"])
        said = "".join(capsys.readouterr())
        assert got == status, said
        (node,) = json.JSONDecoder().raw_decode(said[said.index("{") :])[0]["nodes"]
        return node

    return call


def files_of(host):
    """All that lies on the host, but for what the system itself makes anew: caches of its Python, useradd's copies."""
    found = {}
    for folder, folders, names in os.walk(host.files):
        place = Path(folder).relative_to(host.files)
        folders[:] = [name for name in folders if name != "__pycache__" and str(place / name) not in NOT_KEPT]
        for path in (Path(folder, name) for name in (*folders, *names)):
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path.relative_to(host.files))] = (status.st_mode, status.st_uid, status.st_gid, content)
    return {name: kept for name, kept in found.items() if name not in COPIES}


def largest_error(cluster, source, folder):
    """Of what the node computes, beside the same model in this process on x86-64."""
    model = load_model(source)
    with connect_fleet(load_cluster(cluster), run_dir=folder) as fleet:
        (node,) = fleet.nodes
        assert node.description.machine == "aarch64"
        lacking = "system calls stay, since the kernel has no filters of system calls"  # the emulator refuses them
        assert node.description.trials == f"limited, but {lacking}"
        n_units = model.graph.n_units
        profile = profile_fleet(fleet, model, {node.name: [(0, n_units)]}, n_rounds=1, budget_seconds=1)
        cost_model = CostModel(model.graph, probe_links(fleet, lambda *_: None), profile)
        candidate = cost_model.candidate((Stage(device=node.name, start=0, stop=n_units),))
        inputs = model.sample_inputs(3)
        with deploy_plan(fleet, model, candidate) as deployment:
            got = deployment.pipeline.infer(inputs, timeout_seconds=300).outputs
    expected = model.run_whole(inputs)
    assert got.keys() == expected.keys()
    return max(relative_error(got[name], expected[name]) for name in expected)


def test_a_bare_host_is_installed_computes_as_x86_64_does_and_is_left_as_it_was(
    host, cluster, nodes, toy_model, tmp_path
) -> None:
    bare_files, bare_commands = files_of(host), host.commands
    assert nodes("install", "--health-seconds", HEALTH_SECONDS)["outcome"] == "changed"
    assert nodes("install", "--health-seconds", HEALTH_SECONDS)["outcome"] == "unchanged"
    assert nodes("status")["state"] == "healthy"
    wheels = [*(default_cache_file().parent / "wheels").glob("aarch64-*/*.whl")]
    assert any(wheel.name.startswith("onnxruntime-") and "aarch64" in wheel.name for wheel in wheels)
    assert sum(wheel.stat().st_size for wheel in wheels) <= MOST_WHEEL_BYTES
    assert largest_error(cluster, str(toy_model), tmp_path / "run") <= MOST_ERROR
    assert nodes("uninstall")["outcome"] == "changed"
    files = files_of(host)
    assert {name for name in {*files, *bare_files} if files.get(name) != bare_files.get(name)} == set()
    assert {command for command in host.commands if "sshd" not in command} <= {*bare_commands}


@pytest.mark.slow
def test_mobilenet_v2_computes_there_what_it_computes_on_x86_64(cluster, nodes, tmp_path) -> None:
    nodes("install", "--health-seconds", HEALTH_SECONDS)
    assert largest_error(cluster, "mobilenet_v2", tmp_path / "run") <= MOST_ERROR


def traces(folder):
    """Of hosts: interfaces, emulators of the system, mounts below a folder."""
    interfaces = {path.name for path in Path("/sys/class/net").glob("sf-arm*")}
    emulators = {path.name for path in Path("/proc/sys/fs/binfmt_misc").iterdir()}
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(folder) in line]
    return interfaces, emulators, mounts


def test_nothing_of_a_host_is_left_at_its_end(archive, tmp_path) -> None:
    before = traces(tmp_path)
    with running_aarch64(archive, tmp_path / "host") as host:
        runner = connect(host.endpoint, HostKeyRules(known_hosts=tmp_path / "known_hosts"), lambda _: None)
        assert runner.run("uname -m").stdout == "aarch64\n"
        runner.close()
        assert traces(tmp_path)[0] > before[0]
        assert traces(tmp_path)[1:] == before[1:], "mounts and emulators are the host's own"
    assert traces(tmp_path) == before
    assert not host.files.exists()
    assert not [*(tmp_path / "host" / "root").iterdir()]
