"""The authority of a cluster: decides what to issue, then does it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from deploy.errors import PkiError
from deploy.pki import x509_door
from deploy.pki.folder import (
    AUTHORITY,
    EVER_REVOKED,
    ISSUED,
    KEY,
    OWN,
    OWN_KEY,
    REVOKED,
    certificate_files,
    certificate_name,
    locked,
    read_file,
    request_name,
    write_files,
)
from deploy.pki.identity import (
    CLOCK_SLACK,
    DEFAULT_LIFE,
    Certificate,
    Identity,
    Request,
    Role,
    check_addresses,
    check_life,
    check_name,
)

NEW_KEY = (
    "have it make a new key (remove its node.key and ask anew; where `splitfront nodes` installed it: "
    "`nodes uninstall`, then `nodes install`)"
)
"""How somebody who was revoked comes back."""


class State(StrEnum):
    """What a certificate is worth."""

    VALID = "valid"
    DUE = "due"
    """Valid, and to be renewed."""
    EXPIRED = "expired"
    FUTURE = "not yet valid"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A certificate that is to be issued."""

    identity: Identity
    addresses: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    request: Request | None
    """None: for a key that is to be made here."""


class Authority:
    """An authority in its folder. What changes it takes the passphrase of its key, where that has one."""

    def __init__(self, folder: Path) -> None:
        """Opens the folder.

        Raises:
            PkiError: There is none, or what is there is not an authority's.
        """
        self.folder = folder
        self.pem = read_file(folder, AUTHORITY)
        self.cluster, self.not_after = x509_door.read_authority(self.pem, where=str(folder / AUTHORITY))

    @cached_property
    def is_sealed(self) -> bool:
        """Whether its key wants a passphrase."""
        return x509_door.is_sealed(read_file(self.folder, KEY))

    def certificates(self) -> tuple[Certificate, ...]:
        """All that it has issued, oldest first."""
        written = sorted((self.folder / ISSUED).glob("*.pem"), key=lambda path: path.stat().st_mtime_ns)
        names = [path.name for path in written]  # several may be of one second
        found = (x509_door.read_certificate(read_file(self.folder, f"{ISSUED}/{name}"), where=name) for name in names)
        return tuple(sorted(found, key=lambda one: (one.not_before, one.not_after)))

    def newest(self) -> dict[Identity, Certificate]:
        """The newest certificate of each holder: the one that lies ready for it."""
        return {one.identity: self._ready(one) for one in self.certificates()}

    def _ready(self, certificate: Certificate) -> Certificate:
        name = certificate_name(certificate.identity)
        if not (self.folder / name).exists():  # cut off after it was put into the archive
            return certificate
        return x509_door.read_certificate(read_file(self.folder, name), where=name)

    def revoked(self) -> dict[int, datetime]:
        """When which serial number was revoked; those included that the list has forgotten, since they have ended."""
        former = self._revocations(EVER_REVOKED)[0] if (self.folder / EVER_REVOKED).exists() else {}
        return self._revocations(REVOKED)[0] | former

    def _revocations(self, name: str) -> tuple[dict[int, datetime], int]:
        return x509_door.read_revocations(read_file(self.folder, name), self.pem, where=str(self.folder / name))

    def plan_issue(
        self,
        name: str,
        role: Role = Role.NODE,
        *,
        request_pem: bytes | None,
        addresses: Sequence[str] = (),
        life: timedelta = DEFAULT_LIFE,
        now: datetime | None = None,
    ) -> Issue:
        """What would be issued; writes nothing.

        Raises:
            PkiError: It must not be issued: the request is of somebody else, its key was revoked, or what the
                certificate should hold makes no sense.
        """
        identity = Identity(cluster=self.cluster, role=role, name=check_name(name, role))
        if role is Role.NODE and not addresses:
            raise PkiError(f"Node '{name}' needs an address, at which others find it: give --address, once for each.")
        if role is Role.COORDINATOR and addresses:
            raise PkiError("A coordinator listens nowhere: leave out --address.")
        if request_pem is None and (role, name) != (Role.COORDINATOR, OWN):
            raise PkiError(
                f"The {role} '{name}' makes its key itself: on that machine run `python -m node_agent.tls.request "
                f"--pki DIR --name {name}`, and give what it prints as --request."
            )
        request = None if request_pem is None else x509_door.read_request(request_pem)
        if request is not None and request.name != name:
            raise PkiError(
                f"The signing request is of {request.name[:64]!r}, not of '{name}': give that name, or its request."
            )
        if request is not None:
            self._refuse_revoked(request)
        return self._planned(identity, check_addresses(addresses), request, life, now)

    def _refuse_revoked(self, request: Request) -> None:
        revoked = self.revoked()
        for one in self.certificates():
            if one.serial in revoked and x509_door.is_of_key(one, request):
                raise PkiError(
                    f"The signing request has the key of the {one.identity}, revoked on "
                    f"{revoked[one.serial]:%Y-%m-%d}: {NEW_KEY}."
                )

    def plan_renewal(
        self, names: Sequence[str] = (), *, life: timedelta | None = None, now: datetime | None = None
    ) -> tuple[Issue, ...]:
        """What would be renewed: what is due, or what is named.

        Args:
            names: Of holders; none: all that are due.
            life: Of the new certificates; None: as long as the former ones.
            now: For tests.

        Raises:
            PkiError: A name has no certificate, or a revoked one.
        """
        now, revoked = now or this_second(), self.revoked()
        chosen = self._named(names) if names else tuple(self.newest().values())
        if gone := [one for one in chosen if names and one.serial in revoked]:
            raise PkiError(f"The {gone[0].identity} was revoked: {NEW_KEY}.")
        due = [one for one in chosen if names or state_of(one, revoked, now) in (State.DUE, State.EXPIRED)]
        return tuple(
            self._planned(one.identity, one.addresses, self._request_of(one.identity), life or one.life, now)
            for one in due
        )

    def _request_of(self, identity: Identity) -> Request:
        return x509_door.read_request(read_file(self.folder, request_name(identity)))

    def chosen(self, names: Sequence[str] = (), *, has_former: bool = False) -> tuple[Certificate, ...]:
        """The newest certificate of each holder, of those that are named; `has_former`: all of them.

        Raises:
            PkiError: A name has no certificate.
        """
        newest = self._named(names) if names else tuple(self.newest().values())
        if not has_former:
            return newest
        return tuple(one for one in self.certificates() if one.identity in {other.identity for other in newest})

    def _named(self, names: Sequence[str]) -> tuple[Certificate, ...]:
        newest = self.newest()
        found = tuple(one for identity, one in newest.items() if identity.name in names)
        missing = sorted({*names} - {one.identity.name for one in found})
        if missing:
            known = ", ".join(sorted(identity.name for identity in newest))
            raise PkiError(f"There is no certificate of '{missing[0]}': known are {known}.")
        return found

    def _planned(
        self,
        identity: Identity,
        addresses: tuple[str, ...],
        request: Request | None,
        life: timedelta,
        now: datetime | None,
    ) -> Issue:
        now = now or this_second()
        if now >= self.not_after:
            raise PkiError(f"The authority in {self.folder} ended on {self.not_after:%Y-%m-%d}: make another one.")
        not_after = min(now + check_life(life), self.not_after)
        return Issue(
            identity=identity, addresses=addresses, not_before=now - CLOCK_SLACK, not_after=not_after, request=request
        )

    def issue(self, planned: Issue, passphrase: str | None = None) -> Certificate:
        """Issues a certificate and writes it to the folder.

        Raises:
            PkiError: The passphrase is wrong, or the folder cannot be written.
        """
        key = self._key(passphrase)
        request, more = planned.request, dict[str, bytes]()
        if request is None:
            own_key = x509_door.new_key()
            more[OWN_KEY] = x509_door.key_pem(own_key)
            request = x509_door.read_request(x509_door.make_request(own_key, planned.identity.name))
        pem = x509_door.sign_holder(
            self.pem,
            key,
            request,
            planned.identity,
            planned.addresses,
            not_before=planned.not_before,
            not_after=planned.not_after,
        )
        certificate = x509_door.read_certificate(pem, where="made here")
        more[request_name(planned.identity)] = request.pem
        with locked(self.folder):
            write_files(self.folder, more | certificate_files(certificate))
        return certificate

    def plan_revocation(self, names: Sequence[str], *, now: datetime | None = None) -> tuple[Certificate, ...]:
        """What would be revoked: all certificates of these holders that could still be used.

        Raises:
            PkiError: A name has no certificate.
        """
        self._named(names)
        now, listed = now or this_second(), self._revocations(REVOKED)[0]
        return tuple(
            one
            for one in self.certificates()
            if one.identity.name in names and one.not_after > now and one.serial not in listed
        )

    def revoke(
        self, certificates: Sequence[Certificate], passphrase: str | None = None, *, now: datetime | None = None
    ) -> None:
        """Puts certificates on the list, and takes those off it that have ended. A record keeps them all.

        Raises:
            PkiError: The passphrase is wrong, or the folder cannot be written.
        """
        key, now = self._key(passphrase), now or this_second()
        ended = {one.serial for one in self.certificates() if one.not_after < now - CLOCK_SLACK}
        with locked(self.folder):
            number = self._revocations(REVOKED)[1] + 1
            every = {one.serial: now for one in certificates} | self.revoked()
            listed = {serial: at for serial, at in every.items() if serial not in ended}
            files = {
                name: x509_door.sign_revocations(self.pem, key, serials, number=number, since=now - CLOCK_SLACK)
                for name, serials in ((EVER_REVOKED, every), (REVOKED, listed))
            }
            write_files(self.folder, files)

    def _key(self, passphrase: str | None) -> x509_door.Key:
        return x509_door.read_key(read_file(self.folder, KEY), passphrase, where=str(self.folder / KEY))


def state_of(certificate: Certificate, revoked: Mapping[int, datetime], now: datetime) -> State:
    """What a certificate is worth at some moment."""
    if certificate.serial in revoked:
        return State.REVOKED
    if now >= certificate.not_after:
        return State.EXPIRED
    if now < certificate.not_before:
        return State.FUTURE
    return State.DUE if now >= certificate.due else State.VALID


def this_second() -> datetime:
    """Now, as exactly as certificates tell it."""
    return datetime.now(UTC).replace(microsecond=0)
