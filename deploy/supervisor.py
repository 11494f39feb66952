"""Keeps the agent up where there is no systemd. A file of its own on the node, which needs the standard library only.

`supervise.py start|stop|restart|status SETTINGS.json`. The settings name the command, the folder for log and pid file,
the user to run as when root starts it, and the environment. A process counts as running as long as it holds the lock of
its pid file alone, and the file names nobody before it: a pid that the system gave to somebody else is never signalled.
Who only looks shares the lock for a moment, which a start waits for. The agent ends with its standard input, so that it
never outlives a supervisor that was killed.
"""

import contextlib
import fcntl
import json
import os
import pwd
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
STEADY_SECONDS = 60.0
"""An agent that ran so long begins with the first pause again."""

STOP_SECONDS = 20.0
LOG_BYTES = 4 << 20
"""A log that is longer gives way to a new one; one old one is kept."""

_MOST_DESCRIPTORS = 1024
_NUMBERS_BYTES = 64
Settings = dict[str, Any]


def pause_after(n_failures: int) -> float:
    """Seconds to wait after so many short runs in a row: 1, 2, 4 … 60."""
    return float(min(FIRST_PAUSE_SECONDS * 2 ** min(max(n_failures - 1, 0), 16), LONGEST_PAUSE_SECONDS))


class Log:
    """Takes lines from any thread. Those that a full disk does not take are lost: the agent must not wait for it."""

    def __init__(self, path: Path, limit: int = LOG_BYTES) -> None:
        self._path, self._limit = path, limit
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def write(self, line: bytes) -> None:
        """Adds a line; begins a new file where the old one would grow too long."""
        with self._lock, contextlib.suppress(OSError):
            if self._file.tell() + len(line) > self._limit:
                with contextlib.suppress(FileNotFoundError):
                    self._path.replace(self._path.with_name(f"{self._path.name}.1"))
                full, self._file = self._file, self._path.open("ab", buffering=0)
                full.close()
            self._file.write(line)

    def close(self) -> None:
        """Ends it."""
        self._file.close()


