"""The authority of a cluster: what it issues, what it refuses, and what it leaves on disk."""

import os
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings

from deploy.errors import PkiError
from deploy.pki import Authority, Certificate, Identity, Role, create_authority, make_request
from deploy.pki.authority import State, state_of
from deploy.pki.identity import CLOCK_SLACK, check_addresses
from deploy.pki.x509_door import new_key, read_revocations

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CANARY = "canary-passphrase-3141"
SHA256 = hashes.SHA256()


@pytest.fixture
def authority(tmp_path):
    return create_authority(tmp_path / "pki", "lab", now=NOW)


def issue(authority, name="pi-1", addresses=("192.168.1.11",), now=NOW, **more):
    planned = authority.plan_issue(
        name, request_pem=make_request(new_key(), name), addresses=addresses, now=now, **more
    )
    return authority.issue(planned)


def modes(folder):
    return {path.relative_to(folder).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def test_keys_are_for_their_owner_only(authority):
    issue(authority)
    found = modes(authority.folder)
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700
    assert {name for name, mode in found.items() if mode == 0o600} == {"ca.key", "coordinator.key"}
    assert {name: mode for name, mode in found.items() if name in ("nodes", "issued")} == {
        "nodes": 0o700,
        "issued": 0o700,
    }
    assert not [name for name in found if name.startswith(".")]


def test_a_loose_umask_opens_nothing(tmp_path):
    before = os.umask(0)
    try:
        made = create_authority(tmp_path / "pki", "lab")
    finally:
        os.umask(before)
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert modes(made.folder)["ca.key"] == 0o600


def test_an_authority_is_made_whole_or_not_at_all(tmp_path, monkeypatch):
    calls = []

    def full_disk(descriptor):
        calls.append(descriptor)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(PkiError, match="cannot be written: No space left on device"):
        create_authority(tmp_path / "pki", "lab")
    assert list(tmp_path.iterdir()) == []


def test_there_is_no_second_authority_in_a_folder(authority):
    before = (authority.folder / "ca.key").read_bytes()
    with pytest.raises(PkiError, match="is there already"):
        create_authority(authority.folder, "lab")
    assert (authority.folder / "ca.key").read_bytes() == before


def test_what_a_nodes_certificate_says(authority):
    issued = issue(authority, addresses=("192.168.1.11", "Pi-1.local", "[fd00::1]"))
    assert issued.identity == Identity(cluster="lab", role=Role.NODE, name="pi-1")
    assert issued.addresses == ("192.168.1.11", "pi-1.local", "fd00::1")
    assert (issued.not_before, issued.not_after) == (NOW - CLOCK_SLACK, NOW + 30 * DAY)
    found = x509.load_pem_x509_certificate(issued.pem)
    assert found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    purposes = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {purpose._name for purpose in purposes} == {"serverAuth", "clientAuth"}


def test_a_coordinator_may_not_listen(authority):
    found = x509.load_pem_x509_certificate((authority.folder / "coordinator.pem").read_bytes())
    purposes = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {purpose._name for purpose in purposes} == {"clientAuth"}
    with pytest.raises(PkiError, match="listens nowhere"):
        authority.plan_issue("laptop", Role.COORDINATOR, request_pem=None, addresses=("10.0.0.1",))


def test_openssl_believes_the_certificates(authority, tmp_path):
    issue(authority)
    ca, node = authority.folder / "ca.pem", authority.folder / "nodes" / "pi-1.pem"
    at = str(int((NOW + DAY).timestamp()))
    for purpose in ("sslserver", "sslclient"):
        subprocess.run(
            ["openssl", "verify", "-x509_strict", "-attime", at, "-purpose", purpose, "-CAfile", ca, node],
            check=True,
            capture_output=True,
        )
    verify = ["openssl", "verify", "-attime", at, "-crl_check", "-CRLfile", authority.folder / "revoked.pem"]
    assert subprocess.run([*verify, "-CAfile", ca, node], check=False, capture_output=True).returncode == 0
    authority.revoke(authority.plan_revocation(["pi-1"], now=NOW), now=NOW)
    refused = subprocess.run([*verify, "-CAfile", ca, node], check=False, capture_output=True, text=True)
    assert "certificate revoked" in refused.stderr


def request_of(key, name="pi-1", algorithm=SHA256):
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName("server.local")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def test_names_that_a_request_asks_for_are_not_taken(authority):
    planned = authority.plan_issue("pi-1", request_pem=request_of(new_key()), addresses=("10.0.0.1",), now=NOW)
    assert authority.issue(planned).addresses == ("10.0.0.1",)


def damaged(pem):
    request = x509.load_pem_x509_csr(pem)
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (make_request(new_key(), "pi-2"), "is of 'pi-2', not of 'pi-1'"),
        (request_of(ed25519.Ed25519PrivateKey.generate(), algorithm=None), "not on P-256"),
        (request_of(ec.generate_private_key(ec.SECP384R1())), "not on P-256"),
        (damaged(request_of(new_key())), "signature does not hold"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "no signing request"),
        (b"", "no signing request"),
        (None, "makes its key itself"),
    ],
)
def test_requests_that_are_refused(authority, pem, said):
    with pytest.raises(PkiError, match=said):
        authority.plan_issue("pi-1", request_pem=pem, addresses=("10.0.0.1",))


