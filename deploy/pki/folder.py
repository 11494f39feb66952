"""The folder of an authority on disk: what lies where, readable by its owner only, each file whole or not there.

ca.key                    key of the authority; whoever has it is the cluster
ca.pem                    its certificate, which every end holds
revoked.pem               whom it vouches for no more, which every end holds
ever-revoked.pem          the same with those that have ended since, who get nothing anew either; stays here
coordinator.key, .pem     of this machine
nodes/NAME.pem, .csr      newest certificate of a node, and the request that it was made of; its key stays there
coordinators/NAME.pem, .csr
issued/SERIAL.pem         every certificate that was ever issued, so that it can be revoked
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.errors import PkiError
from deploy.pki.identity import Certificate, Identity, Role

OWN = "coordinator"
"""Name of the coordinator whose key lies in the folder itself."""
KEY, AUTHORITY, REVOKED, EVER_REVOKED, ISSUED = "ca.key", "ca.pem", "revoked.pem", "ever-revoked.pem", "issued"
OWN_KEY = f"{OWN}.key"

_SECRET_MODE, _OPEN_MODE, _FOLDER_MODE = 0o600, 0o644, 0o700


def certificate_name(identity: Identity) -> str:
    """Path of a holder's newest certificate in the folder."""
    if identity.role is Role.COORDINATOR and identity.name == OWN:
        return f"{OWN}.pem"
    return f"{identity.role}s/{identity.name}.pem"


def request_name(identity: Identity) -> str:
    """Path of the request that a holder's certificates are made of."""
    return f"{certificate_name(identity).removesuffix('.pem')}.csr"


def certificate_files(certificate: Certificate) -> dict[str, bytes]:
    """What is written of a new certificate. The archive comes first: what cannot be revoked must not be handed out."""
    return {
        f"{ISSUED}/{certificate.serial_text}.pem": certificate.pem,
        certificate_name(certificate.identity): certificate.pem,
    }


def create_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes the folder with its files, all of it or nothing.

    Raises:
        PkiError: It cannot be written.
    """
    begun = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        begun.mkdir(mode=_FOLDER_MODE)
        write_files(begun, files)
        begun.rename(folder)
    except OSError as exc:
        shutil.rmtree(begun, ignore_errors=True)
        raise PkiError(f"{folder} cannot be made: {exc.strerror or exc}.") from exc
    except BaseException:
        shutil.rmtree(begun, ignore_errors=True)
        raise


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes files by their paths in the folder, one after another, each whole or not at all.

    Raises:
        PkiError: One cannot be written; those before it are.
    """
    for name, content in files.items():
        path = folder / name
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            mode = _SECRET_MODE if path.suffix == ".key" else _OPEN_MODE
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as exc:
            with suppress(OSError):
                temporary.unlink()
            raise PkiError(f"{path} cannot be written: {exc.strerror or exc}.") from exc


def read_file(folder: Path, name: str) -> bytes:
    """Content of a file in the folder.

    Raises:
        PkiError: It cannot be read, or is a key that others may read.
    """
    path = folder / name
    try:
        if path.suffix == ".key" and path.stat().st_mode & 0o077:
            raise PkiError(f"The key {path} can be read by others: chmod 600 it, and think of issuing everything anew.")
        return path.read_bytes()
    except FileNotFoundError as exc:
        remedy = "`splitfront pki init` makes an authority" if name == AUTHORITY else "the folder is damaged"
        raise PkiError(f"There is no {path}: {remedy}.") from exc
    except OSError as exc:
        raise PkiError(f"{path} cannot be read: {exc.strerror or exc}.") from exc


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other commands from changing the folder meanwhile; they wait.

    Raises:
        PkiError: The folder cannot be opened.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        raise PkiError(f"The folder {folder} cannot be opened: {exc.strerror}.") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
