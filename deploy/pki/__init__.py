"""The authority of a cluster: whom it vouches for, for how long, and whom no more.

Keys are on the curve P-256. gRPC's BoringSSL refuses Ed25519 certificates (NO_COMMON_SIGNATURE_ALGORITHMS), which Python's
ssl and OpenSSL would take; all three take P-256, and a Pi without AES instructions signs it in a millisecond.
"""

from deploy.pki.authority import Authority, create_authority
from deploy.pki.identity import Certificate, Identity, Role
from deploy.pki.x509_door import make_request

__all__ = ["Authority", "Certificate", "Identity", "Role", "create_authority", "make_request"]
