"""An sshd for tests: its own keys and configuration, on a free loopback port, as this user, with a home of its own."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.inventory import SshEndpoint

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@dataclass(frozen=True)
class PrivateSshd:
    pid: int
    port: int
    folder: Path
    home: Path

    @property
    def client_key(self) -> Path:
        return self.folder / "client"

    @property
    def fingerprint(self) -> str:
        line = run("ssh-keygen", "-lf", self.folder / "host.pub").stdout
        return line.split()[1]

    @property
    def endpoint(self) -> SshEndpoint:
        return SshEndpoint(
            host="127.0.0.1",
            port=self.port,
            user=getpass.getuser(),
            key=self.client_key,
            fingerprint=self.fingerprint,
        )

    @property
    def known_hosts_line(self) -> str:
        kind, key, *_ = (self.folder / "host.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {kind} {key}\n"


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, words)], capture_output=True, text=True, check=True, timeout=30)


def make_key(path: Path, passphrase: str = "") -> None:
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path)


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return trial.getsockname()[1]


@contextmanager
def running_sshd(folder: Path, settings: str = "", before: Sequence[str] = ()) -> Iterator[PrivateSshd]:
    """`settings` count before those that are made here; `before` is what the server's command is added to."""
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "home"
    home.mkdir()
    for name in ("host", "client"):
        make_key(folder / name)
    (folder / "authorized_keys").write_text((folder / "client.pub").read_text())
    port = free_port()
    (folder / "sshd_config").write_text(
        f"""
{settings}
Port {port}
ListenAddress 127.0.0.1
HostKey {folder / "host"}
AuthorizedKeysFile {folder / "authorized_keys"}
PidFile {folder / "sshd.pid"}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
SetEnv HOME={home}
MaxStartups 100
"""
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with (folder / "sshd.log").open("w") as log:
        process = subprocess.Popen([*before, SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        wait_for_port(port, process, folder / "sshd.log")
        yield PrivateSshd(process.pid, port, folder, home)
    finally:
        process.kill()
        process.wait(10)


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at and process.poll() is None:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError(f"sshd does not listen: {log.read_text()}")
