import logging

import pytest
from node_planes import receiving
from node_processes import running_agent

from benchmarks._certificates import make_authority
from deploy.pki import Role
from node_agent.client import NodeClient
from node_agent.config import TlsFiles
from node_agent.dataplane.plane import open_sender
from node_agent.dataplane.planes import GRPC, PLANES, TCP
from node_agent.errors import AgentConfigError, NodeUnreachableError
from node_agent.messages import ProbeRequest
from node_agent.tls.contexts import server_context


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    (folder / "elsewhere").mkdir()
    issue = make_authority(folder, "ca")
    return {
        "node": issue("node"),
        "client": issue("client", Role.COORDINATOR),
        "stranger": make_authority(folder / "elsewhere", "ca")("stranger"),
    }


@pytest.fixture(scope="module")
def agent(ends, tmp_path_factory):
    files = ends["node"]
    words = ("--tls-cert", files.certificate, "--tls-key", files.key, "--tls-ca", files.authority)
    with running_agent(tmp_path_factory.mktemp("tls_agent"), *map(str, words)) as started:
        yield started


@pytest.mark.parametrize("plane", PLANES)
def test_control_and_data_work_under_mutual_tls(agent, ends, plane):
    with NodeClient.connect(agent.address, tls=ends["client"]) as client:
        assert client.status().n_stages == 0
        request = ProbeRequest(
            target_address=agent.at(plane), plane=plane, link=None, link_back=None, sizes_bytes=(1000,), n_rounds=2
        )
        assert len(client.probe_link(request)) == 2
    open_sender(plane, agent.at(plane), tls=ends["client"]).close()


@pytest.mark.parametrize("end", ["stranger", None])
def test_others_are_refused(agent, ends, end):
    tls = ends[end] if end else None
    with pytest.raises(NodeUnreachableError, match=agent.address):
        NodeClient.connect(agent.address, tls=tls, timeout_seconds=5)
    for plane in PLANES:
        with pytest.raises(NodeUnreachableError, match=agent.at(plane)):
            open_sender(plane, agent.at(plane), tls=tls, timeout_seconds=5)


def refusal_of(tmp_path, caplog, node_tls, client_tls):
    """What a dialing end is told, and what the node has logged."""
    caplog.set_level(logging.INFO)
    with receiving(TCP, tmp_path, node_tls=node_tls) as receiver, pytest.raises(NodeUnreachableError) as refused:
        open_sender(TCP, receiver.address, tls=client_tls, timeout_seconds=5)
    assert receiver.address in str(refused.value)
    (logged,) = [entry for entry in caplog.records if entry.message == "a stream of the data plane tcp refused"]
    assert "\n" not in str(refused.value)
    return str(refused.value), logged.reason


def test_speaking_in_clear_to_tls_is_told_to_both_ends(tmp_path, caplog, ends):
    told, logged = refusal_of(tmp_path, caplog, ends["node"], None)
    assert "speaks TLS, and was spoken to in clear: give this end its files of TLS" in told
    assert logged == told


def test_speaking_tls_to_one_in_clear_is_told_to_both_ends(tmp_path, caplog, ends):
    told, logged = refusal_of(tmp_path, caplog, None, ends["client"])
    assert "it speaks in clear there" in told
    assert "speaks in clear, and was spoken to under TLS" in logged


def test_a_certificate_of_another_authority_is_told_to_both_ends(tmp_path, caplog, ends):
    told, logged = refusal_of(tmp_path, caplog, ends["node"], ends["stranger"])
    assert "its certificate is not accepted" in told
    assert "authority" in logged


def test_a_node_wants_a_certificate_of_its_authority(tmp_path, caplog, ends):
    """One who knows the node's authority, but shows a certificate of another."""
    stranger = ends["stranger"]
    mixed = TlsFiles(certificate=stranger.certificate, key=stranger.key, authority=ends["node"].authority)
    told, logged = refusal_of(tmp_path, caplog, ends["node"], mixed)
    assert "does not know the authority of this end's certificate" in told or "does not believe" in told
    assert "certificate" in logged


def test_the_node_must_be_the_one_that_was_dialed(tmp_path, ends):
    """Its certificate names 127.0.0.1."""
    with receiving(TCP, tmp_path, node_tls=ends["node"]) as receiver:
        port = receiver.address.rpartition(":")[2]
        with pytest.raises(NodeUnreachableError, match="its certificate is not accepted"):
            open_sender(TCP, f"localhost:{port}", tls=ends["client"], timeout_seconds=5)


@pytest.mark.parametrize("which", ["certificate", "key", "authority"])
def test_files_that_are_no_pem_are_named(tmp_path, ends, which):
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    given = {name: getattr(ends["node"], name) for name in ("certificate", "key", "authority")}
    with pytest.raises(AgentConfigError, match=r"bad\.pem.* are not PEM"):
        server_context(TlsFiles(**given | {which: bad}))
    with pytest.raises(AgentConfigError, match=r"Cannot read the TLS file .*missing\.pem"):
        server_context(TlsFiles(**given | {which: tmp_path / "missing.pem"}))


def test_an_address_of_grpc_is_no_address_of_tcp(agent, ends):
    with pytest.raises(NodeUnreachableError, match=agent.address):
        open_sender(TCP, agent.address, tls=ends["client"], timeout_seconds=5)
    with pytest.raises(NodeUnreachableError, match=agent.at(TCP)):
        open_sender(GRPC, agent.at(TCP), tls=ends["client"], timeout_seconds=5)
