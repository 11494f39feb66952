"""What the authority writes into certificates is what nodes read there: they share no code."""

import ssl
from datetime import timedelta

import pytest

from deploy.pki import Role, create_authority, make_request
from deploy.pki.x509_door import new_key
from node_agent.tls import identity as read
from node_agent.tls.certificate import pem_content, read_certificate, read_revocations


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return create_authority(tmp_path_factory.mktemp("identity") / "pki", "lab-1")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("name", ["a", "pi-1.local_x", "0" * 63])
def test_a_holder_is_the_same_at_both_ends(authority, role, name):
    addresses = ("127.0.0.1", "pi.local") if role is Role.NODE else ()
    request = make_request(new_key(), name)
    planned = authority.plan_issue(name, role, request_pem=request, addresses=addresses, life=timedelta(hours=2))
    issued = authority.issue(planned)
    seen = read_certificate(ssl.PEM_cert_to_DER_cert(issued.pem.decode()))
    who = read.identity_of(seen.uris)
    assert (seen.serial, seen.not_before, seen.not_after) == (issued.serial, issued.not_before, issued.not_after)
    assert (who.cluster, str(who.role), who.name) == ("lab-1", str(role), name)
    assert str(who) == str(issued.identity)


def test_both_ends_know_the_same_roles():
    assert {*map(str, Role)} == {*map(str, read.Role)}


def test_the_list_is_the_same_at_both_ends(authority):
    chosen = authority.plan_revocation(["coordinator"])
    authority.revoke(chosen)
    seen = read_revocations(pem_content((authority.folder / "revoked.pem").read_bytes(), "X509 CRL"))
    assert seen.serials == {one.serial for one in chosen}
    assert seen.number == 2
