"""Content named by its digest, in one flat folder: graphs of shards and blobs of weights alike."""

import fcntl
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from node_agent.errors import AgentConfigError, BlobCorruptError, BlobMissingError, RequestRejectedError, StoreFullError
from node_agent.host.incoming import IncomingFile, incoming_name, settle_partial, tidy_leftovers
from node_agent.host.store_index import PARTIAL_PREFIX, StoreIndex, partial_name
from node_agent.messages import BlobRef, ShardRef

_DIGEST = re.compile(r"[0-9a-f]{64}")
_STORED = re.compile(rf"({re.escape(PARTIAL_PREFIX)})?[0-9a-f]{{64}}")
_LOCK_NAME = ".lock"
_SPARE_DISK_BYTES = 16 << 20
"""Left free for everybody else."""


class ShardStore:
    """The store of one agent. Thread-safe; no second one can open the same folder.

    A file appears under its digest only when all of it was written, hashed and brought to disk; one that an earlier
    agent left is hashed again before its first use. What came of a blob whose transfer was cut is kept for the next
    one; it counts in the quota, and is the first to go.
    """

    def __init__(self, folder: Path, quota_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Opens the store and tidies up what an interrupted agent left half written.

        Raises:
            AgentConfigError: The folder cannot be used, or another agent uses it.
        """
        self.folder = folder
        self.quota_bytes = quota_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._lock_file = _lock(folder)
        tidy_leftovers(folder)
        found = tuple(self._read_folder())
        self._index = StoreIndex(found)
        self._unproven = {name for name, _ in found}
        """What an earlier agent left, until it is held against its digest."""
        self._incoming: dict[str, IncomingFile] = {}
        """By digest; the newest where a blob comes in several times."""

    def _read_folder(self) -> Iterator[tuple[str, int]]:
        """Name and size of what is stored, least recently used first."""
        found = []
        for path in self.folder.iterdir():
            if _STORED.fullmatch(path.name) and path.is_file() and not path.is_symlink():
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
        """Those of `blobs` that are not stored, each once, with how much of them came earlier.

        All of them are safe from eviction for the next minute.

        Raises:
            RequestRejectedError: A digest is none.
        """
        wanted = {blob.sha256: blob for blob in blobs}
        for sha256 in wanted:
            _check_digest(sha256)
        with self._lock:
            self._index.protect(wanted, self._clock())
            lacking = [blob for sha256, blob in wanted.items() if not self._use(sha256)]
            return tuple(replace(blob, n_have=self._n_have(blob)) for blob in lacking)

    def _use(self, name: str) -> bool:
        """Whether it is stored; it then becomes the most recently used, for later agents on this folder, too."""
        if name not in self._index:
            return False
        try:
            os.utime(self.folder / name)
        except FileNotFoundError:  # somebody tidied up by hand
            self._index.remove(name)
            return False
        self._index.touch(name)
        return True

    def _n_have(self, blob: BlobRef) -> int:
        """Bytes of an earlier transfer that was cut, or whose sender has fallen silent."""
        name = partial_name(blob.sha256)
        former = self._incoming.get(blob.sha256)
        found = self._index.size(name) if self._use(name) else 0
        if former is not None and former.is_silent:
            found = max(found, former.n_written)
        return found if found <= blob.n_bytes else 0

    def put(self, blob: BlobRef, chunks: Iterable[bytes]) -> None:
        """Stores the joined `chunks`, which go on behind the first `n_have` bytes; a blob that is there is not read.

        Where the chunks end early or in an error, what came is kept, so that a later transfer can go on.

        Raises:
            RequestRejectedError: The digest is none, or another transfer took this one's place.
            BlobCorruptError: The content is not what was announced, or less than `n_have` bytes are there; of this
                transfer nothing is kept but what ended early.
            StoreFullError: Quota or disk do not suffice; nothing of this transfer is kept.
        """
        if not self.missing((blob,)):
            return
        if blob.n_have > blob.n_bytes:
            raise RequestRejectedError(f"Blob {blob.sha256} of {blob.n_bytes} bytes cannot go on at {blob.n_have}.")
        with self._incoming_file(blob) as file:
            file.fill(chunks)
            with self._lock:
                file.path.rename(self.folder / blob.sha256)
                self._unproven.discard(blob.sha256)
                self._index.add(blob.sha256, blob.n_bytes)
                self._index.protect((blob.sha256,), self._clock())
                self._remove(partial_name(blob.sha256))
        _bring_to_disk(self.folder)

    @contextmanager
    def _incoming_file(self, blob: BlobRef) -> Iterator[IncomingFile]:
        """A file for `blob` for which there is room; afterwards it was renamed, or is kept as a beginning, or gone."""
        path = self.folder / incoming_name(blob.sha256)
        try:
            with self._lock:
                self._claim(blob, path)
            file = IncomingFile(path, blob, self._clock)
            with self._lock:
                self._incoming[blob.sha256] = file
            try:
                yield file
            except (BlobCorruptError, StoreFullError):
                if file.is_short:
                    self._keep(file)
                raise
            except BaseException:  # the sender broke, or this thread is to end
                self._keep(file)
                raise
            finally:
                file.close()
                with self._lock:
                    if self._incoming.get(blob.sha256) is file:
                        del self._incoming[blob.sha256]
        finally:
            path.unlink(missing_ok=True)
            with self._lock:
                self._index.release(path.name)

    def _claim(self, blob: BlobRef, path: Path) -> None:
        """Makes what came of `blob` earlier the file at `path`, where the sender counts on it; promises room."""
        partial = partial_name(blob.sha256)
        former = self._incoming.get(blob.sha256)
        if not blob.n_have:
            self._make_room(blob, blob.n_bytes)
        elif self._index.size(partial) >= blob.n_have and self._use(partial):
            self._make_room(blob, blob.n_bytes - blob.n_have)
            (self.folder / partial).rename(path)
            self._index.remove(partial)
        elif former is not None and former.give(path, blob.n_have):
            self._index.release(former.path.name)
        else:
            raise BlobCorruptError(
                f"Blob {blob.sha256} goes on at {blob.n_have} bytes, which are not there: ask again what is missing."
            )
        self._index.promise(path.name, blob.n_bytes)

    def _keep(self, file: IncomingFile) -> None:
        """Keeps what came of a blob, unless another transfer has it."""
        with self._lock:
            if not file.is_taken and settle_partial(file.path, file.blob.sha256):
                self._index.add(partial_name(file.blob.sha256), file.n_written)
                self._index.protect((file.blob.sha256,), self._clock())

    def _remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        self._index.remove(name)
        self._unproven.discard(name)

    def _prove(self, digests: Iterable[str]) -> None:
        """Holds what an earlier agent left against its digest, once: a card may have lost a bit since."""
        for sha256 in sorted(self._unproven.intersection(digests)):
            with (self.folder / sha256).open("rb") as file:
                is_whole = hashlib.file_digest(file, "sha256").hexdigest() == sha256
            with self._lock:
                if not is_whole:
                    self._remove(sha256)
                    raise BlobMissingError(f"Blob {sha256} was damaged on the node's disk and removed: put it again.")
                self._unproven.discard(sha256)

    def _make_room(self, blob: BlobRef, n_bytes: int) -> None:
        """Makes room for `n_bytes` of `blob`, evicting what was not used for longest and is not needed."""
        promised = self._index.promised_bytes
        free_quota = self.quota_bytes - self._index.stored_bytes - promised
        free_disk = shutil.disk_usage(self.folder).free - _SPARE_DISK_BYTES - (promised - self._arrived_bytes())
        now = self._clock()
        victims = self._index.victims(n_bytes - min(free_quota, free_disk), now)
        if victims is None:
            evictable = sum(size for _, size in self._index.evictable(now))
            raise StoreFullError(
                f"Blob {blob.sha256} needs {n_bytes} bytes; the quota of {self.quota_bytes} bytes has "
                f"{max(0, free_quota)} left, the disk of {self.folder} {max(0, free_disk)}, and {evictable} bytes "
                "can be evicted: unload stages, raise --quota, or choose another --store."
            )
        for name in victims:
            self._remove(name)

    def _arrived_bytes(self) -> int:
        """Bytes that lie on the disk already of all that is coming in."""
        n_bytes = 0
        for name in self._index.promised_names:
            with suppress(FileNotFoundError):  # its file is still to be opened
                n_bytes += (self.folder / name).stat().st_size
        return n_bytes

    @contextmanager
    def in_use(self, shard: ShardRef) -> Iterator[None]:
        """Keeps the files of `shard` from eviction meanwhile.

        Raises:
            RequestRejectedError: A digest is none.
            BlobMissingError: Some are not stored, or one was damaged; the message names them.
        """
        digests = {blob.sha256 for blob in (shard.graph, *shard.blobs)}
        with self._lock:
            self._index.take(digests)
        try:
            if lacking := self.missing((shard.graph, *shard.blobs)):
                names = ", ".join(blob.sha256 for blob in lacking[:3])
                more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
                raise BlobMissingError(f"The store lacks {names}{more}: ask which are missing and put them first.")
            self._prove(digests)
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
        raise RequestRejectedError(f"{sha256[:80]!r} is no sha256: want 64 lower-case hexadecimal digits.")


def _bring_to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
