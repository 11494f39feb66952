"""Every refusal that concerns certificates, by real agents over both data planes, each with its one line."""

import logging
import socket
import ssl
import struct
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from node_processes import running_agent
from tls_ends import Ends, mixed, put

from coordinator.config import parse_cluster
from coordinator.errors import NodeDownError
from coordinator.fleet import connect_fleet, connect_node
from node_agent.client import NodeClient
from node_agent.dataplane.plane import open_sender
from node_agent.dataplane.planes import GRPC, PLANES, TCP
from node_agent.dataplane.tcp.records import RECORD, Wanted, preamble, read_error
from node_agent.errors import AgentConfigError, NodeUnreachableError, PeerRefusedError, TlsRefusedError
from node_agent.messages import ProbeRequest
from node_agent.tls.contexts import refusal
from node_agent.tls.diagnosis import diagnose_tls
from node_agent.tls.identity import DATA
from node_agent.wire import agent_pb2


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    return Ends(tmp_path_factory.mktemp("ends"))


@pytest.fixture(scope="module")
def coordinator(ends):
    return ends.coordinator()


@pytest.fixture(scope="module")
def other_node(ends):
    return ends.node("pi-2")


def agent_with(files, folder):
    return running_agent(folder, "--pki", str(files.certificate.parent), "--name", "pi-1")


@pytest.fixture(scope="module")
def agent(ends, tmp_path_factory):
    with agent_with(ends.node(), tmp_path_factory.mktemp("agent")) as started:
        yield started


@pytest.fixture(scope="module")
def plain_agent(tmp_path_factory):
    with running_agent(tmp_path_factory.mktemp("plain")) as started:
        yield started


def connect_fault(address, tls, kind=NodeUnreachableError):
    with pytest.raises(kind) as refused:
        connect_node(address, tls=tls).close()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def data_fault(agent, plane, tls, kind=NodeUnreachableError):
    with pytest.raises(kind) as refused:
        open_sender(plane, agent.at(plane), tls=tls, timeout_seconds=5).close()
    assert "\n" not in str(refused.value)
    return str(refused.value)


def send_probes(agent, plane, tls):
    open_sender(plane, agent.at(plane), tls=tls, timeout_seconds=5).close()


@pytest.mark.parametrize("plane", PLANES)
def test_those_who_may_do(agent, coordinator, other_node, plane):
    with connect_node(agent.address, tls=coordinator) as node:
        request = ProbeRequest(
            target_address=agent.at(plane), plane=plane, link=None, link_back=None, sizes_bytes=(1000,), n_rounds=2
        )
        assert len(node.probe_link(request)) == 2, "the node dials itself with its own certificate"
    for tls in (coordinator, other_node):
        send_probes(agent, plane, tls)
        assert diagnose_tls(agent.at(plane), tls, allowed=DATA) == ""


def test_a_node_is_no_coordinator(agent, other_node):
    """Every method of control, by whatever kind of call it is."""
    said = connect_fault(agent.address, other_node, PeerRefusedError)
    assert said.startswith("Describe is refused to the node 'pi-2' of cluster 'lab': it is for a coordinator.")
    assert "is the node 'pi-2'" in diagnose_tls(agent.address, other_node)
    calls = {
        "Status": NodeClient.status,
        "MissingBlobs": lambda node: node.missing_blobs(()),
        "PutBlob": lambda node: node._stub.PutBlob(iter(())),
        "UnloadStage": lambda node: node.unload_stage("d"),
        "ListStages": NodeClient.list_stages,
    }
    channel = grpc.secure_channel(agent.address, credentials(other_node))
    with NodeClient(agent.address, channel, 5) as node:
        for name, call in calls.items():
            with pytest.raises((PeerRefusedError, grpc.RpcError), match=f"{name} is refused to the node 'pi-2'"):
                call(node)
        profile = node._stub.Profile(agent_pb2.ProfileRequest())
        with pytest.raises(grpc.RpcError, match="Profile is refused"):
            next(profile)
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert health.status == health_pb2.HealthCheckResponse.SERVING


