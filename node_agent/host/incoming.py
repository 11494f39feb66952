"""Blobs on their way into a store: files that grow, and what is left of transfers that were cut."""

import hashlib
import math
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from node_agent.errors import BlobCorruptError, RequestRejectedError, StoreFullError
from node_agent.host.store_index import PARTIAL_PREFIX, partial_name
from node_agent.messages import BlobRef

LEAST_PARTIAL_BYTES = 1 << 20
"""Less of a blob is not worth a file: it is sent again."""
PARTIAL_SECONDS = 7 * 24 * 3600.0
"""What nobody went on with for so long is removed when the store is opened."""
SILENT_SECONDS = 2.0
"""A sender that was silent for so long may be cut off without knowing: another one may go on with its file."""

_INCOMING = re.compile(r"\.incoming-([0-9a-f]{64})-[0-9a-f]{16}")
_INCOMING_PREFIX = ".incoming-"
_READ_BYTES = 1 << 20


def incoming_name(sha256: str) -> str:
    """Name of a new file for a blob that begins to come in."""
    return f"{_INCOMING_PREFIX}{sha256}-{secrets.token_hex(8)}"


class IncomingFile:
    """The file of one transfer. One thread fills it; another may take it over once its sender is silent."""

    def __init__(self, path: Path, blob: BlobRef, clock: Callable[[], float]) -> None:
        """Opens the file for `blob`: a new one, or one that is there and has at least its first `n_have` bytes.

        Raises:
            StoreFullError: It cannot be opened or read.
        """
        self.path = path
        self.blob = blob
        self.n_written = blob.n_have
        self._clock = clock
        self._digest = hashlib.sha256()
        self._heard_at = clock()
        self._lock = threading.Lock()
        self.is_taken = False
        """Whether another transfer has the file."""
        self.is_short = False
        """Whether its sender ended early: so looks a call that its client cancels, and what came may be right."""
        flags = os.O_RDWR | os.O_NOFOLLOW | (0 if blob.n_have else os.O_CREAT | os.O_EXCL)
        with _disk_faults(blob):
            self._descriptor = os.open(path, flags, 0o600)
            if blob.n_have:
                self._read_beginning()

    def _read_beginning(self) -> None:
        os.ftruncate(self._descriptor, self.blob.n_have)
        while content := os.read(self._descriptor, _READ_BYTES):
            self._digest.update(content)

    def fill(self, chunks: Iterable[bytes]) -> None:
        """Writes `chunks`, which with what is there must be what the blob announces, and brings all to disk.

        Raises:
            BlobCorruptError: It is something else.
            StoreFullError: The disk takes no more.
            RequestRejectedError: Another transfer went on with the file meanwhile.
        """
        blob = self.blob
        for chunk in chunks:
            if self.n_written + len(chunk) > blob.n_bytes:
                raise BlobCorruptError(f"Blob {blob.sha256} was announced with {blob.n_bytes} bytes, and more came.")
            self._digest.update(chunk)
            self._write(chunk)
        if self.n_written != blob.n_bytes:
            self.is_short = True
            raise BlobCorruptError(
                f"Blob {blob.sha256} was announced with {blob.n_bytes} bytes, and {self.n_written} came."
            )
        if self._digest.hexdigest() != blob.sha256:
            kept = f"; its first {blob.n_have} bytes were kept of an earlier transfer" if blob.n_have else ""
            raise BlobCorruptError(
                f"Blob {blob.sha256} has content of digest {self._digest.hexdigest()}{kept}: send it again."
            )
        with self._lock:
            self._check_mine()
            self._heard_at = math.inf
        with _disk_faults(blob):
            os.fsync(self._descriptor)

    def _write(self, chunk: bytes) -> None:
        with self._lock, _disk_faults(self.blob):
            self._check_mine()
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._descriptor, view) :]
            self.n_written += len(chunk)
            self._heard_at = self._clock()

    def _check_mine(self) -> None:
        if self.is_taken:
            raise RequestRejectedError(f"Another transfer of blob {self.blob.sha256} went on with what had come.")

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come for a while of what is still to come."""
        return self._clock() - self._heard_at >= SILENT_SECONDS

    def give(self, path: Path, n_bytes: int) -> bool:
        """Lets another transfer have the file as `path`, if it is silent and has `n_bytes`; says whether it is so."""
        with self._lock:
            if not self.is_silent or self.n_written < n_bytes:
                return False
            self.is_taken = True
            self.path.rename(path)
            return True

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)


@contextmanager
def _disk_faults(blob: BlobRef) -> Iterator[None]:
    """Says what failed when the disk does; free space was checked before, but others write, too."""
    try:
        yield
    except OSError as exc:
        raise StoreFullError(f"Cannot write blob {blob.sha256} of {blob.n_bytes} bytes: {exc.strerror}.") from exc


def tidy_leftovers(folder: Path) -> None:
    """Makes what an interrupted agent left half written partial files, one for each blob; old ones are removed."""
    for path in folder.glob(f"{_INCOMING_PREFIX}*"):
        match = _INCOMING.fullmatch(path.name)
        if match is None or not settle_partial(path, match[1]):
            path.unlink()
    for path in folder.glob(f"{PARTIAL_PREFIX}*"):
        if time.time() - path.stat().st_mtime > PARTIAL_SECONDS:
            path.unlink()


def settle_partial(path: Path, sha256: str) -> bool:
    """Keeps the file at `path` as what came of a blob, unless it is too little, or more is kept already."""
    target = path.parent / partial_name(sha256)
    n_bytes = path.stat().st_size
    if n_bytes < LEAST_PARTIAL_BYTES or (target.is_file() and target.stat().st_size >= n_bytes):
        return False
    path.rename(target)
    return True
