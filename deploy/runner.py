"""What runs commands on a machine: the port that planning's results go through, and a runner for this machine."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy.errors import CommandFailedError, HostUnreachableError

DEFAULT_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The last line that says something, of the errors if there are any."""
        lines = [line for text in (self.stdout, self.stderr) for line in text.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "it said nothing"


class Runner(Protocol):
    """Runs shell commands on one machine and puts files there. One thread at a time."""

    def run(
        self,
        command: str,
        *,
        stdin: bytes = b"",
        is_privileged: bool = False,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> Outcome:
        """Runs a POSIX shell command, as root where it is privileged.

        Raises:
            HostUnreachableError: The connection broke, or the command said nothing for too long.
            PrivilegeError: Root is needed and cannot be had.
        """
        ...

    def lines(self, command: str, *, is_privileged: bool = False) -> Iterator[str]:
        """The lines of a command that goes on, as they come."""
        ...

    def put(self, source: Path, target: str) -> None:
        """Copies a file of this machine there, whole or not at all, as the login user."""
        ...

    def close(self) -> None:
        """Ends the connection."""
        ...


def checked(outcome: Outcome, purpose: str) -> str:
    """What a command said that must not fail; `purpose` completes the sentence `cannot …`.

    Raises:
        CommandFailedError: It failed.
    """
    if outcome.status != 0:
        message = f"cannot {purpose}: {outcome.last_words} (status {outcome.status})"
        raise CommandFailedError(message, status=outcome.status)
    return outcome.stdout


class LocalRunner:
    """Runs commands on this machine, as this user. For tests and for the machine that one sits at."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def run(
        self,
        command: str,
        *,
        stdin: bytes = b"",
        is_privileged: bool = False,  # noqa: ARG002 - this user is who there is
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> Outcome:
        """See `Runner`."""
        words = ["/bin/sh", "-c", command]
        try:
            done = subprocess.run(  # noqa: S603 - running commands is what it is for
                words, input=stdin, capture_output=True, check=False, timeout=timeout_seconds, env=self._environment
            )
        except subprocess.TimeoutExpired as exc:
            raise HostUnreachableError(f"A command took longer than {timeout_seconds:g} s.") from exc
        return Outcome(
            status=done.returncode,
            stdout=done.stdout.decode(errors="replace"),
            stderr=done.stderr.decode(errors="replace"),
        )

    def lines(self, command: str, *, is_privileged: bool = False) -> Iterator[str]:
        """See `Runner`; what is asked for here ends by itself."""
        yield from self.run(command, is_privileged=is_privileged).stdout.splitlines()

    def put(self, source: Path, target: str) -> None:
        """See `Runner`."""
        partial = Path(f"{target}.part")
        partial.write_bytes(source.read_bytes())
        partial.replace(target)

    def close(self) -> None:
        """Nothing to end."""