@pytest.mark.parametrize(
    "address",
    [
        "*.local",
        "*.svc",
        "*.svc.cluster.local",
        "*.lab.svc.cluster.local",
        "*.*.lab.svc.cluster.local",
        "a.*.lab.svc.cluster.local",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "10.0.0.0/8",
        "pi-1:50051",
        "https://pi-1",
        "10.0.0.300",
        "-pi",
        "a..b",
        "",
        "pi 1",
    ],
)
def test_addresses_that_are_no_machines(address):
    """Nor a service of Kubernetes, whose pods are the one thing that a wildcard may stand for."""
    with pytest.raises(PkiError, match="address"):
        check_addresses([address])


@pytest.mark.parametrize("name", ["", "../ca", "a/b", "pi 1", ".hidden", "a" * 64, "pi\n1", "ä"])
def test_names_that_cannot_be(authority, name):
    with pytest.raises(PkiError, match="cannot be the name"):
        authority.plan_issue(name, request_pem=None, addresses=("10.0.0.1",))
    with pytest.raises(PkiError, match="cannot be the name"):
        create_authority(authority.folder.parent / "other", name)


@pytest.mark.parametrize("days", [0.01, 400])
def test_lives_that_are_none(authority, days):
    with pytest.raises(PkiError, match="may live for an hour to 398 days"):
        issue(authority, life=timedelta(days=days))


def test_a_certificate_ends_with_its_authority(tmp_path):
    short = create_authority(tmp_path / "pki", "lab", life=10 * DAY, now=NOW)
    assert issue(short).not_after == NOW + 10 * DAY
    with pytest.raises(PkiError, match="ended on 2030-05-11"):
        issue(short, now=NOW + 11 * DAY)


@settings(deadline=None)
@given(days=st.floats(min_value=0.05, max_value=398))
def test_renewal_is_due_at_two_thirds_of_a_life(days):
    life = timedelta(days=days)
    one = Certificate(
        identity=Identity(cluster="lab", role=Role.NODE, name="a"),
        serial=1,
        addresses=(),
        not_before=NOW - CLOCK_SLACK,
        not_after=NOW + life,
        pem=b"",
    )
    second = timedelta(seconds=1)
    states = [state_of(one, {}, moment) for moment in (NOW - CLOCK_SLACK - second, NOW, NOW + life / 3 * 2 - second)]
    assert states == [State.FUTURE, State.VALID, State.VALID]
    assert state_of(one, {}, NOW + life / 3 * 2 + second) is State.DUE
    assert state_of(one, {}, NOW + life) is State.EXPIRED
    assert state_of(one, {1: NOW}, NOW) is State.REVOKED


def test_the_pods_of_one_service_are_taken():
    for address in ("*.agents.lab.svc.cluster.local", "*.agents.lab.svc"):
        assert check_addresses([address]) == (address,)


def test_renewal_keeps_key_addresses_and_life(authority):
    first = issue(authority, life=9 * DAY)
    assert authority.plan_renewal(now=NOW + 5 * DAY) == ()
    (planned,) = authority.plan_renewal(now=NOW + 7 * DAY)
    second = authority.issue(planned)
    assert (second.addresses, second.life) == (first.addresses, first.life)
    keys = [x509.load_pem_x509_certificate(one.pem).public_key() for one in (first, second)]
    assert keys[0] == keys[1]
    assert (authority.folder / "nodes" / "pi-1.pem").read_bytes() == second.pem
    assert {one.serial for one in authority.certificates()} >= {first.serial, second.serial}
    assert authority.plan_renewal(now=NOW + 7 * DAY) == ()


def test_all_that_still_could_be_used_is_revoked(authority):
    old, new, other = issue(authority, life=DAY), issue(authority, now=NOW + 2 * DAY), issue(authority, "pi-2")
    later = issue(authority, now=NOW + 2 * DAY + timedelta(seconds=1))
    now = NOW + 3 * DAY
    chosen = authority.plan_revocation(["pi-1"], now=now)
    assert {one.serial for one in chosen} == {new.serial, later.serial}
    authority.revoke(chosen, now=now)
    assert authority.revoked() == dict.fromkeys((new.serial, later.serial), now)
    assert not {old.serial, other.serial} & {*authority.revoked()}
    assert authority.plan_revocation(["pi-1"], now=now) == ()
    with pytest.raises(PkiError, match="was revoked: have it make a new key"):
        authority.plan_renewal(["pi-1"], now=now)


