"""What can be said about this machine and this process."""

import hashlib
import importlib.metadata
import importlib.util
import platform
import resource
import sys
import uuid
from pathlib import Path

import psutil

from node_agent.errors import AgentConfigError
from node_agent.host.control_group import MEMORY, TASKS, memory_limit, own_group, tasks_left

_RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-qnn", "onnxruntime-directml")
"""Distributions that bring the package `onnxruntime`; two of them overwrite each other's files."""


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution; None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def splitfront_version() -> str:
    """Version of this program."""
    return version_of("splitfront") or "0+source"


def runtime_version() -> str:
    """Name and version of the runtime, found without loading it: `onnxruntime 1.32.0`.

    Raises:
        AgentConfigError: No build of onnxruntime is installed, or several.
    """
    found = [f"{name} {version}" for name in _RUNTIMES if (version := version_of(name))]
    if len(found) > 1:
        raise AgentConfigError(
            f"{' and '.join(found)} are installed together and overwrite each other's files: "
            "uninstall both, then install the one that fits this machine."
        )
    if found:
        return found[0]
    if importlib.util.find_spec("onnxruntime") is None:
        raise AgentConfigError(
            "No onnxruntime is installed: install splitfront[node], or splitfront[node-gpu] on CUDA."
        )
    return "onnxruntime (unknown build)"


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(psutil.Process().memory_info().rss)


def held_bytes(pid: int | None = None) -> int:
    """Memory that a process, or this one, holds for itself: weights that are mapped files can be given back any time.

    It is 0 once the process is gone. Read without psutil, which opens more of `/proc` than a confined process may have
    under an emulator, and takes longer.
    """
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid or 'self'}/statm").read_bytes().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return (int(resident) - int(shared)) * resource.getpagesize()


def available_bytes() -> int:
    """Memory that this machine can give to new work without swapping."""
    return int(psutil.virtual_memory().available)


def memory_bytes(system: Path = Path("/")) -> int:
    """Memory that this machine, or the control group of this process, has; `system` is where `proc` and `sys` are."""
    total = int(psutil.virtual_memory().total)
    return min(total, memory_limit(own_group(system, MEMORY)) or total)


def threads_left(system: Path = Path("/")) -> int:
    """Threads that this process may still start by the limits of its user and of its control group, as things stand.

    What else its user runs is not counted; where nothing limits threads the number is large. `system` is where `proc`
    and `sys` are.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    of_user = sys.maxsize if most == resource.RLIM_INFINITY else most - psutil.Process().num_threads()
    of_group = tasks_left(own_group(system, TASKS))
    return of_user if of_group is None else min(of_user, of_group)


def cpu_name() -> str:
    """Model of the processor, as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = dict(map(_pair, lines))
    return named.get("model name") or named.get("Model") or named.get("Hardware") or platform.processor() or "unknown"


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def host_id() -> str:
    """The same for all processes on one running machine, containers included."""
    try:
        seed = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        seed = str(uuid.getnode())
    return hashlib.sha256(seed.encode()).hexdigest()[:16]
