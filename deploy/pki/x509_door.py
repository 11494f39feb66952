"""The door to `cryptography`: keys, requests, certificates and lists of revoked ones, as PEM and as values of ours."""

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.errors import PkiError
from deploy.pki.identity import Certificate, Identity, Request, Role

Key = ec.EllipticCurvePrivateKey

_PASSPHRASE_ROUNDS = 32
"""Of bcrypt, about half a second. `cryptography` writes PKCS 8 with 2048 rounds of PBKDF2, and PKCS 12 with as many in
its checksum, which a guesser does in a fraction of a millisecond."""
_PURPOSES = {
    Role.COORDINATOR: [ExtendedKeyUsageOID.CLIENT_AUTH],
    Role.NODE: [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
}
_NO_USE = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


def new_key() -> Key:
    """A key on P-256, of the system's randomness."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: Key, passphrase: str | None = None) -> bytes:
    """A key as PEM: PKCS 8 in clear, or the form of OpenSSH with a passphrase (`ssh-keygen -p` changes it)."""
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    sealing = PrivateFormat.OpenSSH.encryption_builder().kdf_rounds(_PASSPHRASE_ROUNDS).build(passphrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, sealing)


def is_sealed(pem: bytes) -> bool:
    """Whether a key of `key_pem` wants a passphrase."""
    return b"OPENSSH" in pem.partition(b"\n")[0]


def read_key(pem: bytes, passphrase: str | None, *, where: str) -> Key:
    """The key of `key_pem`.

    Raises:
        PkiError: It is none, or the passphrase does not open it. Names `where` it is and nothing of what it holds.
    """
    try:
        if is_sealed(pem):
            key: object = load_ssh_private_key(pem, (passphrase or "").encode())
        else:
            key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        reason = "the passphrase does not open it" if is_sealed(pem) else "it is no private key in PEM"
        raise PkiError(f"The key {where} cannot be used: {reason}.") from None
    if not isinstance(key, Key):
        raise PkiError(f"The key {where} cannot be used: it is not on the curve P-256.")
    return key


def make_request(key: Key, name: str) -> bytes:
    """A signing request for the holder of `key`; what it may be called is up to the authority."""
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(_common_name(name))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def read_request(pem: bytes) -> Request:
    """The request in `pem`.

    Raises:
        PkiError: It is none, its key is no P-256, or it was not signed with that key.
    """
    request = _load_request(pem)
    key = request.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != ec.SECP256R1.name:
        raise PkiError("The signing request has a key that is not on P-256: have it made by splitfront.")
    if not request.is_signature_valid:
        raise PkiError("The signing request is damaged: its signature does not hold.")
    return Request(name=_attribute(request.subject, NameOID.COMMON_NAME), pem=request.public_bytes(Encoding.PEM))


def _load_request(pem: bytes) -> x509.CertificateSigningRequest:
    try:
        return x509.load_pem_x509_csr(pem)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise PkiError(
            "This is no signing request in PEM: want what `python -m node_agent.tls.request` prints."
        ) from exc


def is_of_key(certificate: Certificate, request: Request) -> bool:
    """Whether a certificate is for the key that signed a request."""
    return x509.load_pem_x509_certificate(certificate.pem).public_key() == _load_request(request.pem).public_key()


def sign_authority(key: Key, cluster: str, *, not_before: datetime, not_after: datetime) -> bytes:
    """The certificate of a new authority, which signs it itself. It may sign holders, but no further authorities."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, cluster),
            x509.NameAttribute(NameOID.COMMON_NAME, f"splitfront authority of {cluster}"),
        ]
    )
    builder = _begin(key.public_key(), name, name, not_before, not_after)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**_NO_USE | {"key_cert_sign": True, "crl_sign": True}), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def sign_holder(
    authority_pem: bytes,
    authority_key: Key,
    request: Request,
    identity: Identity,
    addresses: Sequence[str],
    *,
    not_before: datetime,
    not_after: datetime,
) -> bytes:
    """A certificate for the key of `request`. Nothing else is taken from the request."""
    authority = x509.load_pem_x509_certificate(authority_pem)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.cluster),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, identity.role),
            x509.NameAttribute(NameOID.COMMON_NAME, identity.name),
        ]
    )
    public_key = _load_request(request.pem).public_key()
    names = [x509.UniformResourceIdentifier(identity.uri), *map(_general_name, addresses)]
    builder = (
        _begin(public_key, subject, authority.subject, not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**_NO_USE | {"digital_signature": True}), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_PURPOSES[identity.role]), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    return builder.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _begin(
    public_key: CertificatePublicKeyTypes,
    subject: x509.Name,
    issuer: x509.Name,
    not_before: datetime,
    not_after: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )


def read_certificate(pem: bytes, *, where: str) -> Certificate:
    """The certificate of a holder that this authority, or one like it, has issued.

    Raises:
        PkiError: It is none; names `where` it is.
    """
    try:
        found = x509.load_pem_x509_certificate(pem)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        identity = Identity(
            cluster=_attribute(found.subject, NameOID.ORGANIZATION_NAME),
            role=Role(_attribute(found.subject, NameOID.ORGANIZATIONAL_UNIT_NAME)),
            name=_attribute(found.subject, NameOID.COMMON_NAME),
        )
    except (ValueError, x509.ExtensionNotFound, UnsupportedAlgorithm) as exc:
        raise PkiError(f"The file {where} is no certificate that splitfront issued.") from exc
    addresses = tuple(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress))
    return Certificate(
        identity=identity,
        serial=found.serial_number,
        addresses=addresses,
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        pem=pem,
    )


def read_authority(pem: bytes, *, where: str) -> tuple[str, datetime]:
    """Name of the cluster and end of an authority's certificate.

    Raises:
        PkiError: It is none; names `where` it is.
    """
    try:
        found = x509.load_pem_x509_certificate(pem)
    except ValueError as exc:
        raise PkiError(f"The file {where} is no certificate of an authority.") from exc
    return _attribute(found.subject, NameOID.ORGANIZATION_NAME), found.not_valid_after_utc


def sign_revocations(
    authority_pem: bytes, authority_key: Key, revoked: Mapping[int, datetime], *, number: int, since: datetime
) -> bytes:
    """The list of revoked serial numbers.

    It ends with the authority and not earlier: were it to go stale, a cluster that nobody looks after would stop. Who
    keeps the list from a node gains no more than the life of a certificate.
    """
    authority = x509.load_pem_x509_certificate(authority_pem)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(since)
        .next_update(authority.not_valid_after_utc)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
    )
    for serial, at in revoked.items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM)


def read_revocations(pem: bytes, authority_pem: bytes, *, where: str) -> tuple[dict[int, datetime], int]:
    """When which serial number was revoked, and the number of the list.

    Raises:
        PkiError: It is no list that this authority signed; names `where` it is.
    """
    try:
        found = x509.load_pem_x509_crl(pem)
        is_ours = found.is_signature_valid(x509.load_pem_x509_certificate(authority_pem).public_key())  # type: ignore[arg-type]
        number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (ValueError, TypeError, x509.ExtensionNotFound) as exc:
        raise PkiError(f"The file {where} is no list of revoked certificates.") from exc
    if not is_ours:
        raise PkiError(f"The list of revoked certificates {where} was not signed by this authority.")
    return {entry.serial_number: entry.revocation_date_utc for entry in found}, number


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else ""
