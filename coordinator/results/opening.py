"""From a URL or a path to an engine whose tables are there."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError

from coordinator.errors import ResultStoreError
from coordinator.results.tables import VERSION, metadata, raise_version, versions

STORE_FILE = "results.sqlite"
"""In a sweep's folder."""
BEGIN = "splitfront_begin"
"""Execution option: how SQLite begins a transaction. `READING` ones wait for nobody and must not write."""
READING = {BEGIN: "BEGIN"}
_WITHOUT_TRANSACTION = {BEGIN: ""}

_BUSY_SECONDS = 60.0
"""For which one waits for others to end their writing."""
_MOST_SIGNS = 300
"""Of what a driver says."""
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
_EXTRAS = {"psycopg": "postgres"}


def open_engine(url_or_path: str, *, is_made: bool) -> tuple[sa.Engine, str]:
    """(engine, its name without a password) of a store; its tables are made where they are missing.

    Raises:
        ResultStoreError: It cannot be opened, is no store, is of a newer version, or is not there and not `is_made`.
    """
    url = _url(url_or_path)
    if url.drivername.partition("+")[0] == "sqlite":
        name = str(url.database)
        engine = _sqlite_engine(Path(name), url, is_made=is_made)
    else:
        name = url.set(query={}).render_as_string(hide_password=True)  # the query may hold a password, too
        engine = _server_engine(url, name)
    try:
        with explained(name):
            _prepare(engine, name, is_made=is_made)
    except BaseException:
        engine.dispose()
        raise
    return engine, name


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns what SQLAlchemy and drivers raise into one line of ours.

    Raises:
        ResultStoreError: They raised.
    """
    try:
        yield
    except DBAPIError as error:
        # Not `error` itself: its text repeats the statement and all values.
        said = _line(str(error.orig)) or type(error.orig).__name__
        raise ResultStoreError(f"The result store {name} cannot be used: {said}{_advice(error.orig)}.") from error
    except SQLAlchemyError as error:
        raise ResultStoreError(f"The result store {name} cannot be used: {_line(str(error))}.") from error


def store_seconds(connection: sa.Connection) -> float:
    """Now, in seconds since 1970: by the server's clock, else by ours, which a file's other users share."""
    if connection.dialect.name == "postgresql":
        now = connection.scalar(sa.select(sa.extract("epoch", sa.func.clock_timestamp())))
        return float(now or 0.0)
    return time.time()


def _url(text: str) -> sa.URL:
    if "://" not in text:
        path = Path(text).absolute()
        return sa.URL.create("sqlite", database=str(path / STORE_FILE if path.is_dir() else path))
    try:
        url = sa.make_url(text)
    except (ArgumentError, ValueError) as error:
        scheme = text.partition("://")[0]
        raise ResultStoreError(
            f"A result store's URL cannot be read ({scheme}://…): wanted one like postgresql://user@host/database, or "
            "the path of a file."
        ) from error
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.drivername.partition("+")[0] == "sqlite":
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise ResultStoreError("A result store in SQLite needs a file: give its path.")
        url = url.set(database=str(Path(url.database).absolute()))
    return url


def _sqlite_engine(path: Path, url: sa.URL, *, is_made: bool) -> sa.Engine:
    if not path.exists():
        if not is_made:
            raise ResultStoreError(f"There is no result store {path}: name the file, or the folder of a sweep.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultStoreError(f"Cannot make the folder {path.parent}: {error.strerror}.") from error
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _on_sqlite_connect)
    event.listen(engine, "begin", _on_sqlite_begin)
    return engine


def _on_sqlite_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun below, and nowhere else
    # FULL: a commit outlives the loss of power as well, not only SIGKILL.
    for pragma in ("foreign_keys = ON", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _on_sqlite_begin(connection: sa.Connection) -> None:
    # Who begins with reading and writes later may find that another one has written meanwhile, and would fail at once.
    statement = connection.get_execution_options().get(BEGIN, "BEGIN IMMEDIATE")
    if statement:
        connection.exec_driver_sql(statement)


def _server_engine(url: sa.URL, name: str) -> sa.Engine:
    arguments = (
        {} if url.drivername != "postgresql+psycopg" or "connect_timeout" in url.query else {"connect_timeout": 10}
    )
    try:
        # A server may have been restarted since the last run: a connection is tried before it is used.
        return sa.create_engine(
            url, connect_args=arguments, pool_pre_ping=True, isolation_level="READ COMMITTED", hide_parameters=True
        )
    except ImportError as error:
        extra = f": pip install 'splitfront[{_EXTRAS[error.name]}]'" if error.name in _EXTRAS else ""
        raise ResultStoreError(f"The result store {name} needs the driver {error.name}{extra}.") from error
    except (NoSuchModuleError, ArgumentError, TypeError) as error:
        raise ResultStoreError(f"The result store {name} cannot be used: {_line(str(error))}.") from error


def _prepare(engine: sa.Engine, name: str, *, is_made: bool) -> None:
    """Makes the tables, or finds that they are those that we know."""
    if engine.dialect.name == "sqlite":
        _use_write_ahead_log(engine, name, is_made=is_made)
    if not _has_tables(engine, name, is_made=is_made):
        try:
            with engine.begin() as connection:
                metadata.create_all(connection)
                if connection.scalar(sa.select(versions.c.version)) is None:
                    connection.execute(sa.insert(versions).values(version=VERSION))
        except DBAPIError:
            # Another process may have made them at the same time.
            if not _has_tables(engine, name, is_made=is_made):
                raise
    with engine.execution_options(**READING).begin() as connection:
        version = connection.scalar(sa.select(versions.c.version)) or 0
    if version < VERSION:
        with engine.begin() as connection:
            version = raise_version(connection)
    if version != VERSION:
        raise ResultStoreError(
            f"The result store {name} has version {version}, this splitfront knows {VERSION}: install a newer one."
        )


def _has_tables(engine: sa.Engine, name: str, *, is_made: bool) -> bool:
    with engine.execution_options(**READING).begin() as connection:
        found = set(sa.inspect(connection).get_table_names())
    if versions.name in found:
        return True
    # A file is all ours; a server's database may well serve others, too.
    strange = found if engine.dialect.name == "sqlite" else found & set(metadata.tables)
    if strange:
        raise ResultStoreError(
            f"{name} is no result store: it holds other tables ({', '.join(sorted(strange)[:4])}). Name another one."
        )
    if not is_made:
        raise ResultStoreError(f"{name} is no result store: it holds no tables. Name another one.")
    return False


def _use_write_ahead_log(engine: sa.Engine, name: str, *, is_made: bool) -> None:
    """Readers and a writer do not wait for each other then."""
    bare = engine.execution_options(**_WITHOUT_TRANSACTION)  # SQLite wants to be asked outside of one
    with bare.connect() as connection:
        if connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal":
            return
    _has_tables(engine, name, is_made=is_made)  # a foreign file is left as it is
    last = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            with bare.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                return
        except OperationalError:
            # Of several that try at once all but one are told that it is busy, without a wait.
            if time.monotonic() > last:
                raise
            time.sleep(0.05)


def _line(text: str) -> str:
    """In one line, and without what a damaged file may hold: that may act on a terminal."""
    return "".join(sign if sign.isprintable() else "�" for sign in " ".join(text.split()))[:_MOST_SIGNS].rstrip(".")


def _advice(error: BaseException | None) -> str:
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith("SQLITE_CORRUPT") or "decode to UTF-8" in str(error):
        return ". The file is damaged: go on with another one, and import what was exported"
    if code.startswith("SQLITE_NOTADB"):
        return ". Name another file"
    if code.startswith("SQLITE_BUSY"):
        return f": others have been writing for {_BUSY_SECONDS:.0f} s. Try again"
    return ""
