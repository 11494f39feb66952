"""The door to paramiko: connections whose host keys are checked, and a runner over them."""

import shlex
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko

from deploy.errors import HostKeyError, HostUnreachableError, LoginRefusedError, PrivilegeError
from deploy.inventory import DEFAULT_SSH_PORT, SshEndpoint
from deploy.runner import DEFAULT_TIMEOUT_SECONDS, Outcome

_CONNECT_SECONDS = 15.0
_KEEPALIVE_SECONDS = 15

Ask = Callable[[str], str | None]
"""Asks a person for a secret; None where nobody can be asked. Answers are kept in memory only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeyRules:
    """Which host keys are taken."""

    known_hosts: Path
    accept_new: bool = False
    """Whether the key of a host that was never seen is taken and remembered."""


class _Rule(paramiko.MissingHostKeyPolicy):
    """Judges the key of a host that the known hosts do not name, or for which the inventory has a fingerprint."""

    def __init__(self, endpoint: SshEndpoint, rules: HostKeyRules) -> None:
        self._endpoint = endpoint
        self._rules = rules

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        endpoint, rules = self._endpoint, self._rules
        if endpoint.fingerprint is not None:
            if key.fingerprint != endpoint.fingerprint:
                raise HostKeyError(
                    f"{endpoint} shows the {key.get_name()} host key {_fingerprint(key)}, the inventory says "
                    f"{endpoint.fingerprint}: somebody may be in between, or the machine was set up anew; find out "
                    "which, then correct the fingerprint."
                )
            return
        if not rules.accept_new:
            raise HostKeyError(
                f"{endpoint} is unknown: its {key.get_name()} host key is {_fingerprint(key)}; compare that with "
                "`ssh-keygen -lf` there, then write it as its fingerprint in the inventory, or use --accept-new."
            )
        del client
        rules.known_hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with rules.known_hosts.open("a", encoding="ascii") as file:
            file.write(f"{hostname} {key.get_name()} {key.get_base64()}\n")


def _fingerprint(key: paramiko.PKey) -> str:
    return str(key.fingerprint)


def connect(endpoint: SshEndpoint, rules: HostKeyRules, ask: Ask, *, jump: SshEndpoint | None = None) -> "SshRunner":
    """A runner on a host, perhaps through another one.

    Raises:
        HostUnreachableError: Nobody answers.
        HostKeyError: The host's key is not to be trusted.
        LoginRefusedError: The host takes none of our keys and passwords.
    """
    before = connect(jump, rules, ask) if jump else None
    try:
        client = _logged_in(endpoint, rules, ask, before)
    except BaseException:
        if before:
            before.close()
        raise
    return SshRunner(client, endpoint, ask, before)


def _logged_in(endpoint: SshEndpoint, rules: HostKeyRules, ask: Ask, before: "SshRunner | None") -> paramiko.SSHClient:
    """A client that has logged in: by keys, then by the passphrase or the password that a person gives."""
    secrets: dict[str, str] = {}
    while True:
        client = paramiko.SSHClient()
        try:
            _try_login(client, endpoint, rules, before, secrets)
        except paramiko.PasswordRequiredException as exc:
            client.close()
            answer = None if "passphrase" in secrets else ask(f"Passphrase of {endpoint.key or 'your SSH key'}")
            if answer is None:
                raise LoginRefusedError(
                    f"{endpoint.key or 'Your SSH key'} has a passphrase: add it to the SSH agent (ssh-add), or run "
                    "this on a terminal."
                ) from exc
            secrets["passphrase"] = answer
        except paramiko.AuthenticationException as exc:
            allowed = _allowed(client, endpoint)
            client.close()
            can_ask = "password" not in secrets and {"password", "keyboard-interactive"} & set(allowed)
            answer = ask(f"Password of {endpoint}") if can_ask else None
            if answer is None:
                raise LoginRefusedError(
                    f"{endpoint} takes none of your keys (it allows {', '.join(allowed)}): name one with key: in the "
                    "inventory, or put yours there with ssh-copy-id."
                ) from exc
            secrets["password"] = answer
        except BaseException:
            client.close()
            raise
        else:
            return client


def _allowed(client: paramiko.SSHClient, endpoint: SshEndpoint) -> list[str]:
    """Ways to log in that a server allows, as it says when nothing is offered."""
    transport = client.get_transport()
    try:
        if transport is not None:
            transport.auth_none(endpoint.user)
    except paramiko.BadAuthenticationType as exc:
        return list(exc.allowed_types)
    except (paramiko.SSHException, OSError, EOFError):
        pass
    return ["password"]


def _try_login(
    client: paramiko.SSHClient,
    endpoint: SshEndpoint,
    rules: HostKeyRules,
    before: "SshRunner | None",
    secrets: dict[str, str],
) -> None:
    if endpoint.fingerprint is None and rules.known_hosts.exists():
        client.load_system_host_keys(str(rules.known_hosts))
    client.set_missing_host_key_policy(_Rule(endpoint, rules))
    try:
        client.connect(
            endpoint.host,
            port=endpoint.port,
            username=endpoint.user,
            key_filename=str(endpoint.key) if endpoint.key else None,
            look_for_keys=endpoint.key is None,
            passphrase=secrets.get("passphrase"),
            password=secrets.get("password"),
            sock=before.tunnel(endpoint.host, endpoint.port) if before else None,
            timeout=_CONNECT_SECONDS,
            banner_timeout=_CONNECT_SECONDS,
            auth_timeout=_CONNECT_SECONDS,
        )
    except paramiko.BadHostKeyException as exc:
        name = endpoint.host if endpoint.port == DEFAULT_SSH_PORT else f"[{endpoint.host}]:{endpoint.port}"
        raise HostKeyError(
            f"{endpoint} has another host key than before ({_fingerprint(exc.key)}, not "
            f"{_fingerprint(exc.expected_key)}): somebody may be in between, or the machine was set up anew; find out "
            f"which, then `ssh-keygen -R '{name}'`."
        ) from exc
    except (paramiko.PasswordRequiredException, paramiko.AuthenticationException):
        raise
    except (paramiko.SSHException, OSError, EOFError) as exc:
        if isinstance(exc, HostKeyError):
            raise
        why = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
        transport = client.get_transport()
        if transport is not None and transport.is_active():
            raise LoginRefusedError(f"{endpoint} was reached, but logging in failed: {why}.") from exc
        raise HostUnreachableError(f"{endpoint} cannot be reached over SSH: {why}.") from exc
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(_KEEPALIVE_SECONDS)


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
                "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=_CONNECT_SECONDS
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
        return self._transport().open_session(timeout=_CONNECT_SECONDS)

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
