"""Nodes that a headless service leads to: by a resolver of ours, and by the system's with real agents."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from node_processes import ROOT, running_agent
from tls_ends import Ends

from coordinator.config import parse_cluster
from coordinator.config.discovery import with_pods
from coordinator.errors import ConfigError

SERVICE = "splitfront-agents.splitfront.svc.cluster.local"


def cluster(**node):
    return {"name": "k", "nodes": [{"name": "agent", **node}], "security": {"plaintext": True}}


def nodes_of(pods, named=None):
    """The nodes of a service with these pods, in a DNS that knows some of them by name."""
    names = {f"{address.replace('.', '-').replace(':', '-')}.{SERVICE}": (address,) for address in named or pods}

    def resolve(host):
        found = pods if host == SERVICE else names.get(host, ())
        if not found:
            raise OSError(-2, "Name or service not known")
        return found

    config = parse_cluster(cluster(kubernetes={"service": "splitfront-agents"}, memory="512MiB"))
    return with_pods(config.nodes, resolve)


def test_each_pod_is_a_node_by_the_name_that_dns_gives_it():
    first, second, third = nodes_of(("10.0.0.20", "10.0.0.7", "10.0.0.7", "fd00::7"))[:3]
    assert (first.name, first.address) == ("agent-10-0-0-7", f"10-0-0-7.{SERVICE}:50051")
    assert (second.name, third.name) == ("agent-10-0-0-20", "agent-fd00--7")
    assert first.memory_bytes == third.memory_bytes == 512 << 20
    assert first.kubernetes is None


def test_other_nodes_stay_as_they_are():
    content = cluster(kubernetes={"service": "splitfront-agents"})
    content["nodes"].insert(0, {"name": "box", "address": "10.9.9.9:50051"})
    nodes = with_pods(parse_cluster(content).nodes, lambda _: ("10.0.0.7",))
    assert [node.name for node in nodes] == ["box", "agent-10-0-0-7"]


@pytest.mark.parametrize(
    ("pods", "named", "said"),
    [
        ((), (), "leads to no pod .Name or service not known.: run this where the cluster's DNS answers"),
        (("10.0.0.7",), ("10.0.0.8",), "does not know the pod 10.0.0.7 as 10-0-0-7"),
    ],
)
def test_a_service_that_leads_nowhere_is_named(pods, named, said):
    with pytest.raises(ValueError, match=said):
        nodes_of(pods, named)


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"kubernetes": {"service": "a"}, "address": "10.0.0.1:1"}, "finds the nodes itself"),
        ({"kubernetes": {"service": "a"}, "local": True}, "finds the nodes itself"),
        ({"kubernetes": {"service": "A b"}}, "service"),
        ({"kubernetes": {"service": "a"}, "name": "a" * 24}, "wanted 23 characters at most"),
    ],
)
def test_what_makes_no_sense_is_refused(node, said):
    with pytest.raises(ConfigError, match=said):
        parse_cluster(cluster(**node))


def test_what_is_elsewhere_wants_tls():
    content = cluster(kubernetes={"service": "a"})
    del content["security"]
    with pytest.raises(ConfigError, match="'agent' at a service of Kubernetes is not on loopback"):
        parse_cluster(content)


IN_NAMESPACE = """
set -e
mount --bind "$1" /etc/hosts
shift
exec "$@"
"""


@pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("unshare") is None, reason="a list of hosts of its own needs root and unshare"
)
def test_pods_are_spoken_to_under_tls_by_the_names_that_the_system_finds(tmp_path):
    """Two real agents with the one certificate of the service, found through the system's resolver."""
    ends = Ends(tmp_path)
    files, mine = ends.node("agents", addresses=(SERVICE, f"*.{SERVICE}")), ends.coordinator()
    pki = str(files.certificate.parent)
    with (
        running_agent(tmp_path / "a", "--listen", "127.0.0.2:0", "--name", "pi-1", "--pki", pki) as first,
        running_agent(
            tmp_path / "b", "--listen", first.address.replace("127.0.0.2", "127.0.0.3"), "--name", "pi-2", "--pki", pki
        ),
    ):
        hosts = tmp_path / "hosts"
        hosts.write_text(
            f"127.0.0.2 {SERVICE}\n127.0.0.3 {SERVICE}\n127.0.0.2 127-0-0-2.{SERVICE}\n127.0.0.3 127-0-0-3.{SERVICE}\n"
        )
        port = int(first.address.rpartition(":")[2])
        tls = {"cert": mine.certificate, "key": mine.key, "ca": mine.authority, "revoked": mine.revoked}
        content = {
            "name": "k",
            "nodes": [{"name": "agent", "kubernetes": {"service": "splitfront-agents", "port": port}}],
            "security": {"tls": {key: str(path) for key, path in tls.items()}},
        }
        (tmp_path / "cluster.yaml").write_text(json.dumps(content))
        namespace = ("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", IN_NAMESPACE, "sh", str(hosts))
        doctor = (sys.executable, "-m", "coordinator", "nodes", "doctor", "--all", "--json")
        done = subprocess.run(
            [*namespace, *doctor, "--cluster", str(tmp_path / "cluster.yaml")],
            cwd=ROOT,
            # Its own resolver takes two lines of a list of hosts that have a name in common for one host.
            env={**os.environ, "GRPC_DNS_RESOLVER": "native"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert [finding["node"] for finding in findings] == ["agent-127-0-0-2", "agent-127-0-0-3"]
    assert [finding["message"] for finding in findings] == [
        f"answers under mutual TLS as '{name}'" for name in ("pi-1", "pi-2")
    ]