def test_a_list_grows_by_number_and_forgets_what_has_ended(authority):
    short = issue(authority, life=DAY)
    authority.revoke([short], now=NOW)
    authority.revoke([issue(authority, "pi-2")], now=NOW + 2 * DAY)
    serials, number = read_revocations(
        (authority.folder / "revoked.pem").read_bytes(), authority.pem, where="revoked.pem"
    )
    assert short.serial not in serials
    assert number == 3


def test_who_was_revoked_stays_revoked_when_the_list_has_forgotten_it(authority):
    short = issue(authority, life=DAY)
    authority.revoke([short], now=NOW)
    authority.revoke([issue(authority, "pi-2")], now=NOW + 2 * DAY)
    later = NOW + 3 * DAY
    assert state_of(short, authority.revoked(), later) is State.REVOKED
    assert "pi-1" not in {planned.identity.name for planned in authority.plan_renewal(now=later + 40 * DAY)}
    with pytest.raises(PkiError, match="was revoked: have it make a new key"):
        authority.plan_renewal(["pi-1"], now=later)


def test_a_revocation_that_was_cut_off_before_the_list_was_written_is_finished_by_another(authority):
    first, before = issue(authority), (authority.folder / "revoked.pem").read_bytes()
    authority.revoke([first], now=NOW)
    (authority.folder / "revoked.pem").write_bytes(before)
    assert authority.plan_revocation(["pi-1"], now=NOW) == (first,)


@pytest.mark.parametrize("days", [0, 60])
def test_a_key_that_was_revoked_gets_no_certificate_and_a_new_one_does(authority, days):
    key, now = new_key(), NOW + days * DAY
    authority.issue(authority.plan_issue("pi-1", request_pem=request_of(key), addresses=("10.0.0.1",), now=NOW))
    authority.revoke(authority.plan_revocation(["pi-1"], now=NOW), now=NOW)
    for name in ("pi-1", "pi-2"):
        with pytest.raises(PkiError, match=r"node 'pi-1' .* revoked on 2030-05-01: have it make a new key"):
            authority.plan_issue(name, request_pem=request_of(key, name), addresses=("10.0.0.1",), now=now)
    assert state_of(issue(authority, now=now), authority.revoked(), now) is State.VALID


def test_revoking_from_several_sides_loses_none(authority):
    issued = [issue(authority, f"pi-{number}") for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: Authority(authority.folder).revoke([one], now=NOW), issued))
    assert {*authority.revoked()} == {one.serial for one in issued}


def test_a_list_of_another_authority_is_not_ours(authority, tmp_path):
    other = create_authority(tmp_path / "other", "lab")
    (authority.folder / "revoked.pem").write_bytes((other.folder / "revoked.pem").read_bytes())
    with pytest.raises(PkiError, match="was not signed by this authority"):
        authority.revoked()


def test_a_key_with_a_passphrase(tmp_path):
    sealed = create_authority(tmp_path / "pki", "lab", passphrase=CANARY)
    assert sealed.is_sealed
    assert b"OPENSSH" in (sealed.folder / "ca.key").read_bytes()
    planned = sealed.plan_issue("pi-1", request_pem=make_request(new_key(), "pi-1"), addresses=("10.0.0.1",))
    for wrong in (None, "canary-passphrase-2718"):
        with pytest.raises(PkiError, match="the passphrase does not open it") as refused:
            sealed.issue(planned, wrong)
        assert "canary" not in str(refused.value)
        assert refused.value.__cause__ is None
    assert sealed.issue(planned, CANARY).identity.name == "pi-1"
    files = b"".join(path.read_bytes() for path in sealed.folder.rglob("*") if path.is_file())
    assert CANARY.encode() not in files


def test_a_short_passphrase_is_none(tmp_path):
    with pytest.raises(PkiError, match="too short: want 12") as refused:
        create_authority(tmp_path / "pki", "lab", passphrase="canary")
    assert "canary" not in str(refused.value)
    assert not (tmp_path / "pki").exists()


def test_a_key_that_others_may_read_is_not_used(authority):
    (authority.folder / "ca.key").chmod(0o640)
    with pytest.raises(PkiError, match="can be read by others"):
        issue(authority)


def test_a_key_that_is_none_is_not_repeated(authority):
    (authority.folder / "ca.key").write_text(CANARY)
    with pytest.raises(PkiError, match="no private key in PEM") as refused:
        issue(authority)
    assert CANARY not in str(refused.value)


def test_this_machines_coordinator_gets_a_new_key_on_request(authority):
    before = (authority.folder / "coordinator.key").read_bytes()
    authority.issue(authority.plan_issue("coordinator", Role.COORDINATOR, request_pem=None, now=NOW))
    assert (authority.folder / "coordinator.key").read_bytes() != before
    assert modes(authority.folder)["coordinator.key"] == 0o600


def test_there_must_be_an_authority(tmp_path):
    with pytest.raises(PkiError, match="`splitfront pki init` makes an authority"):
        Authority(tmp_path)
