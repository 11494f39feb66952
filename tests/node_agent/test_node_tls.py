import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from node_processes import running_agent

from node_agent.client import NodeClient
from node_agent.config import TlsFiles
from node_agent.dataplane.plane import GRPC, open_sender
from node_agent.errors import NodeUnreachableError
from node_agent.messages import ProbeRequest

NOW = datetime.datetime.now(datetime.UTC)


def name_of(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate_of(key, name, issuer, issuer_key, *, is_authority):
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(hours=1))
        .not_valid_after(NOW + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256())


def make_authority(folder, name):
    """A function that makes the files of one end, signed by the authority `name`."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = certificate_of(authority_key, name_of(name), name_of(name), authority_key, is_authority=True)
    authority_path = folder / f"{name}.pem"
    authority_path.write_bytes(authority.public_bytes(serialization.Encoding.PEM))

    def issue(end):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = certificate_of(key, name_of(end), name_of(name), authority_key, is_authority=False)
        files = TlsFiles(certificate=folder / f"{end}.pem", key=folder / f"{end}.key", authority=authority_path)
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    return issue


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
