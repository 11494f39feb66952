"""Reading certificates without a library, and what they entitle to."""

import ipaddress
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from hypothesis import given, settings

from deploy.pki import x509_door
from node_agent.errors import PeerRefusedError
from node_agent.tls.certificate import Certificate, Revocations, pem_content, read_certificate, read_revocations
from node_agent.tls.identity import CONTROL, DATA, Role, check_peer, identity_of

KEY = x509_door.new_key()
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
NOT_BEFORE = datetime(2030, 1, 1, tzinfo=UTC)
DER = serialization.Encoding.DER

moments = st.integers(-590_000_000, 4_730_000_000).map(
    lambda second: datetime.fromtimestamp(second, UTC)
)  # 1951 to 2119
serials = st.integers(1, 2**159 - 1)
labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._~/:", min_size=1, max_size=80)


def certificate(serial=1, not_before=NOT_BEFORE, not_after=NOT_BEFORE + timedelta(days=1), names=()):
    builder = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(KEY.public_key())
        .serial_number(serial)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(DER)


@settings(deadline=None)
@given(serial=serials, ends=st.tuples(moments, moments), uris=st.lists(labels, max_size=3))
def test_what_a_library_wrote_is_read(serial, ends, uris):
    not_before, not_after = sorted(ends)
    names = [x509.UniformResourceIdentifier(f"x:{uri}") for uri in uris]
    names += [x509.DNSName("pi.local"), x509.IPAddress(ipaddress.ip_address("::1"))]
    read = read_certificate(certificate(serial, not_before, not_after, names))
    expected = tuple(f"x:{uri}" for uri in uris)
    assert read == Certificate(serial=serial, not_before=not_before, not_after=not_after, uris=expected)


def test_a_certificate_without_names_names_nobody():
    assert read_certificate(certificate()).uris == ()


@settings(deadline=None)
@given(revoked=st.sets(serials, max_size=20), number=st.integers(0, 2**63))
def test_lists_that_a_library_wrote_are_read(revoked, number):
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(NAME)
        .last_update(NOT_BEFORE)
        .next_update(NOT_BEFORE + timedelta(days=1))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOT_BEFORE)
        reason = x509.CRLReason(x509.ReasonFlags.key_compromise)
        builder = builder.add_revoked_certificate(entry.add_extension(reason, critical=False).build())
    der = builder.sign(KEY, hashes.SHA256()).public_bytes(DER)
    assert read_revocations(der) == Revocations(number=number, serials=frozenset(revoked))


WHOLE = certificate(names=[x509.UniformResourceIdentifier("splitfront://cluster/lab/role/node/a")])


@settings(deadline=None)
@given(st.data())
def test_what_is_damaged_is_read_or_refused_and_nothing_else(data):
    der = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(der[: data.draw(st.integers(0, len(der)))])
    for content in (bytes(der), cut):
        for read in (read_certificate, read_revocations):
            try:
                read(content)
            except ValueError:
                continue


def test_blocks_of_pem_are_found_by_their_kind():
    pem = x509.load_der_x509_certificate(WHOLE).public_bytes(serialization.Encoding.PEM)
    key = x509_door.key_pem(KEY)
    assert pem_content(b"a word before\n" + key + pem, "CERTIFICATE") == WHOLE
    with pytest.raises(ValueError, match="no x509 crl in PEM"):
        pem_content(pem, "X509 CRL")


@pytest.mark.parametrize(
    "uris",
    [
        (),
        ("https://example.org",),
        ("splitfront://cluster/lab/role/node/",),
        ("splitfront://cluster/lab/role/node/a/b",),
        ("splitfront://cluster/lab/role/admin/a",),
        ("splitfront://cluster/lab/role/NODE/a",),
        ("splitfront://cluster//role/node/a",),
        ("splitfront://cluster/lab/role/node/a\n",),
        ("xsplitfront://cluster/lab/role/node/a",),
        ("splitfront://cluster/lab/role/node/a", "splitfront://cluster/lab/role/coordinator/a"),
    ],
)
def test_uris_that_name_nobody(uris):
    with pytest.raises(ValueError, match=r"it names|it has the role"):
        identity_of(uris)
    with pytest.raises(PeerRefusedError, match="Push is refused to this certificate"):
        check(uris=uris)


def check(role="node", cluster="lab", serial=7, uris=None, allowed=DATA):
    uris = (f"splitfront://cluster/{cluster}/role/{role}/pi-1",) if uris is None else uris
    one = Certificate(serial=serial, not_before=NOT_BEFORE, not_after=NOT_BEFORE, uris=uris)
    revoked = Revocations(serials=frozenset({666}))
    return check_peer(one, cluster="lab", allowed=allowed, wanted="Push", revoked=revoked)


@pytest.mark.parametrize(("role", "allowed"), [("node", DATA), ("coordinator", DATA), ("coordinator", CONTROL)])
def test_who_may_does(role, allowed):
    assert check(role, allowed=allowed).role is Role(role)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"role": "node", "allowed": CONTROL}, "node 'pi-1' of cluster 'lab': it is for a coordinator"),
        ({"cluster": "other"}, "of cluster 'other': this is cluster 'lab'"),
        ({"serial": 666}, "its certificate 29A was revoked"),
        ({"serial": 666, "role": "coordinator", "allowed": CONTROL}, "was revoked"),
        ({"role": "coordinator", "allowed": frozenset({Role.NODE})}, "it is for a node"),
    ],
)
def test_who_may_not_is_told_why(given_, said):
    with pytest.raises(PeerRefusedError, match=said) as refused:
        check(**given_)
    assert "\n" not in str(refused.value)
