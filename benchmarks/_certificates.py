"""Certificates for benchmarks and tests of mutual TLS on loopback: an authority, and ends that it signs."""

import datetime
import ipaddress
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from node_agent.config import TlsFiles

_HALF_LIFE = datetime.timedelta(hours=1)


def make_authority(folder: Path, name: str) -> Callable[[str], TlsFiles]:
    """Writes the certificate of a new authority; gives a function that makes the files of one end, by its name."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate(authority_key, name, name, authority_key, is_authority=True)
    authority_path = folder / f"{name}.pem"
    authority_path.write_bytes(authority.public_bytes(serialization.Encoding.PEM))

    def issue(end: str) -> TlsFiles:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(key, end, name, authority_key, is_authority=False)
        files = TlsFiles(certificate=folder / f"{end}.pem", key=folder / f"{end}.key", authority=authority_path)
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return files

    return issue


def _certificate(
    key: ec.EllipticCurvePrivateKey,
    name: str,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _HALF_LIFE)
        .not_valid_after(now + _HALF_LIFE)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(loopback, critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256())


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
