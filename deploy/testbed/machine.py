"""One host: a Linux kernel that is a process of this machine, with its own files, network and SSH server."""

import base64
import hashlib
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from deploy.errors import NoTestbedError
from deploy.testbed.commands import run_command
from deploy.testbed.needs import program
from deploy.testbed.place import Place

BOOT_SECONDS = 60.0
MEMORY_MEBIBYTES = 1536
_PREFIX = 24

_SSHD = """
HostKey /etc/ssh/host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
UseDNS no
PrintMotd no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestbedHost:
    """A host of a testbed, as others see it. Root logs in there."""

    __test__ = False  # not a test, whatever pytest makes of its name

    name: str
    address: str
    fingerprint: str
    """Of its host key: `SHA256:…`."""


class Machine:
    """A host that is booted and ended. Used by one thread at a time."""

    def __init__(self, name: str, index: int, place: Place, client_key: Path) -> None:
        self._place = place
        self._index = index
        self._folder = place.folder / name
        self._folder.mkdir()
        host_key = self._folder / "host_key"
        make_key(host_key)
        shutil.copy(client_key.with_suffix(".pub"), self._folder / "authorized_keys")
        (self._folder / "sshd_config").write_text(_SSHD, encoding="ascii")
        boot = self._folder / "boot.sh"
        boot.write_bytes((resources.files("deploy.testbed") / "boot.sh").read_bytes())
        boot.chmod(0o755)
        self.host = TestbedHost(name=name, address=place.host_address(index), fingerprint=fingerprint_of(host_key))
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        """The kernel. What it is not told by name, it hands on to its first process."""
        folder, place = self._folder, self._place
        words = [program("ip") or "ip", "netns", "exec", place.namespace, program("linux") or "linux"]
        words += [f"umid={self.host.name}", f"uml_dir={folder}", f"mem={MEMORY_MEBIBYTES}M"]
        words += ["root=/dev/root", "rootfstype=hostfs", "ro", "quiet", "panic=1", f"init={folder}/boot.sh"]
        words += ["con=null", "con0=null,fd:1", f"vec0:transport=tap,ifname={tap_of(self._index)},depth=64"]
        words += [f"FOLDER={folder}", f"NAME={self.host.name}"]
        words += [f"ADDRESS={self.host.address}/{_PREFIX}", f"GATEWAY={place.own_address}"]
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C is for whoever waits for the hosts, and ends them in order.
            return subprocess.Popen(  # noqa: S603 - words of ours
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    @property
    def _log(self) -> Path:
        return self._folder / "console.log"

    def wait_until_up(self) -> None:
        """Returns when its SSH server answers.

        Raises:
            NoTestbedError: It did not come up.
        """
        ends_at = time.monotonic() + BOOT_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > ends_at:
                said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise NoTestbedError(
                    f"The testbed host '{self.host.name}' does not come up; it said: {' | '.join(said[-5:])}"
                )
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host.address, 22), timeout=1.0) as trial:
                return trial.recv(4) == b"SSH-"
        except OSError:
            return False

    def end(self) -> None:
        """Ends it at once: nothing of it outlives its memory."""
        self._process.kill()
        self._process.wait()


def make_key(path: Path) -> None:
    """Makes a key for SSH, and `.pub` beside it."""
    run_command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path))


def fingerprint_of(key: Path) -> str:
    """`SHA256:…`, as `ssh-keygen -lf` says it."""
    public = base64.b64decode(key.with_suffix(".pub").read_text(encoding="ascii").split()[1])
    return f"SHA256:{base64.b64encode(hashlib.sha256(public).digest()).decode().rstrip('=')}"


def tap_of(index: int) -> str:
    """This machine's end of a host's cable."""
    return f"tap{index}"
