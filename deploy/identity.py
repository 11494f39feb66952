"""A node's key is made on the node and stays there; a request comes here, and a certificate goes back."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote

from deploy.errors import DeployError
from deploy.facts.installed import Installed
from deploy.inventory import Host
from deploy.layout import NODE_KEY, SYSTEM_USER, Layout
from deploy.pki import Authority, Certificate
from deploy.pki.authority import NEW_KEY
from deploy.pki.folder import AUTHORITY, REVOKED
from deploy.pki.identity import check_addresses
from deploy.planning.wanted import Wanted, sha256_of
from deploy.runner import Runner, checked
from deploy.steps import Step, write_step

CERTIFICATE = "node.pem"


class Signer:
    """The authority of a cluster, for the nodes that are installed. Any thread may use it."""

    def __init__(self, folder: Path, ask: Callable[[str], str | None]) -> None:
        """Opens the folder of the authority; `ask` gives the passphrase of its key.

        Raises:
            PkiError: There is none.
        """
        self._authority = Authority(folder)
        self._ask = ask
        self._lock = threading.Lock()

    @property
    def public_files(self) -> dict[str, bytes]:
        """The newest list of revoked certificates and the authority's own certificate, by their names on a node."""
        return {name: (self._authority.folder / name).read_bytes() for name in (REVOKED, AUTHORITY)}

    def sign(self, host: Host, request: bytes) -> dict[str, bytes]:
        """Files for a node by name, for its signing request (PEM). The certificate comes last: it needs the others.

        Raises:
            PkiError: The authority refuses.
        """
        with self._lock:
            authority = self._authority
            planned = authority.plan_issue(host.name, request_pem=request, addresses=(host.address,))
            question = f"Passphrase of the authority in {authority.folder}"
            certificate = authority.issue(planned, self._ask(question) if authority.is_sealed else None)
        return {**self.public_files, CERTIFICATE: certificate.pem}

    def has_vouched(self, host: Host, files: Mapping[str, str]) -> bool:
        """Whether the certificate of a node is of this authority, and for its name and address.

        Args:
            host: The node.
            files: SHA-256 of what it has, by name.

        Raises:
            DeployError: The certificate was revoked.
        """
        found = self._issued(files[CERTIFICATE])
        if found is None or files[AUTHORITY] != sha256_of(self._authority.pem):
            return False
        if found.serial in self._authority.revoked():
            raise DeployError(f"{host.name!r} was revoked: {NEW_KEY}.")
        return found.identity.name == host.name and {*check_addresses((host.address,))} <= {*found.addresses}

    def _issued(self, digest: str) -> Certificate | None:
        return next((one for one in self._authority.certificates() if sha256_of(one.pem) == digest), None)


def identity_steps(
    host: Host, layout: Layout, wanted: Wanted, installed: Installed, signer: Signer | None
) -> tuple[Step, ...]:
    """What gives a node the certificate and the list of revoked ones that it should have; a key that it has is kept.

    Raises:
        DeployError: It has no certificate and there is no authority, or its certificate was revoked.
    """
    files = installed.tls_files
    is_whole = {CERTIFICATE, NODE_KEY, AUTHORITY, REVOKED} <= files.keys() and installed.has_lasting_certificate
    if signer is None:
        if is_whole:
            return ()
        raise DeployError(
            f"{host.name!r} is to serve TLS but has no certificate: name the cluster's authority in the cluster file "
            "(security: {pki: …}, made by `splitfront pki init`)."
        )
    if not is_whole or not signer.has_vouched(host, files):
        return (_identity_step(host, layout, wanted, signer),)
    revoked = signer.public_files[REVOKED]
    return () if files[REVOKED] == sha256_of(revoked) else (revocations_step(layout, revoked),)


def revocations_step(layout: Layout, revoked: bytes) -> Step:
    """Brings a node a list of revoked certificates (PEM)."""
    path, text = f"{layout.tls}/{REVOKED}", revoked.decode("ascii")
    return write_step("revocations", path, text, sha256_of(revoked), mode="0644", as_root=layout.is_system)


def _identity_step(host: Host, layout: Layout, wanted: Wanted, signer: Signer) -> Step:
    as_root = layout.is_system

    def act(runner: Runner) -> None:
        ask = request_command(host.name, layout, layout.release(wanted.release))
        request = checked(runner.run(ask, is_privileged=as_root), f"have {host.name!r} make a key").encode()
        for name, content in signer.sign(host, request).items():
            path = quote(f"{layout.tls}/{name}")
            write = f"set -e; umask 022; cat >{path}.part; mv -f {path}.part {path}"
            checked(runner.run(write, stdin=content, is_privileged=as_root), f"write {layout.tls}/{name}")

    return Step(
        name="identity",
        description=f"Have it make a key in {layout.tls}, and bring it a certificate for that",
        action=act,
        undo=f"rm -rf {quote(layout.tls)}",
        as_root=as_root,
    )


def request_command(name: str, layout: Layout, release: str) -> str:
    """Prints a signing request for the node's key, which is made if there is none, for the agent alone."""
    tls = quote(layout.tls)
    make = f"{quote(f'{release}/bin/python')} -IB -m node_agent.tls.request --pki {tls} --name {quote(name)}"
    return f"{make} && chown {SYSTEM_USER}: {quote(f'{layout.tls}/{NODE_KEY}')}" if layout.is_system else make
