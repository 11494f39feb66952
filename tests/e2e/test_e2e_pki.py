"""From nothing to a node that is spoken to under mutual TLS, as a user does it."""

import json
import subprocess
import sys

import pytest
from e2e_commands import splitfront
from node_processes import ROOT, running_agent
from test_e2e_bad_input import expect_one_line

from coordinator.config import load_cluster
from coordinator.fleet import connect_fleet

CANARY = "canary-passphrase-3141"
CLUSTER = """\
name: lab
nodes:
  - {{name: pi-1, address: "{address}"}}
security: {{pki: pki}}
"""


def pki(*words, folder, status=0):
    done = splitfront("pki", *words, "--pki", folder)
    assert done.returncode == status, done.stderr
    assert CANARY not in done.stdout + done.stderr
    return done


def made(*words, folder):
    return json.loads(pki(*words, "--json", folder=folder).stdout)


def request_on_node(folder):
    command = [sys.executable, "-m", "node_agent.tls.request", "--pki", str(folder), "--name", "pi-1"]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout


def hand_over(authority, node):
    for source, target in (("nodes/pi-1.pem", "node.pem"), ("ca.pem", "ca.pem"), ("revoked.pem", "revoked.pem")):
        (node / target).write_bytes((authority / source).read_bytes())


def test_from_nothing_to_a_trusted_node_and_back(tmp_path):
    authority, node = tmp_path / "pki", tmp_path / "node"
    assert "Would make the authority of cluster 'lab'" in pki("init", "lab", "--dry-run", folder=authority).stdout
    assert not authority.exists()
    pki("init", "lab", folder=authority)
    request = tmp_path / "pi-1.csr"
    request.write_bytes(request_on_node(node))
    words = ("issue", "pi-1", "--request", request, "--address", "127.0.0.1")
    assert "Would issue to the node 'pi-1'" in pki(*words, "--dry-run", folder=authority).stdout
    assert not (authority / "nodes").exists()
    (issued,) = made(*words, folder=authority)["certificates"]
    assert (issued["state"], issued["addresses"]) == ("valid", ["127.0.0.1"])
    hand_over(authority, node)
    cluster = tmp_path / "cluster.yaml"
    with running_agent(tmp_path / "agent", "--pki", str(node)) as agent:
        cluster.write_text(CLUSTER.format(address=agent.address))
        with connect_fleet(load_cluster(cluster), run_dir=tmp_path / "run") as fleet:
            assert fleet.node_of["pi-1"].client.status().n_stages == 0
        assert made("renew", folder=authority)["planned"] == []
        assert len(made("renew", "pi-1", folder=authority)["certificates"]) == 1
        assert "No node knows of it yet" in pki("revoke", "pi-1", "--dry-run", folder=authority).stdout
        assert len(made("revoke", "pi-1", folder=authority)["certificates"]) == 2
        shown = made("show", "--all", folder=authority)
        assert [one["state"] for one in shown["certificates"]] == ["valid", "revoked", "revoked"]


def test_a_run_under_tls_writes_no_key_anywhere(tmp_path, toy_model):
    authority, node, run = tmp_path / "pki", tmp_path / "node", tmp_path / "run"
    pki("init", "lab", folder=authority)
    (tmp_path / "pi-1.csr").write_bytes(request_on_node(node))
    pki("issue", "pi-1", "--request", tmp_path / "pi-1.csr", "--address", "127.0.0.1", folder=authority)
    hand_over(authority, node)
    with running_agent(tmp_path / "agent", "--pki", str(node), "--log-level", "debug") as agent:
        (tmp_path / "cluster.yaml").write_text(CLUSTER.format(address=agent.address))
        words = ("--profile-seconds", 1, "--correct-seconds", 1, "--bench-seconds", 0.5)
        done = splitfront("run", toy_model, "--cluster", tmp_path / "cluster.yaml", "--out", run, *words)
        assert done.returncode == 0, done.stderr
        logged = agent.log.read_text()
    keys = [authority / "ca.key", authority / "coordinator.key", node / "node.key"]
    secrets = [line for key in keys for line in key.read_text().splitlines()[1:-1] if len(line) > 30]
    written = {str(path): path.read_bytes().decode(errors="replace") for path in run.rglob("*") if path.is_file()}
    assert str(run / "report.html") in written
    told = written | {"output": done.stdout + done.stderr, "the agent's log": logged}
    assert [where for where, text in told.items() for secret in secrets if secret in text] == []


def test_a_passphrase_opens_the_key_and_is_told_nowhere(tmp_path, monkeypatch):
    word, wrong = tmp_path / "word", tmp_path / "wrong"
    word.write_text(f"{CANARY}\n")
    wrong.write_text("canary-of-another-kind\n")
    folder = tmp_path / "pki"
    assert made("init", "lab", "--encrypt", "--passphrase-file", word, folder=folder)["is_encrypted"]
    done = splitfront("pki", "revoke", "coordinator", "--pki", folder, "--passphrase-file", wrong)
    message = expect_one_line(done, "ca.key", "the passphrase does not open it")
    assert "canary" not in message
    expect_one_line(splitfront("pki", "revoke", "coordinator", "--pki", folder), "--passphrase-file", status=2)
    monkeypatch.setenv("SPLITFRONT_PKI_PASSPHRASE", CANARY)
    assert made("revoke", "coordinator", folder=folder)["is_done"]
    assert CANARY.encode() not in b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show",), "`splitfront pki init` makes an authority"),
        (("init", "my lab"), "'my lab' cannot be the name of a cluster"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, words, said):
    expect_one_line(pki(*words, folder=tmp_path / "pki", status=1), said)
    assert not [*tmp_path.iterdir()]


def test_a_node_needs_a_request_and_an_address(tmp_path):
    folder = tmp_path / "pki"
    pki("init", "lab", folder=folder)
    for words, said in (
        (("issue", "pi-1", "--address", "10.0.0.1"), "python -m node_agent.tls.request"),
        (("issue", "pi-1"), "give --address"),
        (("renew", "pi-9"), "There is no certificate of 'pi-9': known are coordinator"),
        (("init", "lab"), "is there already"),
    ):
        expect_one_line(pki(*words, folder=folder, status=1), said)