def credentials(tls):
    return grpc.ssl_channel_credentials(tls.authority.read_bytes(), tls.key.read_bytes(), tls.certificate.read_bytes())


@pytest.mark.parametrize("plane", PLANES)
def test_the_same_authority_is_not_enough(agent, ends, plane):
    """Another cluster of the same authority, a certificate without a role, and one with a role that nobody knows."""
    for files, said in (
        (ends.foreign(cluster="other"), "this is cluster 'lab'"),
        (ends.foreign(uri="https://example.org"), "it names nobody with a role in a cluster"),
        (ends.foreign(uri="splitfront://cluster/lab/role/admin/a"), "it has the role 'admin'"),
    ):
        with pytest.raises(PeerRefusedError, match=said):
            NodeClient.connect(agent.address, tls=files, timeout_seconds=5)
        fault = data_fault(agent, GRPC, files, PeerRefusedError) if plane == GRPC else raw_tcp_fault(agent, files)
        assert fault.startswith("Push is refused")
        assert said in fault


def raw_tcp_fault(agent, files):
    """What a node answers to a client that is not ours, and believes every node."""
    host, port = agent.at(TCP).split(":")
    with (
        socket.create_connection((host, int(port)), 5) as connected,
        context_of(files).wrap_socket(connected, server_hostname=host) as secured,
    ):
        secured.sendall(preamble(Wanted.PUSH))
        received = secured.makefile("rb")
        _, n_bytes = RECORD.unpack(received.read(RECORD.size))
        error = read_error(received.read(n_bytes))
    assert isinstance(error, PeerRefusedError)
    return str(error)


def context_of(files, *, shows_certificate=True):
    context = ssl.create_default_context(cafile=files.authority)
    context.set_alpn_protocols(["h2"])
    if shows_certificate:
        context.load_cert_chain(files.certificate, files.key)
    return context


@pytest.mark.parametrize("plane", PLANES)
def test_a_certificate_of_another_authority(agent, tmp_path, coordinator, plane):
    stranger = Ends(tmp_path).coordinator()
    assert "is not of the authority" in diagnose_tls(agent.at(plane), stranger)
    assert "certificate" in data_fault(agent, plane, stranger)
    assert "give both ends the ca.pem of one cluster" in connect_fault(agent.address, stranger)
    half = mixed(stranger, authority=coordinator.authority, revoked=None)
    assert "is not of the authority" in connect_fault(agent.address, half)


@pytest.mark.parametrize("plane", PLANES)
def test_a_certificate_that_has_ended_or_not_begun(agent, ends, plane):
    for files, said in (
        (ends.past(ends.coordinator), "expired on"),
        (ends.future(ends.coordinator), "is not yet valid, but from"),
    ):
        assert said in connect_fault(agent.address, files)
        assert said in diagnose_tls(agent.at(plane), files)
        assert "certificate" in data_fault(agent, plane, files)


@pytest.mark.parametrize("plane", PLANES)
def test_a_key_of_another_certificate(agent, ends, coordinator, plane):
    files = mixed(coordinator, key=ends.coordinator().key)
    said = "does not belong to the certificate"
    assert said in diagnose_tls(agent.at(plane), files)
    with pytest.raises((NodeUnreachableError, AgentConfigError), match=said):
        open_sender(plane, agent.at(plane), tls=files, timeout_seconds=5)


@pytest.mark.parametrize("plane", PLANES)
def test_speaking_in_clear_to_tls(agent, plane):
    assert "speaks TLS, and was spoken to in clear" in connect_fault(agent.address, None)
    assert "speaks TLS, and was spoken to in clear" in data_fault(agent, plane, None)


