"""Files that a running node reads again, and what it makes of files that do not go together."""

import logging

import pytest
from tls_ends import Ends, mixed, put

from node_agent.errors import AgentConfigError
from node_agent.tls.live import LiveTls
from node_agent.tls.material import load_material

CANARY = b"canary-key-3141"


@pytest.fixture
def ends(tmp_path):
    return Ends(tmp_path)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return Ends(tmp_path_factory.mktemp("good")).node()


def fault_of(files):
    with pytest.raises(AgentConfigError) as refused:
        load_material(files)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_files_that_go_together(ends):
    material = load_material(ends.node("pi-7"))
    assert (material.identity.name, material.identity.cluster, material.warning) == ("pi-7", "lab", "")
    assert load_material(ends.coordinator()).identity.name == "laptop"


def test_each_fault_has_one_clear_line(ends, tmp_path):
    good, other = ends.node(), Ends(tmp_path).node("pi-2")
    assert "expired on" in fault_of(ends.past(ends.node))
    assert "this machine's clock" in fault_of(ends.past(ends.node))
    assert "is not yet valid, but from" in fault_of(ends.future(ends.node))
    assert "does not belong to the certificate" in fault_of(mixed(good, key=ends.node().key))
    assert "is not of the authority" in fault_of(
        mixed(good, certificate=other.certificate, key=other.key, revoked=None)
    )
    assert "list of revoked certificates" in fault_of(mixed(good, revoked=other.revoked))
    assert "names nobody with a role" in fault_of(ends.foreign(uri="https://example.org"))
    assert "Cannot read the TLS file" in fault_of(mixed(good, revoked=tmp_path / "none.pem"))
    assert "no list in PEM" in fault_of(mixed(good, revoked=good.key))
    ends.revoke("pi-1")
    ends.hand_list(good)
    assert "was revoked" in fault_of(good)


@pytest.mark.parametrize("which", ["certificate", "key", "authority", "revoked"])
@pytest.mark.parametrize("content", [CANARY, b"", b"-----BEGIN PRIVATE KEY-----\n" + CANARY])
def test_content_that_is_none_is_not_repeated(good, tmp_path, which, content):
    bad = tmp_path / "bad.pem"
    bad.write_bytes(content)
    said = fault_of(mixed(good, **{which: bad}))
    assert "bad.pem" in said
    assert "canary" not in said


def test_an_agent_needs_the_certificate_of_a_node(ends):
    with pytest.raises(
        AgentConfigError, match=r"is that of the coordinator 'laptop'.*: an agent needs one of the role node"
    ):
        LiveTls(ends.coordinator())


def test_what_has_not_changed_is_not_read_again(ends):
    live = LiveTls(ends.node())
    assert live.material is live.material


def test_a_renewed_certificate_is_taken(ends):
    files = ends.node()
    live = LiveTls(files)
    before = live.material.own.serial
    (planned,) = ends.authority.plan_renewal(["pi-1"])
    put(files.certificate, ends.authority.issue(planned).pem)
    assert live.material.own.serial != before


def test_files_replaced_one_after_another_count_when_they_go_together(ends, caplog):
    files, fresh = ends.node(), ends.node()
    live = LiveTls(files)
    before = live.material
    caplog.set_level(logging.INFO)
    put(files.key, fresh.key.read_bytes())
    assert live.material is before
    assert live.material is before
    assert [one.levelname for one in caplog.records] == ["WARNING"], "told once"
    put(files.certificate, fresh.certificate.read_bytes())
    assert live.material.own.serial != before.own.serial
    assert "BEGIN" not in caplog.text


@pytest.mark.parametrize("which", ["certificate", "key", "authority", "revoked"])
def test_a_file_that_is_gone_changes_nothing(ends, which):
    files = ends.node()
    live = LiveTls(files)
    before = live.material
    getattr(files, which).unlink()
    assert live.material is before


def test_a_list_that_names_this_very_node_counts(ends, caplog):
    files = ends.node()
    live = LiveTls(files)
    own = live.material.own.serial
    ends.revoke("pi-1")
    ends.hand_list(files)
    assert live.material.revoked.serials == {own}
    assert "was revoked" in caplog.text or "other ends will refuse this one" in caplog.text


def test_an_older_list_does_not_bring_back_who_was_revoked(ends):
    files, bad = ends.node(), ends.node("bad")
    old = files.revoked.read_bytes()
    live = LiveTls(files)
    ends.revoke("bad")
    ends.hand_list(files)
    revoked = load_material(mixed(bad, revoked=None)).own.serial
    assert live.material.revoked.serials == {revoked}
    put(files.revoked, old)
    assert live.material.revoked.serials == {revoked}
