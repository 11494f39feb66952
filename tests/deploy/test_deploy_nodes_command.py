"""`splitfront nodes` from its command line, over real SSH: this user, without systemd, in a home of its own."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_release import fake_wheel
from nodes_command import NodesCommand
from private_sshd import SSHD, PrivateSshd, free_port, running_sshd

from coordinator.__main__ import run

pytestmark = pytest.mark.skipif(SSHD is None, reason="there is no sshd: make system")


@dataclass(kw_only=True)
class Fleet(NodesCommand):
    """Two nodes on one machine, told apart by their folders."""

    sshd: PrivateSshd
    folder: Path


@pytest.fixture
def fleet(tmp_path, capsys):
    with running_sshd(tmp_path / "sshd") as sshd:
        cluster = tmp_path / "cluster.yaml"
        node = (
            "  - name: {name}\n    address: 127.0.0.1:{port}\n    ssh:\n      port: {ssh}\n      key: {key}\n"
            "      fingerprint: {print}\n      scope: user\n      folder: {folder}\n"
        )
        nodes = [
            node.format(
                name=name,
                port=free_port(),
                ssh=sshd.port,
                key=sshd.client_key,
                print=sshd.fingerprint,
                folder=sshd.home / name,
            )
            for name in ("one", "two")
        ]
        cluster.write_text(f"name: pair\nnodes:\n{''.join(nodes)}")
        fleet = Fleet(sshd=sshd, folder=tmp_path, cluster=cluster, capture=capsys)
        yield fleet
        fleet.call("uninstall")


def outcomes(report) -> set[str]:
    return {node["outcome"] for node in report["nodes"]}


def test_the_life_of_a_fleet(fleet) -> None:
    first, second, broken = (
        fake_wheel(fleet.folder, "1.0"),
        fake_wheel(fleet.folder, "2.0"),
        fake_wheel(fleet.folder, "3.0", is_broken=True),
    )
    planned = fleet.call("install", "--dry-run", "--wheel", first)
    assert "Build the environment 1.0-" in planned
    assert [*fleet.sshd.home.iterdir()] == [], "a dry run changes nothing"

    assert outcomes(fleet.json("install", "--wheel", first)) == {"changed"}
    again = fleet.json("install", "--wheel", first)
    assert outcomes(again) == {"unchanged"}
    assert all("nothing to do" in node["message"] for node in again["nodes"])
    states = fleet.json("status")["nodes"]
    assert {state["state"] for state in states} == {"healthy"}
    assert "one: version 1.0 listens" in fleet.call("logs")
    assert "version 1.0 listens" in fleet.call("logs", "two", "-n", "1")

    pids = {state["pid"] for state in states}
    fleet.call("restart", "one")
    restarted = fleet.json("status")["nodes"]
    assert len(pids & {state["pid"] for state in restarted}) == 1

    said = fleet.call("upgrade", "--wheel", broken, "--health-seconds", "1", status=1)
    assert "this release is broken" in said
    assert "brought back" in said
    states = fleet.json("status")["nodes"]
    assert {state["release"][:4] for state in states} == {"1.0-"}
    assert {state["state"] for state in states} == {"healthy"}
    assert outcomes(fleet.json("upgrade", "--wheel", second)) == {"changed"}
    assert {state["release"][:4] for state in fleet.json("status")["nodes"]} == {"2.0-"}

    assert outcomes(fleet.json("uninstall")) == {"changed"}
    assert [*fleet.sshd.home.iterdir()] == [], "an uninstall leaves nothing"
    assert outcomes(fleet.json("uninstall")) == {"unchanged"}
    assert {state["state"] for state in fleet.json("status", status=1)["nodes"]} == {"absent"}


def test_what_cannot_be_done_is_one_clear_line(fleet) -> None:
    assert "nothing is installed" in fleet.call("status", status=1).lower()
    assert "use install" in fleet.call("upgrade", "--wheel", fake_wheel(fleet.folder, "1.0"), status=1)
    assert "did you mean 'two'" in fleet.call("status", "twoo", status=1)
    text = fleet.cluster.read_text()
    wrong = text.replace(fleet.sshd.fingerprint, f"SHA256:{'A' * 43}", 1)
    fleet.cluster.write_text(wrong)
    said = fleet.call("status", status=1)
    fleet.cluster.write_text(text)
    assert "the inventory says" in said


def test_a_list_of_revoked_certificates_goes_to_nodes_of_its_authority_only(fleet, monkeypatch) -> None:
    (fleet.folder / "elsewhere").mkdir()
    monkeypatch.chdir(fleet.folder / "elsewhere")
    pki, other = fleet.folder / "pki", Path("pki")
    for folder in (pki, other):
        assert run(["pki", "init", "lab", "--pki", str(folder)]) == 0
    plain = fleet.cluster.read_text()
    fleet.cluster.write_text(f"{plain}security: {{pki: {pki}}}\n")
    fleet.call("install", "one", "--wheel", fake_wheel(fleet.folder, "1.0"))
    before = (other / "revoked.pem").read_bytes()
    revoke = ["pki", "revoke", "coordinator", "--cluster", str(fleet.cluster)]

    assert run([*revoke, "--pki", str(other)]) == 1
    assert "is not the authority of" in "".join(fleet.capture.readouterr())
    assert (other / "revoked.pem").read_bytes() == before
    assert run(revoke) == 0
    assert (other / "revoked.pem").read_bytes() == before
    newest = (pki / "revoked.pem").read_bytes()
    assert (fleet.sshd.home / "one" / "tls" / "revoked.pem").read_bytes() == newest
    assert run([*revoke, "--pki", str(pki)]) == 0
    fleet.cluster.write_text(plain)
    assert run(revoke) == 1
    assert "names no authority" in "".join(fleet.capture.readouterr())


def test_the_doctor_measures_links_and_examines_both(fleet) -> None:
    findings = fleet.json("doctor", "--all")["findings"]
    about = {(finding["node"], finding["about"]) for finding in findings}
    assert {("one", "link to two"), ("two", "link to one"), ("one", "disk"), ("two", "ports")} <= about
    links = [finding for finding in findings if finding["about"].startswith("link")]
    assert all("Mbit/s" in finding["message"] for finding in links)
    assert [*fleet.sshd.home.iterdir()] == []


def test_a_silent_agent_is_a_problem_once_it_was_installed(fleet) -> None:
    fleet.call("install", "one", "--wheel", fake_wheel(fleet.folder, "1.0"))
    findings = fleet.json("doctor", "--no-links", status=1)["findings"]
    levels = {finding["node"]: finding["level"] for finding in findings if finding["about"] == "agent"}
    assert levels == {"one": "problem", "two": "warning"}


@pytest.mark.slow
def test_a_real_agent_is_installed_and_answers(fleet) -> None:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    assert outcomes(fleet.json("install", "one")) == {"changed"}
    assert outcomes(fleet.json("install", "one")) == {"unchanged"}
    address = next(line.split()[-1] for line in fleet.cluster.read_text().splitlines() if "address:" in line)
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert "agent listens" in fleet.call("logs", "one")


@pytest.mark.slow
def test_a_real_agent_is_installed_with_mutual_tls_and_a_key_of_its_own(fleet) -> None:
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    pki = fleet.folder / "pki"
    assert run(["pki", "init", "lab", "--pki", str(pki)]) == 0
    fleet.cluster.write_text(f"{fleet.cluster.read_text()}security: {{pki: {pki}}}\n")
    assert outcomes(fleet.json("install", "two")) == {"changed"}
    assert outcomes(fleet.json("install", "two")) == {"unchanged"}
    assert fleet.json("status", "two")["nodes"][0]["state"] == "healthy"
    key = fleet.sshd.home / "two" / "tls" / "node.key"
    assert key.stat().st_mode & 0o077 == 0
    assert not [*pki.rglob("two.key")], "a node's key never leaves it"
    address = [line.split()[-1] for line in fleet.cluster.read_text().splitlines() if "address:" in line][-1]
    files = ("ca.pem", "coordinator.key", "coordinator.pem")
    credentials = grpc.ssl_channel_credentials(*((pki / name).read_bytes() for name in files))
    with grpc.secure_channel(address, credentials) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
