"""Certificates for nodes, by the authority that the cluster file names."""

import threading
from collections.abc import Mapping

from coordinator.config import ClusterConfig
from deploy.identity import Sign
from deploy.inventory import Host
from deploy.pki import Authority
from deploy.pki.folder import AUTHORITY, REVOKED
from deploy.ssh import Ask

_signing = threading.Lock()
"""Nodes are installed in parallel, and the authority is asked for its passphrase once."""


def signer(config: ClusterConfig, ask: Ask) -> Sign | None:
    """What signs requests of nodes; None where the cluster file names no authority."""
    folder = config.security.pki
    if folder is None:
        return None

    def sign(host: Host, request: bytes) -> Mapping[str, bytes]:
        with _signing:
            authority = Authority(folder)
            planned = authority.plan_issue(host.name, request_pem=request, addresses=(host.address,))
            passphrase = ask(f"Passphrase of the authority in {folder}") if authority.is_sealed else None
            certificate = authority.issue(planned, passphrase)
        public = {name: (folder / name).read_bytes() for name in (REVOKED, AUTHORITY)}
        return {"node.pem": certificate.pem, **public}

    return sign
