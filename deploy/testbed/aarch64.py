"""A host for aarch64 on this machine: a Debian under qemu-user with an sshd and an address of its own.

It lives in user, mount, process and network namespaces that end with the process which began them, however that ends:
nothing is mounted, registered or plugged in outside. Its processor is emulated, some hundred times slower for what
onnxruntime does: it shows that a deployment is right, not how fast it is.
"""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from deploy.errors import NoTestbedError
from deploy.inventory import DEFAULT_SSH_PORT, SshEndpoint
from deploy.testbed.commands import run_ip
from deploy.testbed.machine import fingerprint_of, make_key
from deploy.testbed.needs import program

PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-aarch64-static": "qemu-user-static",
    "ip": "iproute2",
    "ssh-keygen": "openssh-client",
}
"""Packages of Debian, by the commands that are taken from them; what every Debian has is left out."""
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_SYSTEM_EMULATOR = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
_OWN_EMULATORS_SINCE = (6, 7)
"""Version of Linux that keeps emulators by user namespace."""

_BOOT = "aarch64_boot.sh"
_BOOT_SECONDS = 60.0
_END_SECONDS = 10.0
_ALL_IDS = "0 0 4294967295\n"
_MOST_HOSTS = 64
_UNSHARE = ("unshare", "--user", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aarch64Host:
    """A host that is up."""

    address: str
    """IPv4; only this machine has a way there."""
    key: Path
    """Private key that logs in as root."""
    fingerprint: str
    """Of its host key."""
    files: Path
    """Its `/`, seen from here."""

    @property
    def endpoint(self) -> SshEndpoint:
        """How to log in."""
        return SshEndpoint(host=self.address, user="root", key=self.key, fingerprint=self.fingerprint)

    @property
    def commands(self) -> tuple[str, ...]:
        """Command lines of all that runs there."""
        lines = []
        for folder in (self.files / "proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended
                lines.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip())
        return tuple(sorted(lines))


def why_no_aarch64() -> str:
    """Why such a host cannot run here, with what helps; empty where it can."""
    if missing := [package for tool, package in PROGRAMS.items() if program(tool) is None]:
        return f"a host for aarch64 needs {', '.join(missing)}: make testbed"
    if os.geteuid() != 0:
        return "a host for aarch64 needs root, which makes its network and its users"
    version = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    if version < _OWN_EMULATORS_SINCE and not _SYSTEM_EMULATOR.exists():
        return "the system has no emulator for aarch64, and this Linux none by namespace: install binfmt-support"
    return ""


@contextmanager
def running_aarch64(archive: Path, folder: Path) -> Iterator[Aarch64Host]:
    """A booted host, as bare as its archive.

    Args:
        archive: See `root_archive`.
        folder: An absolute one; takes its keys and its log.

    Raises:
        NoTestbedError: It does not come up; the message has its last words.
    """
    root = folder / "root"
    root.mkdir(parents=True)
    for name in ("host", "client"):
        make_key(folder / name)
    shutil.copy(folder / "client.pub", folder / "authorized_keys")
    environment = {
        "PATH": _PATH,
        "ROOT": str(root),
        "ARCHIVE": str(archive),
        "KEYS": str(folder),
        "QEMU": str(program("qemu-aarch64-static")),
    }
    log = folder / "log"
    with log.open("wb") as said:
        boot = subprocess.Popen(  # noqa: S603 - ours
            [*_UNSHARE, "/bin/sh", str(resources.files("deploy.testbed") / _BOOT)],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            env=environment,
        )
    try:
        address = _set_going(boot)
        _await_sshd(address, boot, log)
        files = Path(f"/proc/{boot.pid}/root{root}")
        yield Aarch64Host(
            address=address, key=folder / "client", fingerprint=fingerprint_of(folder / "host"), files=files
        )
    finally:
        _end(boot)


def _set_going(boot: subprocess.Popen[bytes]) -> str:
    """Maps the numbers of users and groups, plugs the network in, and lets it go on. Gives the host's address."""
    _await_namespaces(boot.pid)
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{boot.pid}/{name}").write_text(_ALL_IDS, encoding="ascii")
    gateway, address = _plug_in(boot.pid)
    if boot.stdin is None:
        raise NoTestbedError("The host for aarch64 has no standard input.")
    boot.stdin.write(f"{address} {gateway}\n".encode())
    boot.stdin.flush()
    return address


def _await_namespaces(pid: int) -> None:
    """Waits until a process is in a user namespace of its own."""
    ends_at = time.monotonic() + _BOOT_SECONDS
    while (found := _namespaces(pid)) and set(found) & set(_namespaces(os.getpid())) and time.monotonic() < ends_at:
        time.sleep(0.01)


def _namespaces(pid: int) -> tuple[str, ...]:
    try:
        return tuple(os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("user", "net"))  # noqa: PTH115
    except OSError:
        return ()


def _plug_in(pid: int) -> tuple[str, str]:
    """A cable to the network namespace of a process, which goes with that. Gives the addresses of both ends.

    They are of 198.18.0.0/15, which is for tests between devices. Source: RFC 2544.
    """
    for number in range(_MOST_HOSTS):
        name = f"sf-arm{number}"
        if Path(f"/sys/class/net/{name}").exists():
            continue
        gateway, address = f"198.18.64.{4 * number + 1}", f"198.18.64.{4 * number + 2}"
        run_ip(
            (
                f"link add {name} type veth peer name eth0 netns {pid}",
                f"address add {gateway}/30 dev {name}",
                f"link set {name} up",
            )
        )
        return gateway, address
    raise NoTestbedError(f"There are {_MOST_HOSTS} hosts for aarch64 already.")


def _await_sshd(address: str, boot: subprocess.Popen[bytes], log: Path) -> None:
    ends_at = time.monotonic() + _BOOT_SECONDS
    while boot.poll() is None and time.monotonic() < ends_at:
        with suppress(OSError), socket.create_connection((address, DEFAULT_SSH_PORT), 1.0) as sshd:
            if sshd.recv(4) == b"SSH-":
                return
        time.sleep(0.1)
    words = log.read_text(errors="replace").strip().splitlines()
    raise NoTestbedError(f"The host for aarch64 does not come up; it said: {' | '.join(words[-5:])}")


def _end(boot: subprocess.Popen[bytes]) -> None:
    """Ends process 1 of the host by its standard input, and all else of it by that."""
    if boot.stdin is not None:
        with suppress(OSError):
            boot.stdin.close()
    try:
        boot.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        boot.kill()
        boot.wait()
