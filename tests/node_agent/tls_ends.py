"""An authority and ends of all kinds, for tests of refusals."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.pki import Authority, Role, create_authority, make_request
from deploy.pki.identity import Identity
from deploy.pki.x509_door import key_pem, new_key, read_key, read_request, sign_holder
from node_agent.config import TlsFiles

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Named:
    """What `sign_holder` asks of an identity, with whatever URI."""

    cluster: str
    role: Role
    name: str
    uri: str


class Ends:
    """Makes files of ends, each in a folder of its own with the names that an agent's --pki wants."""

    def __init__(self, folder: Path, cluster: str = "lab") -> None:
        self._folder = folder
        self.authority = create_authority(folder / f"pki-{len([*folder.glob('pki-*')])}", cluster)

    def node(self, name="pi-1", addresses=("127.0.0.1",), **more) -> TlsFiles:
        return self._issued(name, Role.NODE, addresses=addresses, **more)

    def coordinator(self, name="laptop", **more) -> TlsFiles:
        return self._issued(name, Role.COORDINATOR, **more)

    def _issued(self, name, role, **more):
        key = new_key()
        planned = self.authority.plan_issue(name, role, request_pem=make_request(key, name), **more)
        return self._written(self.authority.issue(planned).pem, key)

    def past(self, make, **more) -> TlsFiles:
        """A certificate that ended eight days ago."""
        return make(now=NOW - 10 * DAY, life=2 * DAY, **more)

    def future(self, make, **more) -> TlsFiles:
        return make(now=NOW + 10 * DAY, life=2 * DAY, **more)

    def foreign(self, *, cluster="lab", uri=None, role=Role.COORDINATOR) -> TlsFiles:
        """One that the authority signed, but never would."""
        key = new_key()
        authority_key = read_key((self.authority.folder / "ca.key").read_bytes(), None, where="ca.key")
        identity = Identity(cluster=cluster, role=role, name="stranger")
        named = Named(cluster, role, "stranger", uri or identity.uri)
        times = {"not_before": NOW - DAY, "not_after": NOW + DAY}
        request = read_request(make_request(key, "stranger"))
        return self._written(sign_holder(self.authority.pem, authority_key, request, named, (), **times), key)

    def _written(self, pem, key) -> TlsFiles:
        folder = self._folder / f"end-{len([*self._folder.glob('end-*')])}"
        folder.mkdir()
        files = TlsFiles.of_node(folder)
        files.certificate.write_bytes(pem)
        files.key.write_bytes(key_pem(key))
        files.authority.write_bytes(self.authority.pem)
        self.hand_list(files)
        return files

    def hand_list(self, files: TlsFiles) -> None:
        """Replaces the list of an end by the newest one, as `scp` and `mv` would."""
        put(files.revoked, (self.authority.folder / "revoked.pem").read_bytes())

    def revoke(self, *names: str) -> None:
        self.authority.revoke(self.authority.plan_revocation(names))


def put(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".fresh")
    fresh.write_bytes(content)
    fresh.replace(path)


def mixed(files: TlsFiles, **other: Path) -> TlsFiles:
    return replace(files, **other)


__all__ = ["Authority", "Ends", "mixed", "put"]
