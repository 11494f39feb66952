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
HEALTH_SECONDS = 240


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
        f"    limits: {{trial: {os.environ.get('T','10min')}, run: 10min}}\n"
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
    """Every path of the host with what an install could change there; what the system makes anew is left out."""
    found = {}
    for folder, folders, names in os.walk(host.files):
        if Path(folder) == host.files:
            folders[:] = [name for name in folders if name not in ("proc", "dev", "run", "tmp")]
        for path in (Path(folder) / name for name in (*folders, *names)):
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path.relative_to(host.files))] = (status.st_mode, status.st_uid, status.st_gid, content)
    return found


def largest_error(cluster, model, folder):
    """Of what the node computes, beside the same model in this process on x86-64."""
    with connect_fleet(load_cluster(cluster), run_dir=folder) as fleet:
        (node,) = fleet.nodes
        assert node.description.machine == "aarch64"
        n_units = model.graph.n_units
        profile = profile_fleet(fleet, model, {node.name: [(0, n_units)]}, n_rounds=1, budget_seconds=1)
        print("DESC", node.description, profile)
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
    assert nodes("install", "--health-seconds", str(HEALTH_SECONDS))["outcome"] == "changed"
    assert nodes("install", "--health-seconds", str(HEALTH_SECONDS))["outcome"] == "unchanged"
    assert nodes("status")["state"] == "healthy"
    try:
        print("ERR", largest_error(cluster, load_model(str(toy_model)), tmp_path / "run"))
    finally:
        print((host.files / "var/log/splitfront/agent.log").read_text()[-5000:])
    assert largest_error(cluster, load_model(str(toy_model)), tmp_path / "run") <= MOST_ERROR
    assert nodes("uninstall")["outcome"] == "changed"
    assert files_of(host) == bare_files
    assert host.commands == bare_commands
