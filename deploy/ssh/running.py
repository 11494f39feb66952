"""A runner over an SSH connection."""

import shlex
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko

from deploy.errors import HostUnreachableError, PrivilegeError
from deploy.inventory import SshEndpoint
from deploy.runner import DEFAULT_TIMEOUT_SECONDS, Outcome

CONNECT_SECONDS = 15.0

Ask = Callable[[str], str | None]
"""Asks a person for a secret; None where nobody can be asked. Answers are kept in memory only."""


class SshRunner:
    """Runs commands on a host over SSH; see `deploy.runner.Runner`. One thread at a time."""

    def __init__(self, client: paramiko.SSHClient, endpoint: SshEndpoint, ask: Ask, before: "SshRunner | None") -> None:
        self._client = client
        self._endpoint = endpoint
        self._ask = ask
        self._before = before
        self._sudo: tuple[str, bytes] | None = None

    def run(
        self,
        command: str,
        *,
        stdin: bytes = b"",
        is_privileged: bool = False,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> Outcome:
        """See `Runner`."""
        prefix, secret = self._privilege() if is_privileged else ("", b"")
        return self._run(f"{prefix}/bin/sh -c {shlex.quote(command)}", secret + stdin, timeout_seconds)

    def _privilege(self) -> tuple[str, bytes]:
        """What goes before a command that root must run, and before its standard input.

        Raises:
            PrivilegeError: There is no sudo, or it takes no password of ours.
        """
        if self._sudo is None:
            self._sudo = self._find_privilege()
        return self._sudo

    def _find_privilege(self) -> tuple[str, bytes]:
        def status(command: str, stdin: bytes = b"") -> int:
            return self._run(command, stdin, DEFAULT_TIMEOUT_SECONDS).status

        if status('test "$(id -u)" -eq 0') == 0:
            return ("", b"")
        if status("command -v sudo >/dev/null") != 0:
            raise PrivilegeError(f"{self._endpoint} is not root and has no sudo: log in as root, or use scope: user.")
        if status("sudo -n true") == 0:
            return ("sudo -n -- ", b"")
        answer = self._ask(f"sudo password of {self._endpoint}")
        if answer is None:
            raise PrivilegeError(
                f"sudo of {self._endpoint} wants a password: run this on a terminal, allow sudo without one, or use "
                "scope: user."
            )
        # -k: sudo always reads the password, so that it can never end up in the standard input of the command.
        prefix, secret = "sudo -k -S -p '' -- ", f"{answer}\n".encode()
        if status(f"{prefix}true", secret) != 0:
            raise PrivilegeError(f"sudo of {self._endpoint} does not take that password.")
        return (prefix, secret)

    def _run(self, command: str, stdin: bytes, timeout_seconds: float) -> Outcome:
        try:
            with self._session() as channel:
                channel.settimeout(timeout_seconds)
                channel.exec_command(command)
                errors: list[bytes] = []
                threads = (
                    threading.Thread(target=_feed, args=(channel, stdin), daemon=True),
                    threading.Thread(target=_drain, args=(channel, errors), daemon=True),
                )
                for thread in threads:
                    thread.start()
                said = channel.makefile("rb").read()
                for thread in threads:
                    thread.join(timeout_seconds)
                status = channel.recv_exit_status()
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise self._broken(exc) from exc
        return Outcome(
            status=status,
            stdout=said.decode(errors="replace"),
            stderr=b"".join(errors).decode(errors="replace"),
        )

    def lines(self, command: str, *, is_privileged: bool = False) -> Iterator[str]:
        """See `Runner`."""
        prefix, secret = self._privilege() if is_privileged else ("", b"")
        try:
            with self._session() as channel:
                channel.exec_command(f"{prefix}/bin/sh -c {shlex.quote(command)}")
                channel.sendall(secret)
                channel.shutdown_write()
                channel.set_combine_stderr(True)
                for line in channel.makefile("r"):
                    yield str(line).rstrip("\n")
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise self._broken(exc) from exc

    def put(self, source: Path, target: str) -> None:
        """See `Runner`."""
        try:
            with self._client.open_sftp() as sftp:
                sftp.put(str(source), f"{target}.part")
                sftp.posix_rename(f"{target}.part", target)
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise self._broken(exc, f"{source.name} was not sent") from exc

    def tunnel(self, host: str, port: int) -> paramiko.Channel:
        """A connection from there to `host:port`.

        Raises:
            HostUnreachableError: Nobody listens there, or forwarding is not allowed.
        """
        try:
            return self._transport().open_channel(
                "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=CONNECT_SECONDS
            )
        except (paramiko.SSHException, OSError, EOFError) as exc:
            raise self._broken(exc, f"it does not lead on to {host}:{port}") from exc

    def close(self) -> None:
        """See `Runner`."""
        self._client.close()
        if self._before:
            self._before.close()

    def _transport(self) -> paramiko.Transport:
        transport = self._client.get_transport()
        if transport is None:
            raise HostUnreachableError(f"The connection to {self._endpoint} has ended.")
        return transport

    def _session(self) -> paramiko.Channel:
        return self._transport().open_session(timeout=CONNECT_SECONDS)

    def _broken(self, exc: Exception, what: str = "") -> HostUnreachableError:
        if isinstance(exc, HostUnreachableError):
            return exc
        why = "it said nothing for too long" if isinstance(exc, TimeoutError) else str(exc) or type(exc).__name__
        return HostUnreachableError(f"{self._endpoint}: {what or 'the connection broke'}: {why}.")


def _drain(channel: paramiko.Channel, errors: list[bytes]) -> None:
    """Reads the errors of a command until it ends; who waits for its output hears of a connection that breaks."""
    try:
        errors.extend(channel.makefile_stderr("rb"))
    except (OSError, paramiko.SSHException):
        return


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    """Sends the standard input of a command, which may end before it has read all of it."""
    try:
        channel.sendall(stdin)
        channel.shutdown_write()
    except (OSError, paramiko.SSHException):
        return
