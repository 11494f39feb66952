"""Making the authority of a new cluster."""

from datetime import datetime, timedelta
from pathlib import Path

from deploy.errors import PkiError
from deploy.pki import x509_door
from deploy.pki.authority import Authority, this_second
from deploy.pki.folder import (
    AUTHORITY,
    KEY,
    OWN,
    OWN_KEY,
    REVOKED,
    certificate_files,
    create_folder,
    request_name,
)
from deploy.pki.identity import AUTHORITY_LIFE, CLOCK_SLACK, DEFAULT_LIFE, Identity, Role, check_life, check_name

MIN_PASSPHRASE = 12
"""Characters."""


def create_authority(
    folder: Path,
    cluster: str,
    *,
    passphrase: str | None = None,
    life: timedelta = AUTHORITY_LIFE,
    coordinator_life: timedelta = DEFAULT_LIFE,
    now: datetime | None = None,
) -> Authority:
    """Makes an authority in a new folder, with an empty list of revoked ones and the coordinator of this machine.

    Raises:
        PkiError: The folder is there already or cannot be written; the name or the passphrase is none.
    """
    check_new(folder, cluster)
    if passphrase is not None and len(passphrase) < MIN_PASSPHRASE:
        raise PkiError(f"The passphrase is too short: want {MIN_PASSPHRASE} characters or more.")
    now = now or this_second()
    begins = now - CLOCK_SLACK
    key, own_key = x509_door.new_key(), x509_door.new_key()
    authority = x509_door.sign_authority(key, cluster, not_before=begins, not_after=now + life)
    own = Identity(cluster=cluster, role=Role.COORDINATOR, name=OWN)
    request = x509_door.read_request(x509_door.make_request(own_key, OWN))
    not_after = now + min(check_life(coordinator_life), life)
    pem = x509_door.sign_holder(authority, key, request, own, (), not_before=begins, not_after=not_after)
    issued = x509_door.read_certificate(pem, where="made here")
    files = {
        KEY: x509_door.key_pem(key, passphrase),
        AUTHORITY: authority,
        REVOKED: x509_door.sign_revocations(authority, key, {}, number=1, since=begins),
        OWN_KEY: x509_door.key_pem(own_key),
        request_name(own): request.pem,
        **certificate_files(issued),
    }
    create_folder(folder, files)
    return Authority(folder)


def check_new(folder: Path, cluster: str) -> None:
    """Looks whether an authority could be made.

    Raises:
        PkiError: The folder is there already, or the name is none.
    """
    check_name(cluster, "cluster")
    if folder.exists():
        raise PkiError(f"{folder} is there already: use it, or choose another with --pki.")
