"""Content named by its digest, in one flat folder: graphs of shards and blobs of weights alike."""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from node_agent.errors import AgentConfigError, BlobCorruptError, BlobMissingError, RequestRejectedError, StoreFullError
from node_agent.host.store_index import StoreIndex
from node_agent.messages import BlobRef, ShardRef

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LOCK_NAME = ".lock"
_TEMPORARY_PREFIX = ".incoming-"
_SPARE_DISK_BYTES = 16 << 20
"""Left free for everybody else."""


class ShardStore:
    """The store of one agent. Thread-safe; no second one can open the same folder.

    A file appears under its digest only when all of it was written, hashed and brought to disk.
    """

    def __init__(self, folder: Path, quota_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Opens the store and removes what an interrupted agent left half written.

        Raises:
            AgentConfigError: The folder cannot be used, or another agent uses it.
        """
        self.folder = folder
        self.quota_bytes = quota_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._lock_file = _lock(folder)
        self._index = StoreIndex(self._read_folder())

    def _read_folder(self) -> Iterator[tuple[str, int]]:
        """Digest and size of what is stored, least recently used first; leftovers are removed on the way."""
        found = []
        for path in self.folder.iterdir():
            if path.name.startswith(_TEMPORARY_PREFIX):
                path.unlink()
            elif _DIGEST.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                facts = path.stat()
                found.append((facts.st_mtime_ns, path.name, facts.st_size))
        return ((name, size) for _, name, size in sorted(found))

    @property
    def stored_bytes(self) -> int:
        """Bytes of all that is stored."""
        with self._lock:
            return self._index.stored_bytes

    def path_of(self, blob: BlobRef) -> Path:
        """File of `blob`.

        Raises:
            RequestRejectedError: The digest is none.
            BlobMissingError: It is not stored.
        """
        if self.missing((blob,)):
            raise BlobMissingError(f"The store lacks blob {blob.sha256}: put it first.")
        return self.folder / blob.sha256

    def missing(self, blobs: Iterable[BlobRef]) -> tuple[BlobRef, ...]:
        """Those of `blobs` that are not stored, each once; all of them are safe from eviction for the next minute.

        Raises:
            RequestRejectedError: A digest is none.
        """
        wanted = {blob.sha256: blob for blob in blobs}
        for sha256 in wanted:
            _check_digest(sha256)
        with self._lock:
            self._index.protect(wanted, self._clock())
            return tuple(blob for sha256, blob in wanted.items() if not self._use(sha256))

    def _use(self, sha256: str) -> bool:
        """Whether it is stored; it then becomes the most recently used, for later agents on this folder, too."""
        if sha256 not in self._index:
            return False
        try:
            os.utime(self.folder / sha256)
        except FileNotFoundError:  # somebody tidied up by hand
            self._index.remove(sha256)
            return False
        self._index.touch(sha256)
        return True

    def put(self, blob: BlobRef, chunks: Iterable[bytes]) -> None:
        """Stores the joined `chunks`; a blob that is there already is accepted unread.

        Raises:
            RequestRejectedError: The digest is none.
            BlobCorruptError: The content is not what was announced; nothing is kept.
            StoreFullError: Quota or disk do not suffice; nothing is kept.
        """
        if not self.missing((blob,)):
            return
        with self._incoming_file(blob) as (temporary, descriptor):
            _write_checked(descriptor, blob, chunks)
            with self._lock:
                temporary.rename(self.folder / blob.sha256)
                self._index.add(blob.sha256, blob.n_bytes)
                self._index.protect((blob.sha256,), self._clock())
        _bring_to_disk(self.folder)

    @contextmanager
    def _incoming_file(self, blob: BlobRef) -> Iterator[tuple[Path, int]]:
        """A temporary file for `blob` for which there is room; gone afterwards unless it was renamed."""
        temporary = self.folder / f"{_TEMPORARY_PREFIX}{blob.sha256[:16]}-{secrets.token_hex(8)}"
        self._make_room(temporary.name, blob)
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                yield temporary, descriptor
            finally:
                os.close(descriptor)
                temporary.unlink(missing_ok=True)
        finally:
            with self._lock:
                self._index.release(temporary.name)

    def _make_room(self, name: str, blob: BlobRef) -> None:
        """Promises room for `blob`, evicting what was not used for longest and is not needed."""
        with self._lock:
            promised = self._index.promised_bytes
            free_quota = self.quota_bytes - self._index.stored_bytes - promised
            free_disk = shutil.disk_usage(self.folder).free - _SPARE_DISK_BYTES - promised
            now = self._clock()
            victims = self._index.victims(blob.n_bytes - min(free_quota, free_disk), now)
            if victims is None:
                evictable = sum(size for _, size in self._index.evictable(now))
                raise StoreFullError(
                    f"Blob {blob.sha256} needs {blob.n_bytes} bytes; the quota of {self.quota_bytes} bytes has "
                    f"{max(0, free_quota)} left, the disk of {self.folder} {max(0, free_disk)}, and {evictable} bytes "
                    "can be evicted: unload stages, raise --quota, or choose another --store."
                )
            for sha256 in victims:
                (self.folder / sha256).unlink(missing_ok=True)
                self._index.remove(sha256)
            self._index.promise(name, blob.n_bytes)

    @contextmanager
    def in_use(self, shard: ShardRef) -> Iterator[None]:
        """Keeps the files of `shard` from eviction meanwhile.

        Raises:
            RequestRejectedError: A digest is none.
            BlobMissingError: Some are not stored; the message names them.
        """
        digests = {blob.sha256 for blob in (shard.graph, *shard.blobs)}
        with self._lock:
            self._index.take(digests)
        try:
            if lacking := self.missing((shard.graph, *shard.blobs)):
                names = ", ".join(blob.sha256 for blob in lacking[:3])
                more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
                raise BlobMissingError(f"The store lacks {names}{more}: ask which are missing and put them first.")
            yield
        finally:
            with self._lock:
                self._index.leave(digests)

    def close(self) -> None:
        """Lets another agent open the folder."""
        os.close(self._lock_file)


def _lock(folder: Path) -> int:
    """Descriptor of the folder's lock file; the system frees it when this process ends, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise AgentConfigError(f"Cannot use the folder {folder} as a store: {exc.strerror}.") from exc
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        raise AgentConfigError(f"Another agent uses the store {folder}: give each its own --store.") from exc
    return descriptor


def _check_digest(sha256: str) -> None:
    if not _DIGEST.fullmatch(sha256):
        raise RequestRejectedError(f"{sha256!r} is no sha256: want 64 lower-case hexadecimal digits.")


def _write_checked(descriptor: int, blob: BlobRef, chunks: Iterable[bytes]) -> None:
    """Writes `chunks`, which must be what `blob` announces, and brings them to disk."""
    digest = hashlib.sha256()
    n_written = 0
    for chunk in chunks:
        n_written += len(chunk)
        if n_written > blob.n_bytes:
            raise BlobCorruptError(f"Blob {blob.sha256} was announced with {blob.n_bytes} bytes, and more came.")
        digest.update(chunk)
        with _disk_faults(blob):
            _write_all(descriptor, chunk)
    if n_written != blob.n_bytes:
        raise BlobCorruptError(f"Blob {blob.sha256} was announced with {blob.n_bytes} bytes, and {n_written} came.")
    if digest.hexdigest() != blob.sha256:
        raise BlobCorruptError(f"Blob {blob.sha256} has content of digest {digest.hexdigest()}: send it again.")
    with _disk_faults(blob):
        os.fsync(descriptor)


@contextmanager
def _disk_faults(blob: BlobRef) -> Iterator[None]:
    """Says what failed when the disk does; free space was checked before, but others write, too."""
    try:
        yield
    except OSError as exc:
        raise StoreFullError(f"Cannot write blob {blob.sha256} of {blob.n_bytes} bytes: {exc.strerror}.") from exc


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _bring_to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
