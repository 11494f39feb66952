"""A machine of its own as far as files, users and processes go: an sshd in namespaces, where root may install.

It has copies of /etc, empty /opt, /var/lib, /var/log and /home, and a user who logs in with a key or a password and
whose sudo asks for the password. All ends with the server, whatever was started there.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from private_sshd import SSHD, PrivateSshd, running_sshd

USER = "dana"
_UID = 61001
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private")
_FURNISH = """
set -e
mount --bind "$1" /etc
for folder in /opt /var/lib /var/log /home; do mount -t tmpfs -o mode=0755 tmpfs $folder; done
install -d -m 0700 -o dana -g dana /home/dana
shift
exec "$@"
"""
_FORCED = """#!/bin/sh
printf '%s\\n' "$SSH_ORIGINAL_COMMAND" >>COMMANDS
case $SSH_ORIGINAL_COMMAND in
  internal-sftp) exec SFTP;;
  *) exec /bin/sh -c "$SSH_ORIGINAL_COMMAND";;
esac
"""
"""What sshd runs for every command that is asked for: notes it, word for word."""


def missing_for_it() -> str:
    """Why there can be no such machine here; empty where there can be one."""
    if SSHD is None or shutil.which("sudo") is None:
        return "there is no sshd or no sudo: make system"
    tried = subprocess.run([*_NAMESPACES, "mount", "-t", "tmpfs", "tmpfs", "/opt"], capture_output=True, check=False)
    return "" if os.getuid() == 0 and tried.returncode == 0 else "namespaces of its own need root"


def commands_of(machine: PrivateSshd) -> str:
    """All command lines that it was sent."""
    return (machine.folder / "etc" / "commands").read_text()


@contextmanager
def running_machine(folder: Path, password: str) -> Iterator[PrivateSshd]:
    etc = folder / "etc"
    shutil.copytree("/etc", etc, symlinks=True)
    _add_user(etc, password)
    (etc / "commands").touch(mode=0o666)
    (etc / "commands").chmod(0o666)
    sftp = "/usr/lib/openssh/sftp-server"
    (etc / "forced").write_text(_FORCED.replace("COMMANDS", "/etc/commands").replace("SFTP", sftp))
    (etc / "forced").chmod(0o755)
    settings = (
        "AuthorizedKeysFile /etc/authorized_keys\nPasswordAuthentication yes\nLogLevel DEBUG3\n"
        f"ForceCommand /etc/forced\nSetEnv HOME=/home/{USER}\n"
    )
    before = (*_NAMESPACES, "/bin/sh", "-c", _FURNISH, "sh", str(etc))
    with running_sshd(folder, settings, before) as machine:
        (etc / "authorized_keys").write_text((folder / "client.pub").read_text())
        yield machine


def _add_user(etc: Path, password: str) -> None:
    digest = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"], input=password, capture_output=True, text=True, check=True
    ).stdout.strip()
    for name, line in (
        ("passwd", f"{USER}:x:{_UID}:{_UID}::/home/{USER}:/bin/sh"),
        ("group", f"{USER}:x:{_UID}:"),
        ("shadow", f"{USER}:{digest}:20000:0:99999:7:::"),
        ("sudoers", f"{USER} ALL=(ALL:ALL) ALL"),
    ):
        with (etc / name).open("a") as file:
            file.write(f"{line}\n")
