"""Control groups that hold local nodes to a share of the processor, for `cpu_quota`.

A group is a folder `splitfront-PID-NAME` with the pid of the coordinator that made it. It is taken away when its node
ends; what a coordinator that was killed has left behind, the next one takes away.
"""

import itertools
import math
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from coordinator.config.quantities import cores_share_text
from coordinator.errors import NodeDownError
from node_agent.host.control_group import CPU, ControlGroup, controllers_of, own_group

_PERIOD_MICROSECONDS = 5000
"""With the usual 100 ms a stage of some milliseconds would run at full speed, or not at all. With 5 ms, work of
20 ms and more takes what the share says, whether the node has rested before or not."""

_LEAST_QUOTA_MICROSECONDS = 1000
"""The kernel's; a smaller share needs a longer period."""

_POLL_SECONDS = 0.01

_ENTER = 'echo $$ > "$0" && exec "$@"'
"""A process that enters a group before it is the program: the program's first thread is inside already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuGroup:
    """A group of one node."""

    version: int
    folder: Path

    @property
    def entrance(self) -> tuple[str, ...]:
        """What a command is added to, to be run inside."""
        return ("/bin/sh", "-c", _ENTER, str(self.folder / "cgroup.procs"))

    def hold_to(self, n_cores: float) -> None:
        """Lets those inside use so many cores' worth of time together.

        Raises:
            OSError: The system does not permit it.
        """
        period, quota = period_and_quota(n_cores)
        if self.version == 2:
            self._write("cpu.max", f"{quota} {period}")
        else:
            self._write("cpu.cfs_period_us", str(period))
            self._write("cpu.cfs_quota_us", str(quota))

    def lift(self) -> None:
        """Lets those inside run freely, so that they end quickly."""
        name, text = ("cpu.max", "max") if self.version == 2 else ("cpu.cfs_quota_us", "-1")
        with suppress(OSError):  # they would only take longer
            self._write(name, text)

    def remove(self, *, seconds: float = 2.0) -> bool:
        """Takes the group away, as soon as all inside have ended; False where some have not after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.folder.rmdir()
            except FileNotFoundError:
                return True
            except OSError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_POLL_SECONDS)
            else:
                return True

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="ascii")


def period_and_quota(n_cores: float) -> tuple[int, int]:
    """Microseconds of a period and of processor time in each: 5 ms, more where the kernel's least quota wants it."""
    period = max(_PERIOD_MICROSECONDS, math.ceil(_LEAST_QUOTA_MICROSECONDS / n_cores))
    return period, max(_LEAST_QUOTA_MICROSECONDS, round(period * n_cores))


def make_group(node: str, n_cores: float, *, system: Path = Path("/")) -> CpuGroup:
    """A new group for a node, held to so many cores' worth of time.

    Args:
        node: Name of the node.
        n_cores: At least 0.05.
        system: Where `proc` and `sys` are.

    Raises:
        NodeDownError: The system has no such groups, or does not permit to make one.
    """
    wanted = f"Cannot hold local node '{node}' to {cores_share_text(n_cores)}"
    if n_cores > (os.cpu_count() or 1):
        raise NodeDownError(f"{wanted}: this machine has {os.cpu_count()}. Lower its cpu_quota.", nodes=[node])
    own = own_group(system)
    if own is None:
        message = f"{wanted}: no control groups with the controller 'cpu' are mounted here. Take its cpu_quota out."
        raise NodeDownError(message, nodes=[node])
    refusals = []
    for parent in _parents(own):
        try:
            return _make(parent, f"splitfront-{os.getpid()}-{node}", own.version, n_cores)
        except OSError as exc:
            refusals.append(f"no group can be made in {parent} ({exc.strerror or exc})")
    why = "; ".join(refusals) or f"nothing above {own.folder} has the controller"
    message = (
        f"{wanted}: {why}. cpu_quota needs a control group that this user may make: "
        "run as root, have one delegated (systemd: Delegate=cpu), or take cpu_quota out."
    )
    raise NodeDownError(message, nodes=[node])


def _parents(own: ControlGroup) -> Iterable[Path]:
    """Where a group can be made, best first.

    In version 1 below our own. In version 2 only folders without processes may share out time, ours has at least one:
    folders above that do it already come first, then those that might.
    """
    if own.version == 1:
        return [own.folder]
    capable = [folder for folder in own.up_to_top() if CPU in controllers_of(folder)]
    return sorted(capable, key=lambda folder: not _shares_out(folder))


def _shares_out(folder: Path) -> bool:
    return CPU in controllers_of(folder, "cgroup.subtree_control")


def _make(parent: Path, name: str, version: int, n_cores: float) -> CpuGroup:
    if version == 2:
        if not os.access(parent / "cgroup.procs", os.W_OK):
            raise PermissionError(f"{parent / 'cgroup.procs'} may not be written")
        if not _shares_out(parent):
            (parent / "cgroup.subtree_control").write_text(f"+{CPU}", encoding="ascii")
    group = CpuGroup(version=version, folder=_new_folder(parent, name))
    try:
        group.hold_to(n_cores)
    except OSError:
        group.remove(seconds=0)
        raise
    return group


def _new_folder(parent: Path, name: str) -> Path:
    """A new folder of that name; with a number where this process has another cluster with such a node."""
    names = itertools.chain((name,), (f"{name}-{number}" for number in itertools.count(2)))
    folder = next(parent / free for free in names if not (parent / free).exists())
    folder.mkdir()
    return folder


def remove_stale_groups(*, seconds: float, system: Path = Path("/")) -> None:
    """Takes away the groups of coordinators that are gone; waits `seconds` at most for agents that are just ending."""
    own = own_group(system)
    deadline = time.monotonic() + seconds
    for group in _stale_groups(own, system) if own else ():
        group.remove(seconds=max(0.0, deadline - time.monotonic()))


def _stale_groups(own: ControlGroup, system: Path) -> Iterator[CpuGroup]:
    for parent in own.up_to_top():
        for folder in parent.glob("splitfront-*-*"):
            pid = folder.name.split("-")[1]
            if pid.isdigit() and not _is_alive(int(pid), system):
                yield CpuGroup(version=own.version, folder=folder)


def _is_alive(pid: int, system: Path) -> bool:
    """Whether a process runs; one that has ended, but whose parent has not asked for its status, does not."""
    try:
        text = (system / "proc" / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")