@pytest.mark.parametrize("plane", PLANES)
def test_speaking_tls_to_clear(plain_agent, coordinator, plane):
    assert "speaks in clear, and was spoken to under TLS" in connect_fault(plain_agent.address, coordinator)
    assert "speaks in clear" in data_fault(plain_agent, plane, coordinator)
    assert "speaks in clear" in diagnose_tls(plain_agent.at(plane), coordinator)


def test_a_cluster_that_cannot_be_used_says_why(agent, ends, other_node, tmp_path):
    """What a user reads, who has put a node's files where a coordinator's belong."""
    tls = {"cert": other_node.certificate, "key": other_node.key, "ca": other_node.authority}
    config = parse_cluster(
        {
            "name": "lab",
            "nodes": [{"name": "pi-1", "address": agent.address}],
            "security": {"tls": {key: str(path) for key, path in tls.items()}},
        }
    )
    with pytest.raises(NodeDownError) as refused, connect_fleet(config, run_dir=tmp_path):
        pass
    assert len(str(refused.value).splitlines()) == 2
    assert "Describe is refused to the node 'pi-2' of cluster 'lab'" in str(refused.value)
    assert "Try: see `splitfront pki show`" in str(refused.value)


def test_nobody_there_is_no_matter_of_tls(coordinator):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        for tls in (coordinator, None):
            assert diagnose_tls(address, tls) == ""
            assert "start an agent there" in connect_fault(address, tls)


@pytest.mark.parametrize("plane", PLANES)
def test_without_a_certificate(agent, coordinator, plane):
    context = context_of(coordinator, shows_certificate=False)
    host, port = agent.at(plane).split(":")
    with (
        socket.create_connection((host, int(port)), 5) as connected,
        context.wrap_socket(connected, server_hostname=host) as secured,
    ):
        try:
            assert secured.recv(1) == b"", "gRPC says nothing"
        except ssl.SSLError as exc:
            assert exc.reason == "TLSV13_ALERT_CERTIFICATE_REQUIRED"  # noqa: PT017 - one of the two
            assert refusal(exc) == "it wants a certificate of this end"  # noqa: PT017
    if plane == TCP:
        ends_at = time.monotonic() + 10
        while "it shows no certificate" not in agent.log.read_text() and time.monotonic() < ends_at:
            time.sleep(0.01)
        assert "it shows no certificate" in agent.log.read_text()


@pytest.mark.parametrize("plane", PLANES)
def test_nothing_older_than_tls_1_3(agent, coordinator, plane):
    context = context_of(coordinator)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    host, port = agent.at(plane).split(":")
    with socket.create_connection((host, int(port)), 5) as connected, pytest.raises(OSError, match=r"SSL|reset"):
        context.wrap_socket(connected, server_hostname=host)


def test_a_node_that_shows_the_wrong_thing(ends, tmp_path, coordinator):
    """Its certificate is replaced while it runs, by ones that it would not start with."""

    def expect(said, data_said):
        assert said in connect_fault(agent.address, coordinator)
        for plane in PLANES:
            assert said in diagnose_tls(agent.at(plane), coordinator)
            assert data_said in data_fault(agent, plane, coordinator)

    def show(other):
        put(files.key, other.key.read_bytes())
        put(files.certificate, other.certificate.read_bytes())

    files = ends.node(addresses=("127.0.0.2",))
    with agent_with(files, tmp_path) as agent:
        expect("does not name 127.0.0.1: issue it anew with --address 127.0.0.1", "certificate")
        show(ends.past(ends.node))
        expect("node 'pi-1' of cluster 'lab', expired on", "expired")
        show(ends.future(ends.node))
        expect("is not yet valid, but from", "not yet valid")


