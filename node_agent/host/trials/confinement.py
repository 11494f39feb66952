"""What a trial gives up before it reads anything: descriptors, priority, memory, time, dumps, most system calls."""

import ctypes
import math
import os
import resource
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from node_agent.host.descriptors import allow_only_files_of
from node_agent.host.trials.system_calls import refuse_system_calls

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_NICENESS = 5
"""Stages that serve go first; at 5 a trial beside a busy stage still has a quarter of the core."""
_RESERVE_BYTES = 64 << 20
"""What libraries reserve and never touch. The runtime reserves up to twice of what it uses, but makes do with less."""
_FIRST_TO_DIE = "1000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """How much a trial may take."""

    memory_bytes: int
    """Growth of what it holds in memory; the helper watches it, the kernel refuses somewhat more."""
    cpu_seconds: float
    is_bounded: bool
    """Whether the kernel refuses memory, too: drivers of graphics cards reserve more than they use."""
    is_filtered: bool
    """Whether it gives up system calls: drivers of graphics cards want them, and not every kernel can refuse them."""


def confine(limits: Confinement, *, n_weights: int, kept: int, parent: int) -> None:
    """Confines this process, which has one thread, for good.

    Args:
        limits: How far.
        n_weights: Files that it will open.
        kept: The one descriptor that stays open; above 2.
        parent: Process without which this one shall not be.

    Raises:
        OSError: The system does not allow it.
    """
    _die_with(parent)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_DIE, encoding="ascii")
    _close_all_but(kept)
    os.nice(_NICENESS)
    cpu_seconds = math.ceil(limits.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    allow_only_files_of(n_weights)
    if limits.is_bounded:
        most = _data_bytes() + limits.memory_bytes + _RESERVE_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    if limits.is_filtered:
        refuse_system_calls()


def _die_with(parent: int) -> None:
    """Has the kernel end this process with its parent; and no dump, which a pipe would get whatever the limit says."""
    library = ctypes.CDLL(None, use_errno=True)
    for name, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_DUMPABLE, 0)):
        if library.prctl(name, int(value), 0, 0, 0):
            raise OSError(ctypes.get_errno(), "the kernel refuses a setting of the process")
    if os.getppid() != parent:
        os._exit(1)


def _close_all_but(kept: int) -> None:
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208 - numbers are wanted
        if descriptor != kept:
            with suppress(OSError):
                os.close(descriptor)
    for _ in range(3):
        os.open(os.devnull, os.O_RDWR)  # as 0 to 2: a library that prints must not print into `kept`


def _data_bytes() -> int:
    """Bytes of what `RLIMIT_DATA` counts that this process has already."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (kibibytes,) = (line.split()[1] for line in lines if line.startswith("VmData:"))
    return int(kibibytes) << 10
