"""Logging in over SSH: host keys are checked, then keys, passphrases and passwords are tried."""

from dataclasses import dataclass
from pathlib import Path

import paramiko

from deploy.errors import HostKeyError, HostUnreachableError, LoginRefusedError
from deploy.inventory import DEFAULT_SSH_PORT, SshEndpoint
from deploy.ssh.known_hosts import KnownKeys, add_known_key, read_known_keys
from deploy.ssh.running import CONNECT_SECONDS, Ask, SshRunner

_KEEPALIVE_SECONDS = 15
_NOTHING_OFFERED = "No authentication methods available"
"""What paramiko says, in an error of no class of its own, where there is neither a key nor a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeyRules:
    """Which host keys are taken."""

    known_hosts: Path
    accept_new: bool = False
    """Whether the key of a host that was never seen is taken and remembered."""


class _Rule(paramiko.MissingHostKeyPolicy):
    """Judges the key of a host that the known hosts do not name, or for which the inventory has a fingerprint."""

    def __init__(self, endpoint: SshEndpoint, rules: HostKeyRules, known: KnownKeys) -> None:
        self._endpoint = endpoint
        self._rules = rules
        self._known = known

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
        if key.asbytes() in self._known.revoked:
            raise HostKeyError(
                f"{endpoint} shows the {key.get_name()} host key {_fingerprint(key)}, which is marked @revoked in "
                f"{rules.known_hosts}: somebody has that key who should not; have the machine make a new one."
            )
        if not rules.accept_new:
            raise HostKeyError(
                f"{endpoint} is unknown: its {key.get_name()} host key is {_fingerprint(key)}; compare that with "
                "`ssh-keygen -lf` there, then write it as its fingerprint in the inventory, or use --accept-new."
            )
        del client
        add_known_key(rules.known_hosts, hostname, key)


def _fingerprint(key: paramiko.PKey) -> str:
    return str(key.fingerprint)


def connect(endpoint: SshEndpoint, rules: HostKeyRules, ask: Ask, *, jump: SshEndpoint | None = None) -> SshRunner:
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


def _logged_in(endpoint: SshEndpoint, rules: HostKeyRules, ask: Ask, before: SshRunner | None) -> paramiko.SSHClient:
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
    before: SshRunner | None,
    secrets: dict[str, str],
) -> None:
    name = endpoint.host if endpoint.port == DEFAULT_SSH_PORT else f"[{endpoint.host}]:{endpoint.port}"
    known = read_known_keys(rules.known_hosts, name) if endpoint.fingerprint is None else KnownKeys()
    for key in known.trusted:
        client.get_host_keys().add(name, key.get_name(), key)
    client.set_missing_host_key_policy(_Rule(endpoint, rules, known))
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
            timeout=CONNECT_SECONDS,
            banner_timeout=CONNECT_SECONDS,
            auth_timeout=CONNECT_SECONDS,
        )
    except paramiko.BadHostKeyException as exc:
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
        if why == _NOTHING_OFFERED:
            raise paramiko.AuthenticationException(why) from exc
        transport = client.get_transport()
        if transport is not None and transport.is_active():
            raise LoginRefusedError(f"{endpoint} was reached, but logging in failed: {why}.") from exc
        raise HostUnreachableError(f"{endpoint} cannot be reached over SSH: {why}.") from exc
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(_KEEPALIVE_SECONDS)
