"""The file: a zip whose bytes follow from what is in it, and whose first member tells the digest of every other one.

Who makes a file can make the digests, too: they tell damage, not origin. Whoever must know where a bundle comes from
compares its own digest.
"""

import hashlib
import json
import re
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from coordinator.errors import BundleError
from coordinator.results.whole_file import whole_file

Kind = Literal["run", "sweep"]
SCHEMA = "splitfront/bundle/"
VERSION = 2
"""2: results hold what runs took of resources. The first is read as well."""
MANIFEST = "manifest.json"

MOST_BYTES = 8 << 30
"""Unpacked: a small file can hold endless zeros."""
_MOST_MANIFEST_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every member, the earliest that a zip knows."""
_MODE = 0o100644 << 16
_UNSAFE = re.compile("[\x00-\x1f\x7f\\\\:\ud800-\udfff]")
"""What separates folders or drives on some system, acts on a terminal, or is no text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file of a bundle."""

    sha256: str
    n_bytes: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a bundle says of itself."""

    kind: Kind
    commands: tuple[tuple[str, ...], ...] = ()
    """Arguments that made it, the program first."""
    seeds: tuple[int, ...] = ()
    versions: tuple[Mapping[str, str], ...] = ()
    """Each set of versions that wrote a file of it."""
    files: Mapping[str, Member] = field(default_factory=dict)


def pack(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> Manifest:
    """Writes a bundle; equal content gives equal bytes, as far as zlib is the same.

    Args:
        path: Where to; a file of that name is replaced.
        manifest: Its `files` are filled in.
        files: Content by name, `/` between folders.

    Raises:
        BundleError: A name would not be unpacked.
        ResultStoreError: The file cannot be written.
    """
    if unsafe := [name for name in files if not is_safe(name) or name == MANIFEST]:
        raise BundleError(f"A bundle cannot hold a file of this name: {unsafe[0]!r}. Rename it.")
    members = {
        name: Member(sha256=hashlib.sha256(files[name]).hexdigest(), n_bytes=len(files[name])) for name in sorted(files)
    }
    filled = Manifest(
        kind=manifest.kind,
        commands=manifest.commands,
        seeds=manifest.seeds,
        versions=manifest.versions,
        files=members,
    )
    text = json.dumps({"schema": f"{SCHEMA}{VERSION}", **asdict(filled)}, indent=1, sort_keys=True) + "\n"
    with whole_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in ((MANIFEST, text.encode()), *((name, files[name]) for name in sorted(files))):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system, entry.external_attr = 3, _MODE  # as on Linux, wherever we are
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return filled


def unpack(path: Path, folder: Path) -> Manifest:
    """Unpacks a bundle into a folder that is not there yet, or is empty; all of it or nothing.

    Raises:
        BundleError: It is no bundle, is damaged, of a newer version, or would write elsewhere; or the folder is in use.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"{folder} is not empty: name a new folder.")
    if not path.is_file():
        raise BundleError(f"There is no bundle {path}: `splitfront bundle` writes one.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            zipfile.ZipFile(path) as archive,
            tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary,
        ):
            manifest = _manifest(archive, path)
            target = Path(temporary) / "bundle"
            for name, member in manifest.files.items():
                _extract(archive, name, member, target / name, path)
            target.mkdir(exist_ok=True)
            (target / MANIFEST).write_bytes(archive.read(MANIFEST))
            target.replace(folder)
    except BundleError:
        raise
    except OSError as error:
        raise BundleError(f"{path} cannot be unpacked into {folder}: {error.strerror or error}.") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise BundleError(f"{path} is no bundle, or is damaged: {' '.join(str(error).split())}.") from error
    return manifest


def is_safe(name: str) -> bool:
    """Whether a member's name stays below the folder that it is unpacked into, on any system."""
    parts = name.split("/")
    return not _UNSAFE.search(name) and not any(
        part in {"", ".", ".."} or part != part.strip() or part.endswith(".") for part in parts
    )


def _manifest(archive: zipfile.ZipFile, path: Path) -> Manifest:
    """The manifest, once the members are found to be those that it names."""
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise BundleError(f"{path} holds a file twice: it is no bundle of splitfront.")
    if MANIFEST not in entries or entries[MANIFEST].file_size > _MOST_MANIFEST_BYTES:
        raise BundleError(f"{path} has no {MANIFEST}: it is no bundle of splitfront.")
    manifest = _parse(json.loads(archive.read(MANIFEST)), path)
    unlike = sorted(manifest.files.keys() ^ (entries.keys() - {MANIFEST}))
    if unlike:
        raise BundleError(f"{path} is damaged: {unlike[0]!r} is missing, or is not in its {MANIFEST}.")
    if unsafe := [name for name in manifest.files if not is_safe(name)]:
        raise BundleError(f"{path} would write {unsafe[0]!r}, outside of its folder: do not trust it.")
    nested = {str(parent) for name in manifest.files for parent in PurePosixPath(name).parents}
    if both := sorted(nested & {*manifest.files, MANIFEST}):
        raise BundleError(f"{path} holds {both[0]!r} as a file and as a folder: do not trust it.")
    for name, member in manifest.files.items():
        if entries[name].file_size != member.n_bytes:
            raise BundleError(f"{path} is damaged: {name} has {entries[name].file_size} bytes, not {member.n_bytes}.")
    if (n_bytes := sum(member.n_bytes for member in manifest.files.values())) > MOST_BYTES:
        raise BundleError(f"{path} would become {n_bytes} bytes, above {MOST_BYTES}: do not trust it.")
    return manifest


def _parse(content: Any, path: Path) -> Manifest:
    schema = content.get("schema") if isinstance(content, dict) else None
    version = schema.removeprefix(SCHEMA) if isinstance(schema, str) and schema.startswith(SCHEMA) else ""
    if version.isdecimal() and int(version) > VERSION:
        raise BundleError(
            f"{path} is a bundle of version {version}, this splitfront knows {VERSION}: install a newer one."
        )
    if version not in {"1", str(VERSION)} or content.get("kind") not in get_args(Kind):
        raise BundleError(f"{path} is no bundle of splitfront: its {MANIFEST} has the schema {schema!r}.")
    try:
        return Manifest(
            kind=content["kind"],
            commands=tuple(tuple(map(str, command)) for command in content["commands"]),
            seeds=tuple(map(int, content["seeds"])),
            versions=tuple(content["versions"]),
            files={name: Member(**member) for name, member in content["files"].items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path} is damaged: its {MANIFEST} cannot be read ({error}).") from error


def _extract(archive: zipfile.ZipFile, name: str, member: Member, target: Path, path: Path) -> None:
    digest, n_bytes = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            n_bytes += len(chunk)
            if n_bytes > member.n_bytes:
                break
            digest.update(chunk)
            file.write(chunk)
    if n_bytes != member.n_bytes or digest.hexdigest() != member.sha256:
        raise BundleError(f"{path} is damaged: {name} is not what was packed.")


def file_digest(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
