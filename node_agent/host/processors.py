"""The processors that this process may use, and how they are governed."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from node_agent.config import cores_text, parse_cores
from node_agent.errors import AgentConfigError

_PROCESSORS = Path("sys/devices/system/cpu")
_SELF_GOVERNING = ("intel_pstate", "amd-pstate", "amd-pstate-epp")
"""Drivers of processors that choose their frequency themselves; their `powersave` follows the load."""


def usable_cores() -> tuple[int, ...]:
    """Numbers of the processors that this process may use, ascending."""
    return tuple(sorted(os.sched_getaffinity(0)))


def n_cores() -> int:
    """Processors that this process may use."""
    return len(usable_cores())


def default_threads(cores: Sequence[int], cpu_limit: float) -> int:
    """Threads of a stage: one for each core, but none that would only use up the others' quota.

    Args:
        cores: Those that may be used.
        cpu_limit: In cores; 0 for no quota.
    """
    return min(len(cores), math.ceil(cpu_limit)) if cpu_limit else len(cores)


def confine_to(cores: Sequence[int]) -> None:
    """Lets all threads of this process, and those that they will start, run on `cores` only.

    Raises:
        AgentConfigError: There are no such cores, or this process may not use them.
    """
    lacking = sorted(set(cores) - set(existing_cores()))
    if lacking:
        raise AgentConfigError(
            f"This machine has cores {cores_text(existing_cores())}, but not {cores_text(lacking)}: choose among those."
        )
    former = usable_cores()
    if not _bind(cores):
        _bind(existing_cores())
        allowed = usable_cores()
        _bind(former)
        raise AgentConfigError(
            f"Cores {cores_text(cores)} are wanted, but the system lets this process use {cores_text(allowed)} only."
        )


def _bind(cores: Sequence[int]) -> bool:
    """Whether the system has given us just these. Threads that libraries have started have masks of their own."""
    for thread in Path("/proc/self/task").iterdir():
        try:
            os.sched_setaffinity(int(thread.name), cores)
        except ProcessLookupError:
            continue  # it has just ended
        except OSError:
            return False  # it has none of them for us
    return usable_cores() == tuple(sorted(set(cores)))


def existing_cores(system: Path = Path("/")) -> tuple[int, ...]:
    """Numbers of the processors that are switched on."""
    try:
        text = (system / _PROCESSORS / "online").read_text(encoding="ascii").strip()
    except OSError:
        return tuple(range(os.cpu_count() or 1))
    return parse_cores(text)


def governor(core: int, system: Path = Path("/")) -> str:
    """How the frequency of a core is chosen: `performance`, `schedutil`, …; empty where it cannot be known."""
    return _frequency_file(core, "scaling_governor", system)


def is_held_slow(core: int, system: Path = Path("/")) -> bool:
    """Whether the governor keeps a core at its lowest frequency."""
    is_powersave = governor(core, system) == "powersave"
    return is_powersave and _frequency_file(core, "scaling_driver", system) not in _SELF_GOVERNING


def _frequency_file(core: int, name: str, system: Path) -> str:
    try:
        return (system / _PROCESSORS / f"cpu{core}" / "cpufreq" / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