def test_what_listens_with_a_coordinators_certificate_is_not_believed(coordinator, other_node):
    """A stolen coordinator's key cannot play a node."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(coordinator.certificate, coordinator.key)
    with listening(context) as address:
        assert "is not one to listen with: start the agent with that of a node" in diagnose_tls(
            address, other_node, allowed=DATA
        )


@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
def test_what_hangs_up_during_the_handshake_is_told_alike_whether_it_closes_or_resets(coordinator, resets):
    """Which of the two this end sees depends on whether its first bytes had come when the other hung up."""

    def hang_up():
        while True:
            try:
                connected, _ = server.accept()
            except OSError:
                return
            with connected:
                connected.recv(1 << 16)
                if resets:
                    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        try:
            said = f"{address} refuses TLS: it closed the connection during the handshake."
            assert diagnose_tls(address, coordinator) == said
            assert said in connect_fault(address, coordinator, TlsRefusedError)
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@contextmanager
def listening(context):
    """Shakes hands with whoever comes."""

    def serve():
        while True:
            try:
                connected, _ = server.accept()
            except OSError:
                return
            with suppress(OSError), context.wrap_socket(connected, server_side=True) as secured:
                secured.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def test_revocation_counts_at_once_and_at_both_ends(tmp_path):
    ends = Ends(tmp_path)
    files, good, bad = ends.node(), ends.coordinator(), ends.coordinator("bad")
    with agent_with(files, tmp_path / "agent") as agent:
        with NodeClient.connect(agent.address, tls=bad) as still:
            ends.revoke("bad")
            ends.hand_list(files)
            with pytest.raises(PeerRefusedError, match=r"Status is refused to the coordinator 'bad'.* was revoked"):
                still.status()
        for plane in PLANES:
            assert "was revoked" in data_fault(agent, plane, bad, PeerRefusedError)
            send_probes(agent, plane, good)
        ends.revoke("pi-1")
        ends.hand_list(good)
        assert "was revoked" in connect_fault(agent.address, good, PeerRefusedError)
        for plane in PLANES:
            assert "revoked" in data_fault(agent, plane, good, (PeerRefusedError, NodeUnreachableError))


def test_a_renewal_needs_no_restart_and_ends_no_connection(tmp_path):
    ends = Ends(tmp_path)
    files, coordinator = ends.node(), ends.coordinator()
    with agent_with(files, tmp_path / "agent") as agent, connect_node(agent.address, tls=coordinator) as node:
        instance = node.status().instance
        before = {serial_at(agent.at(plane), coordinator) for plane in PLANES}
        (planned,) = ends.authority.plan_renewal(["pi-1"])
        renewed = ends.authority.issue(planned)
        put(files.certificate, renewed.pem)
        assert before != {serial_at(agent.at(plane), coordinator) for plane in PLANES} == {renewed.serial}
        assert node.status().instance == instance
        for plane in PLANES:
            send_probes(agent, plane, coordinator)


def serial_at(address, tls):
    host, port = address.split(":")
    with (
        socket.create_connection((host, int(port)), 5) as connected,
        context_of(tls).wrap_socket(connected, server_hostname=host) as secured,
    ):
        return int(secured.getpeercert()["serialNumber"], 16)


def test_no_secret_is_told(ends, tmp_path, caplog, other_node, coordinator):
    """The keys of both ends, in whatever is logged or refused."""
    caplog.set_level(logging.DEBUG)
    files = ends.node()
    secrets = [line for one in (files, other_node, coordinator) for line in one.key.read_text().splitlines()[1:-1]]
    with agent_with(files, tmp_path) as agent:
        told = [connect_fault(agent.address, other_node, PeerRefusedError)]
        put(files.key, other_node.key.read_bytes())
        told.append(diagnose_tls(agent.address, mixed(files, certificate=coordinator.certificate)))
        told += [Path(f"/proc/{agent.process.pid}/{name}").read_text() for name in ("cmdline", "environ")]
    told += [caplog.text, agent.log.read_text()]
    assert "a call was refused" in told[-1]
    assert not [secret for secret in secrets for text in told if secret in text]
