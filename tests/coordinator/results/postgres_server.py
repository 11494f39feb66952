"""A PostgreSQL of its own for tests: on a free port of the loopback, in a temporary folder, not as root."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

START_SECONDS = 60
USER = "splitfront"


class NoPostgresError(Exception):
    """There is none to be had here."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """URL of a running server's empty database, the password in it; the server ends with the context."""
    programs = _programs()
    password = secrets.token_hex(8)
    folder = Path(tempfile.mkdtemp(prefix="splitfront-postgres-"))
    try:
        if os.geteuid() == 0:
            folder.chmod(0o755)
            shutil.chown(folder, *_account())
        process, port = _start(programs, folder, password)
        try:
            yield f"postgresql://{USER}:{password}@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # "fast": it ends all connections, and itself
            process.wait(START_SECONDS)
    finally:
        shutil.rmtree(folder)


@contextmanager
def empty_database(url: str) -> Iterator[str]:
    """URL of a new database on the server; it is dropped afterwards."""
    name = f"results_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield url.removesuffix("/postgres") + f"/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _programs() -> Path:
    """Folder of initdb and postgres, as on the path or as Debian has it."""
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders or not (folders[-1] / "initdb").exists():
        raise NoPostgresError("PostgreSQL is not installed: make system")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        raise NoPostgresError("PostgreSQL does not run as root, and there is no setpriv to become somebody else with")
    return folders[-1]


def _account() -> tuple[int, int]:
    """(user, group) that the server runs as where we are root, which it refuses."""
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid
    raise NoPostgresError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _command(*words: object) -> list[str]:
    """As the account; one that outlives us by no more than a moment, however we end."""
    prefix = ["setpriv", "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        user, group = _account()
        prefix += ["--reuid", str(user), "--regid", str(group), "--clear-groups"]
    return [*(prefix if shutil.which("setpriv") else []), *map(str, words)]


def _start(programs: Path, folder: Path, password: str) -> tuple[subprocess.Popen[bytes], int]:
    data, secret = folder / "data", folder / "password"
    secret.write_text(password)
    made = subprocess.run(
        _command(
            *(programs / "initdb", "-D", data, "-U", USER, "--pwfile", secret, "-A", "scram-sha-256"),
            *("-E", "UTF8", "--locale=C", "--no-sync"),
        ),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    secret.unlink()
    for _ in range(3):  # between our finding a port and its taking it, somebody else may
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                _command(
                    *(programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", port),
                    *("-c", "unix_socket_directories=", "-c", "fsync=off"),
                ),
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        if _answers(process, f"postgresql://{USER}:{password}@127.0.0.1:{port}/postgres"):
            return process, port
    raise AssertionError((folder / "log").read_text())


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    """Whether it comes up, which is waited for."""
    last = time.monotonic() + START_SECONDS
    while process.poll() is None:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > last:
                process.kill()
                process.wait()
                raise
            time.sleep(0.05)
        else:
            return True
    return False
