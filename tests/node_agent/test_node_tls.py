import pytest
from node_processes import running_agent

from benchmarks._certificates import make_authority
from node_agent.client import NodeClient
from node_agent.dataplane.plane import open_sender
from node_agent.dataplane.planes import GRPC
from node_agent.errors import NodeUnreachableError
from node_agent.messages import ProbeRequest


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    issue = make_authority(folder, "ca")
    return {"node": issue("node"), "client": issue("client"), "stranger": make_authority(folder, "other")("stranger")}


@pytest.fixture(scope="module")
def agent(ends, tmp_path_factory):
    files = ends["node"]
    words = ("--tls-cert", files.certificate, "--tls-key", files.key, "--tls-ca", files.authority)
    with running_agent(tmp_path_factory.mktemp("tls_agent"), *map(str, words)) as started:
        yield started


def test_both_planes_work_under_mutual_tls(agent, ends):
    with NodeClient.connect(agent.address, tls=ends["client"]) as client:
        assert client.status().n_stages == 0
        request = ProbeRequest(target_address=agent.address, link=None, link_back=None, sizes_bytes=(1000,), n_rounds=2)
        assert len(client.probe_link(request)) == 2
    open_sender(GRPC, agent.address, tls=ends["client"]).close()


@pytest.mark.parametrize("end", ["stranger", None])
def test_others_are_refused_on_both_planes(agent, ends, end):
    tls = ends[end] if end else None
    with pytest.raises(NodeUnreachableError, match=agent.address):
        NodeClient.connect(agent.address, tls=tls, timeout_seconds=5)
    with pytest.raises(NodeUnreachableError, match=agent.address):
        open_sender(GRPC, agent.address, tls=tls, timeout_seconds=5)
