"""`splitfront nodes doctor` names the cause of every refusal that to a gRPC client looks like a dead node."""

import json
import socket
import subprocess
import sys

import pytest
from node_processes import ROOT, running_agent
from tls_ends import Ends, mixed, put

from coordinator.__main__ import run

OLD_AGENT = """
import sys
from node_agent import __main__, api, service
service.negotiate.__defaults__ = ((0, api.PROTOCOL_MIN - 1),)
sys.exit(__main__.main())
"""


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    return Ends(tmp_path_factory.mktemp("ends"))


@pytest.fixture(scope="module")
def node_files(ends):
    return ends.node()


@pytest.fixture(scope="module")
def agent(node_files, tmp_path_factory):
    with running_agent(tmp_path_factory.mktemp("agent"), "--pki", str(node_files.certificate.parent)) as started:
        yield started


@pytest.fixture
def doctor(tmp_path, capsys):
    """What it finds when it speaks to the agent at an address, with these files of the coordinator."""

    def examine(address, files=None, status=1):
        cluster = {"name": "lab", "nodes": [{"name": "pi-1", "address": address}]}
        if files:
            keys = {"cert": files.certificate, "key": files.key, "ca": files.authority, "revoked": files.revoked}
            cluster["security"] = {"tls": {key: str(path) for key, path in keys.items() if path}}
        (tmp_path / "cluster.yaml").write_text(json.dumps(cluster))
        got = run(["nodes", "doctor", "--all", "--json", "--cluster", str(tmp_path / "cluster.yaml")])
        said = capsys.readouterr()
        assert got == status, said
        (finding,) = json.JSONDecoder().raw_decode(said.out)[0]["findings"]
        assert (finding["node"], finding["about"]) == ("pi-1", "agent")
        assert "\n" not in finding["message"]
        assert finding["level"] == "good" or finding["remedy"]
        return finding

    return examine


def test_an_agent_that_answers_is_in_order(doctor, agent, ends):
    finding = doctor(agent.address, ends.coordinator(), status=0)
    assert finding["level"] == "good"
    assert finding["message"].startswith("answers under mutual TLS as ")


def another_authority(ends, folder):
    return Ends(folder).coordinator()


def known_but_of_another_authority(ends, folder):
    return mixed(Ends(folder).coordinator(), authority=ends.coordinator().authority, revoked=None)


def revoked_one(ends, folder):
    files = ends.coordinator("lost")
    ends.revoke("lost")
    ends.hand_list(files)
    return files


@pytest.mark.parametrize(
    ("files_of", "cause"),
    [
        (another_authority, "is not of the authority"),
        (known_but_of_another_authority, "is not of the authority"),
        (lambda ends, _: ends.past(ends.coordinator), "expired on"),
        (lambda ends, _: ends.future(ends.coordinator), "is not yet valid, but from"),
        (lambda ends, _: ends.node("pi-2"), "Describe is refused to the node 'pi-2' of cluster 'lab'"),
        (lambda ends, _: ends.foreign(cluster="other"), "this is cluster 'lab'"),
        (lambda ends, _: ends.foreign(uri="https://example.org"), "it names nobody with a role in a cluster"),
        (lambda ends, _: ends.foreign(uri="splitfront://cluster/lab/role/admin/a"), "it has the role 'admin'"),
        (lambda ends, _: mixed(ends.coordinator(), key=ends.coordinator().key), "does not belong to the certificate"),
        (lambda *_: None, "speaks TLS, and was spoken to in clear"),
        (revoked_one, "was revoked"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_at_this_end_is_named(doctor, agent, ends, node_files, tmp_path, *, files_of, cause):
    files = files_of(ends, tmp_path)
    ends.hand_list(node_files)
    finding = doctor(agent.address, files)
    assert finding["level"] == "problem"
    assert cause in finding["message"]


def test_what_is_wrong_at_the_other_end_is_named(doctor, ends, tmp_path):
    """An agent whose certificate is replaced while it runs, by ones that it would not start with."""
    files, coordinator = ends.node(addresses=("127.0.0.2",)), ends.coordinator()
    with running_agent(tmp_path / "agent", "--pki", str(files.certificate.parent)) as agent:
        causes = ["does not name 127.0.0.1: issue it anew with --address 127.0.0.1"]
        found = [doctor(agent.address, coordinator)["message"]]
        for other, cause in ((ends.past(ends.node), "expired on"), (ends.future(ends.node), "is not yet valid")):
            put(files.key, other.key.read_bytes())
            put(files.certificate, other.certificate.read_bytes())
            causes.append(cause)
            found.append(doctor(agent.address, coordinator)["message"])
    assert all(cause in message for cause, message in zip(causes, found, strict=True)), found


def test_an_agent_that_speaks_in_clear_is_named(doctor, ends, tmp_path):
    with running_agent(tmp_path / "agent") as agent:
        assert "speaks in clear, and was spoken to under TLS" in doctor(agent.address, ends.coordinator())["message"]
        assert doctor(agent.address, status=0)["message"].startswith("answers in clear")


def test_an_agent_that_is_older_is_named(doctor, tmp_path):
    """A process whose newest protocol is one before ours."""
    words = ("--listen", "127.0.0.1:0", "--store", str(tmp_path / "store"), "--exit-with-stdin")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", OLD_AGENT, *words], cwd=ROOT, text=True, **pipes) as process:
        address = json.loads(process.stdout.readline())["address"]
        finding = doctor(address)
        process.stdin.close()
    assert "the node is older, upgrade splitfront there" in finding["message"]
    assert "install the same version" in finding["remedy"]


def test_where_nobody_listens_it_is_no_matter_of_tls(doctor, ends):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        for files in (ends.coordinator(), None):
            finding = doctor(address, files)
            assert finding["level"] == "problem"
            assert "start an agent there" in finding["message"]
