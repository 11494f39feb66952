"""What a testbed needs of this machine."""

import os
import platform
import shutil
from pathlib import Path

PROGRAMS = {
    "linux": "user-mode-linux",
    "busybox": "busybox-static",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "tc": "iproute2",
}
"""Debian's package of each program that must be there."""

_TUN = Path("/dev/net/tun")


def program(name: str) -> str | None:
    """Path of a program, also where the PATH of a user lacks the folders of root's programs."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def missing_needs() -> tuple[str, ...]:
    """Why there can be no testbed on this machine, each with its remedy; nothing where there can."""
    reasons = []
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        reasons.append(
            f"User-Mode Linux runs on Linux for x86-64 only, not on {platform.system()} {platform.machine()}"
        )
    packages = sorted({package for name, package in PROGRAMS.items() if program(name) is None})
    if packages:
        reasons.append(f"there is no {', no '.join(packages)}: make testbed (apt-get install {' '.join(packages)})")
    if os.geteuid() != 0:
        reasons.append("network namespaces and interfaces need root: run it with sudo")
    if not _TUN.exists():
        reasons.append(f"there is no {_TUN}: load the kernel module tun, or pass the device on to the container")
    return tuple(reasons)
