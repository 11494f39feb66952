"""The control groups of this process: where they are, and what they leave to us: processor time, memory, threads.

Linux has two kinds. Version 1 mounts each controller by itself, version 2 all of them as one tree; a machine may mount
both, and then each controller is in one of them only.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

CPU = "cpu"
MEMORY = "memory"
TASKS = "pids"

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlGroup:
    """A folder of a tree in which the kernel shares something out."""

    version: int
    """1 or 2."""
    folder: Path
    top: Path
    """Highest folder of the tree that can be seen from here: where it is mounted."""

    def up_to_top(self) -> Iterator[Path]:
        """Its folder, the one above, and so on; the last is `top`."""
        folder = self.folder
        while folder != self.top:
            yield folder
            folder = folder.parent
        yield folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One tree of control groups as it is mounted."""

    version: int
    controllers: tuple[str, ...]
    """Of version 1; version 2 says them in each folder."""
    root: PurePosixPath
    """Which of the kernel's groups lies at `point`: a container sees a part of the tree."""
    point: PurePosixPath


def parse_memberships(text: str) -> dict[str, PurePosixPath]:
    """Group of each controller by `/proc/self/cgroup`; that of version 2 has the empty name."""
    groups: dict[str, PurePosixPath] = {}
    for line in filter(None, text.splitlines()):
        _, controllers, path = line.split(":", 2)
        groups |= {controller: PurePosixPath(path) for controller in controllers.split(",")}
    return groups


def parse_mounts(text: str) -> tuple[Mount, ...]:
    """All trees of control groups by `/proc/self/mountinfo`."""
    mounts: list[Mount] = []
    for line in filter(None, text.splitlines()):
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, point = left.split(" ")[3:5]
            mounts.append(
                Mount(
                    version=2 if kind == "cgroup2" else 1,
                    controllers=tuple(options.split(" ")[-1].split(",")),
                    root=PurePosixPath(root),
                    point=PurePosixPath(point),
                )
            )
    return tuple(mounts)


def own_group(system: Path = Path("/"), controller: str = CPU) -> ControlGroup | None:
    """The group in which this process gets its share; None where there is none to be seen.

    Args:
        system: Where `proc` and `sys` are.
        controller: What is shared out.
    """
    try:
        memberships = parse_memberships((system / "proc/self/cgroup").read_text(encoding="utf-8"))
        mounts = parse_mounts((system / "proc/self/mountinfo").read_text(encoding="utf-8"))
    except OSError:
        return None
    for mount in sorted(mounts, key=lambda mount: mount.version):
        if mount.version == 1 and controller not in mount.controllers:
            continue
        group = memberships.get(controller if mount.version == 1 else "")
        top = system / mount.point.relative_to("/")
        if group is None or (mount.version == 2 and controller not in controllers_of(top)):
            continue
        is_inside = group.is_relative_to(mount.root) and ".." not in group.parts
        inside = group.relative_to(mount.root) if is_inside else PurePosixPath()
        return ControlGroup(version=mount.version, folder=top / inside, top=top)
    return None


def controllers_of(folder: Path, file: str = "cgroup.controllers") -> tuple[str, ...]:
    """Controllers that a folder of version 2 has; with `cgroup.subtree_control`, those that its children have."""
    return tuple(_text_of(folder / file).split())


def cpu_limit(group: ControlGroup | None) -> float:
    """Cores' worth of time that the quotas of a group and of those above it leave; 0 where there is no quota."""
    return _least(group, read_limit)


def memory_limit(group: ControlGroup | None) -> int:
    """Bytes that the limits of a group and of those above it leave; 0 where there is no limit."""
    return _least(group, _read_memory_limit)


def tasks_left(group: ControlGroup | None) -> int | None:
    """Threads and processes that may still begin in a group, by its limit and those above; None where there is none."""
    folders = group.up_to_top() if group is not None else ()
    pairs = ((_text_of(folder / "pids.max"), _text_of(folder / "pids.current")) for folder in folders)
    return min((int(most) - int(now) for most, now in pairs if most.isdigit() and now.isdigit()), default=None)


def _least(group: ControlGroup | None, read: Callable[[Path, int], Number]) -> Number:
    """Least limit of the folders from a group up to the top, which `read` gives by folder and version; 0 for none."""
    if group is None:
        return 0
    limits = (read(folder, group.version) for folder in group.up_to_top())
    return min((limit for limit in limits if limit), default=0)


def read_limit(folder: Path, version: int) -> float:
    """Quota of one folder in cores; 0 for none."""
    if version == 2:
        return parse_cpu_max(_text_of(folder / "cpu.max"))
    return parse_cpu_max(f"{_text_of(folder / 'cpu.cfs_quota_us')} {_text_of(folder / 'cpu.cfs_period_us')}")


def _read_memory_limit(folder: Path, version: int) -> int:
    text = _text_of(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
    return int(text) if text.isdigit() else 0


def parse_cpu_max(text: str) -> float:
    """Cores by `QUOTA PERIOD` in microseconds; 0 where the quota is `max`, negative, or not there."""
    match text.split():
        case [quota, period] if quota.isdigit() and period.isdigit() and int(period):
            return int(quota) / int(period)
    return 0.0


def _text_of(path: Path) -> str:
    """The text of a file; empty where it cannot be read: the top of a tree has no quota."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
