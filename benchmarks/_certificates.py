"""Certificates for benchmarks and tests of mutual TLS on loopback: an authority, and ends that it vouches for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.pki import Role, create_authority
from deploy.pki.x509_door import key_pem, make_request, new_key
from node_agent.config import TlsFiles


def make_authority(folder: Path, cluster: str) -> Callable[..., TlsFiles]:
    """Makes an authority; gives a function that makes the files of one end, by its name and role."""
    authority = create_authority(folder / f"pki-{cluster}", cluster)

    def issue(
        end: str, role: Role = Role.NODE, *, addresses: tuple[str, ...] = ("127.0.0.1",), **more: Any
    ) -> TlsFiles:
        key = new_key()
        planned = authority.plan_issue(
            end,
            role,
            request_pem=make_request(key, end),
            addresses=addresses if role is Role.NODE else (),
            **more,
        )
        files = TlsFiles(
            certificate=folder / f"{end}.pem",
            key=folder / f"{end}.key",
            authority=authority.folder / "ca.pem",
            revoked=authority.folder / "revoked.pem",
        )
        folder.mkdir(exist_ok=True)
        files.certificate.write_bytes(authority.issue(planned).pem)
        files.key.write_bytes(key_pem(key))
        return files

    return issue
