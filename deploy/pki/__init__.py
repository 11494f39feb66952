"""The authority of a cluster: whom it vouches for, for how long, and whom no more.

Keys are on the curve P-256, which gRPC's BoringSSL, Python's ssl and OpenSSL take alike. The last two would take
Ed25519, too, but BoringSSL refuses it in certificates (NO_COMMON_SIGNATURE_ALGORITHMS with grpcio 1.85).
"""

from deploy.pki.authority import Authority
from deploy.pki.creation import create_authority
from deploy.pki.identity import Certificate, Identity, Role
from deploy.pki.x509_door import make_request

__all__ = ["Authority", "Certificate", "Identity", "Role", "create_authority", "make_request"]