class Supervisor:
    """Runs the agent again and again until it is told to end."""

    def __init__(self, settings: Settings, log: Log, pid_file: int) -> None:
        self._settings, self._log, self._pid_file = settings, log, pid_file
        self._wakes = os.pipe()
        self._is_ending = False
        self._child: subprocess.Popen[bytes] | None = None
        self._n_restarts = 0

    def stop(self, _number: int = 0, _frame: FrameType | None = None) -> None:
        """Ends the agent, then `run`. A signal handler, so that it takes no lock."""
        if not self._is_ending:
            self._is_ending = True
            os.write(self._wakes[1], b".")
            if self._child is not None:
                self._end(self._child)

    def run(self) -> None:
        """Runs the agent until `stop`."""
        self._note(0)
        n_failures = 0
        while not self._is_ending:
            began = time.monotonic()
            status = self._run_once()
            if self._is_ending:
                break
            n_failures = 1 if time.monotonic() - began > STEADY_SECONDS else n_failures + 1
            pause = pause_after(n_failures)
            self._log.write(f"supervisor: the agent ended with status {status}; again in {pause:g} s\n".encode())
            self._n_restarts += 1
            self._note(0)
            select.select([self._wakes[0]], [], [], pause)

    def _run_once(self) -> int:
        settings = self._settings
        account = pwd.getpwnam(settings["user"]) if settings.get("user") and os.getuid() == 0 else None
        try:
            child: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - what the settings name
                settings["command"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**settings["environment"], "PATH": os.environ.get("PATH", "/usr/bin:/bin")},
                cwd=settings["working_folder"],
                start_new_session=True,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )
        except OSError as exc:
            self._log.write(f"supervisor: the agent cannot be started: {exc}\n".encode())
            return -1
        self._child = child
        self._note(child.pid)
        if self._is_ending:  # the signal came before there was a child
            self._end(child)
        reader = threading.Thread(target=self._copy_log, args=(child,), daemon=True)
        reader.start()
        status = child.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)  # what it started and left behind
        reader.join(1.0)
        return status

    def _copy_log(self, child: subprocess.Popen[bytes]) -> None:
        for line in child.stdout or ():
            self._log.write(line)

    @staticmethod
    def _end(child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        late = threading.Timer(STOP_SECONDS / 2, child.kill)
        late.daemon = True
        late.start()

    def _note(self, agent: int) -> None:
        with contextlib.suppress(OSError):
            write_numbers(self._pid_file, os.getpid(), agent, self._n_restarts)


def start(settings: Settings) -> None:
    """Starts a supervisor in the background, once."""
    pid_file = open_pid_file(settings)
    if take(pid_file) and not os.fork():
        os.setsid()
        if not os.fork():
            _serve(settings, pid_file)
        os._exit(0)


def _serve(settings: Settings, pid_file: int) -> None:
    """The life of the background process. What it inherited is closed: SSH would wait for it, and locks would stay."""
    for number in range(_MOST_DESCRIPTORS):
        if number != pid_file:
            with contextlib.suppress(OSError):
                os.close(number)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.umask(0o077)
    supervisor = Supervisor(settings, Log(Path(settings["folder"]) / "agent.log"), pid_file)
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_, supervisor.stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor.run()


def stop(settings: Settings) -> None:
    """Ends the supervisor and its agent, and waits for that."""
    if not _pid_path(settings).exists():
        return
    pid_file = open_pid_file(settings)
    ends_at = time.monotonic() + STOP_SECONDS
    while not is_free(pid_file):
        supervisor, agent, _ = numbers(pid_file)
        is_late = time.monotonic() > ends_at
        for pid in filter(None, (supervisor, agent if is_late else 0)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if is_late else signal.SIGTERM)
        time.sleep(0.1)
    os.close(pid_file)


def status(settings: Settings) -> None:
    """Says how it goes, in lines of `key value`."""
    if _pid_path(settings).exists():
        pid_file = open_pid_file(settings)
        if not is_free(pid_file):
            _, agent, n_restarts = numbers(pid_file)
            sys.stdout.write(f"active {'active' if agent else 'waiting'}\npid {agent}\nrestarts {n_restarts}\n")
            return
    sys.stdout.write("active inactive\n")


def _pid_path(settings: Settings) -> Path:
    return Path(settings["folder"]) / "agent.pid"


def open_pid_file(settings: Settings) -> int:
    """Descriptor of the pid file."""
    return os.open(_pid_path(settings), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def take(pid_file: int) -> bool:
    """Takes the lock of the pid file, which names nobody then, unless a supervisor has it. It goes with the process."""
    while not _lock(pid_file, fcntl.LOCK_EX):
        if not is_free(pid_file):
            return False
    write_numbers(pid_file, 0, 0, 0)
    return True


def is_free(pid_file: int) -> bool:
    """Whether no supervisor has the lock of the pid file."""
    is_shared = _lock(pid_file, fcntl.LOCK_SH)
    if is_shared:
        fcntl.flock(pid_file, fcntl.LOCK_UN)
    return is_shared


def _lock(pid_file: int, kind: int) -> bool:
    try:
        fcntl.flock(pid_file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_numbers(pid_file: int, supervisor: int, agent: int, n_restarts: int) -> None:
    """Writes what `numbers` reads, always as many bytes: they have their place on a disk that is full later."""
    os.pwrite(pid_file, f"{supervisor} {agent} {n_restarts}".ljust(_NUMBERS_BYTES - 1).encode() + b"\n", 0)


def numbers(pid_file: int) -> tuple[int, int, int]:
    """(pid of the supervisor, pid of the agent or 0, times that it was restarted)."""
    words = os.pread(pid_file, _NUMBERS_BYTES, 0).decode("ascii").split()
    return (int(words[0]), int(words[1]), int(words[2])) if len(words) == 3 else (0, 0, 0)


def main(words: list[str]) -> int:
    """Exit status of a command line."""
    verbs = {"start": (start,), "stop": (stop,), "restart": (stop, start), "status": (status,)}
    if len(words) != 2 or words[0] not in verbs:
        sys.stderr.write("supervise.py start|stop|restart|status SETTINGS.json\n")
        return 2
    settings: Settings = json.loads(Path(words[1]).read_text(encoding="utf-8"))
    for verb in verbs[words[0]]:
        verb(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
