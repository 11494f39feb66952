"""Machines and installations for tests."""

from pathlib import Path
from typing import Any

from deploy.facts.installed import NOTHING, Installed
from deploy.facts.machine import Interpreter, Machine
from deploy.inventory import AgentSettings, Host, SshEndpoint
from deploy.layout import Layout
from deploy.planning.wanted import ManagedFile, Wanted, Wheel

PYTHON = Interpreter(version=(3, 11), path="/usr/bin/python3.11", implementation="cpython", bits=64)


def machine(**changes: Any) -> Machine:
    values: dict[str, Any] = {
        "kernel": "Linux",
        "machine": "aarch64",
        "bits": 64,
        "glibc": (2, 36),
        "is_musl": False,
        "system": "Debian GNU/Linux 12 (bookworm)",
        "board": "Raspberry Pi 4 Model B Rev 1.4",
        "uid": 1000,
        "login": "pi",
        "home": "/home/pi",
        "sudo": "free",
        "systemd": 252,
        "pythons": (PYTHON,),
        "n_cores": 4,
        "memory_bytes": 2 << 30,
        "available_bytes": 1 << 30,
        "free_bytes": {"/opt": 8 << 30, "/var": 8 << 30, "/home/pi": 8 << 30},
        "time_seconds": 1_700_000_000,
        "tools": frozenset({"flock", "tc", "sha256sum"}),
    }
    return Machine(**values | changes)


def host(**changes: Any) -> Host:
    values: dict[str, Any] = {
        "name": "pi-1",
        "address": "192.168.1.11",
        "ssh": SshEndpoint(host="192.168.1.11", user="pi"),
        "agent": AgentSettings(name="pi-1", port=50051, is_loopback=False),
    }
    return Host(**values | changes)


def system_layout(*, has_systemd: bool = True) -> Layout:
    return Layout(
        is_system=True,
        has_systemd=has_systemd,
        root="/opt/splitfront",
        state="/var/lib/splitfront",
        logs="/var/log/splitfront",
        staging="/home/pi/.cache/splitfront-install",
        python=PYTHON.path,
    )


def wanted(layout: Layout, version: str = "1.0", settings: str = "a", **changes: Any) -> Wanted:
    values: dict[str, Any] = {
        "version": version,
        "python": PYTHON,
        "wheels": tuple(
            Wheel(path=Path(f"/wheels/{name}"), sha256=f"{version}{name}".ljust(64, "0"), n_bytes=1000)
            for name in ("numpy-2.4.6-py3-none-any.whl", f"splitfront-{version}-py3-none-any.whl")
        ),
        "files": tuple(ManagedFile(path=path, text=f"{path} {settings}") for path in layout.managed_files),
        "address": "127.0.0.1:50051",
        "server_name": "",
    }
    return Wanted(**values | changes)


def finished(state: Installed, steps: Any) -> Installed:
    """What is installed once the steps are done, by what each says of itself."""
    for step in steps:
        state = step.after(state)
    return state


__all__ = ["NOTHING", "finished", "host", "machine", "system_layout", "wanted"]
