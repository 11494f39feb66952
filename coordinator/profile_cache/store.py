"""The file of the profile cache. The door to SQLite."""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from coordinator.profile_cache.entry import Entry, checksum, from_row, to_row

Result = TypeVar("Result")

VERSION = 1
"""Of the tables; a file of another one is set aside."""

KEPT = timedelta(days=180)
"""Entries whose last sample is older are forgotten: runtimes, kernels and habits change."""
MOST_BYTES = 64 << 20
"""Of samples: above it the entries measured longest ago are forgotten, until three quarters are left."""
LEFT_SHARE = 0.75
_ROW_BYTES = 256
"""Of an entry beside its samples, about."""

_BUSY_SECONDS = 10.0
_DAMAGES = ("SQLITE_CORRUPT", "SQLITE_NOTADB")
_TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    graph_sha256 TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    samples BLOB NOT NULL,
    session_seconds REAL NOT NULL,
    memory_bytes INTEGER NOT NULL,
    share_seconds REAL NOT NULL,
    measured_at TEXT NOT NULL,
    checksum BLOB NOT NULL,
    PRIMARY KEY (graph_sha256, fingerprint)
) WITHOUT ROWID
"""
_COLUMNS = "samples, session_seconds, memory_bytes, share_seconds, measured_at, checksum"
_SELECT = f"SELECT {_COLUMNS} FROM entries WHERE graph_sha256 = ? AND fingerprint = ?"  # noqa: S608 - columns, no values
_REPLACE = f"REPLACE INTO entries (graph_sha256, fingerprint, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_COUNT = f"SELECT count(*) FILTER (WHERE measured_at < ?), total(length(samples) + {_ROW_BYTES}) FROM entries"  # noqa: S608
_DELETE_OLD = "DELETE FROM entries WHERE measured_at < ?"
_DELETE_BEYOND = f"""
DELETE FROM entries WHERE (graph_sha256, fingerprint) IN (
    SELECT graph_sha256, fingerprint FROM (
        SELECT graph_sha256, fingerprint, sum(length(samples) + {_ROW_BYTES}) OVER (
            ORDER BY measured_at DESC, graph_sha256, fingerprint
        ) AS bytes_so_far FROM entries
    ) WHERE bytes_so_far > ?
)
"""  # noqa: S608
_DELETE = "DELETE FROM entries WHERE graph_sha256 = ? AND fingerprint = ?"


class _VersionError(Exception):
    """The file has tables of another version."""


def default_cache_file() -> Path:
    """`$XDG_CACHE_HOME/splitfront/profiles.sqlite`, or the same under `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "splitfront" / "profiles.sqlite"


class ProfileCache:
    """Entries by digest of a segment's graph and fingerprint of a device. Thread-safe; processes may share the file.

    A cache that cannot be used costs time and nothing else: no method raises because of the file. What is wrong with it
    is said once. A damaged entry is removed, a damaged file set aside under another name and a new one begun. What is
    older than `KEPT`, or beyond `MOST_BYTES`, is forgotten when the file is opened.
    """

    def __init__(
        self, path: Path, say: Callable[[str], None], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Opens the file when it is first needed; `say` is told in a line what was found and what is wrong."""
        self.path = path
        self.say = say
        self._now = now
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._is_usable = True
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def load(self, fingerprint: str, names: Mapping[str, str]) -> dict[str, Entry]:
        """The entries that are there, by digest.

        Args:
            fingerprint: Of the device.
            names: Digest of each graph that is wanted, and how a warning names it.
        """
        return self._with_file(lambda connection: self._load(connection, fingerprint, names), {})

    def save(self, fingerprint: str, entries: Mapping[str, Entry]) -> None:
        """Stores entries by digest in one transaction; those already there are replaced."""
        if not entries:
            return
        rows = [(digest, fingerprint, to_row(entry)) for digest, entry in entries.items()]
        lines = [(digest, fingerprint, *row, checksum(digest, fingerprint, row)) for digest, fingerprint, row in rows]

        def write(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany(_REPLACE, lines)

        self._with_file(write, None)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._disconnect()

    def _load(self, connection: sqlite3.Connection, fingerprint: str, names: Mapping[str, str]) -> dict[str, Entry]:
        found, damaged = {}, []
        for digest in names:
            line = connection.execute(_SELECT, (digest, fingerprint)).fetchone()
            if line is None:
                continue
            *row, said = line
            if said == checksum(digest, fingerprint, tuple(row)):
                found[digest] = from_row(tuple(row))
            else:
                damaged.append(digest)
        for digest in damaged:
            self.say(f"Warning: the profile cache's entry of {names[digest]} is damaged: removed, measured again.")
        if damaged:
            with _transaction(connection):
                connection.executemany(_DELETE, [(digest, fingerprint) for digest in damaged])
        return found

    def _with_file(self, work: Callable[[sqlite3.Connection], Result], otherwise: Result) -> Result:
        """What `work` gives; `otherwise` where the file cannot be used, or once more with a new one."""
        with self._lock:
            for _ in range(2):
                if not self._is_usable:
                    break
                try:
                    return work(self._connected())
                except _VersionError as error:
                    self._set_aside(str(error))
                except sqlite3.Error as error:
                    if getattr(error, "sqlite_errorname", "").startswith(_DAMAGES):
                        self._set_aside(str(error))
                    else:
                        self._give_up(str(error))
                except OSError as error:
                    self._give_up(error.strerror or str(error))
        return otherwise

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._only_process():
                if not self.path.exists():  # else its locks would go: closing a file frees all that this process holds
                    self.path.touch()
                self._connection = sqlite3.connect(
                    self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
                )
                self._inode = self.path.stat().st_ino
                _prepare(self._connection)
                self._forget(self._connection)
        return self._connection

    def _forget(self, connection: sqlite3.Connection) -> None:
        """Removes what is too old, then what is too much, the oldest first."""
        oldest = (self._now() - KEPT).isoformat(timespec="seconds")
        n_old, n_bytes = connection.execute(_COUNT, (oldest,)).fetchone()
        if not n_old and n_bytes <= MOST_BYTES:
            return
        with _transaction(connection):
            n_removed = connection.execute(_DELETE_OLD, (oldest,)).rowcount
            if connection.execute(_COUNT, (oldest,)).fetchone()[1] > MOST_BYTES:
                n_removed += connection.execute(_DELETE_BEYOND, (LEFT_SHARE * MOST_BYTES,)).rowcount
        self.say(f"The profile cache forgot {n_removed:,} entries that were measured longest ago.")

    def _set_aside(self, why: str) -> None:
        """Renames the file and what belongs to it, unless another process did so already."""
        self._disconnect()
        try:
            with self._only_process():
                if not self.path.exists() or self.path.stat().st_ino != self._inode:
                    return
                aside = _free_name(self.path)
                for ending in ("-wal", "-shm", ""):
                    with suppress(FileNotFoundError):
                        self.path.with_name(self.path.name + ending).rename(aside.with_name(aside.name + ending))
        except OSError as error:
            self._give_up(f"{why}; {error.strerror}")
            return
        self.say(f"Warning: the profile cache {self.path} is damaged ({why}): set aside as {aside.name}, begun anew.")

    def _give_up(self, why: str) -> None:
        self._is_usable = False
        self.say(f"Warning: the profile cache {self.path} cannot be used ({why}): this run goes on without it.")
        self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # a damaged file may refuse to be closed in order; nothing is lost by that
                connection.close()

    @contextmanager
    def _only_process(self) -> Iterator[None]:
        """Held while a file is opened, made or set aside; SQLite's own locks do the rest."""
        with self.path.with_suffix(".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _prepare(connection: sqlite3.Connection) -> None:
    """Makes the tables where they are missing.

    A commit outlives the end of this process, however that comes; the last ones may be lost with the machine's power.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    has_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] > 0
    if has_tables and version != VERSION:
        raise _VersionError(f"its tables are of version {version}, wanted {VERSION}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if not has_tables:
        with _transaction(connection):
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):  # the first error is the one to be told
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside
