"""Control groups for tests: this machine's, where it permits them, and made-up trees of version 2."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coordinator.cpu_groups import make_group
from coordinator.errors import NodeDownError
from node_agent.host.control_group import own_group

TREE = "sys/fs/cgroup"


def why_not_permitted() -> str:
    """Why no node can be limited here; empty where one can."""
    try:
        make_group("trial", 0.5).remove()
    except NodeDownError as exc:
        return str(exc)
    return ""


needs_groups = pytest.mark.skipif(bool(why_not_permitted()), reason=why_not_permitted() or "permitted")


def group_folders() -> list[Path]:
    """All groups of local nodes on this machine."""
    own = own_group()
    return [path for folder in own.up_to_top() for path in folder.glob("splitfront-*")] if own else []


def groups_here() -> set[str]:
    """Their names."""
    return {path.name for path in group_folders()}


def unified_tree(folder: Path, own: str, *, sharing: tuple[str, ...], capable: tuple[str, ...] = ()) -> Path:
    """A made-up system of version 2 whose process is in `own`.

    Args:
        folder: Takes it.
        own: Group of this process, such as `/a/b`.
        sharing: Groups whose children get the controller.
        capable: Groups that have it themselves, beside those and the top.
    """
    files = {"proc/self/cgroup": f"0::{own}"}
    files["proc/self/mountinfo"] = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw"
    for group in {"/", *parents_of(own)}:
        files[f"{TREE}{group}/cgroup.procs"] = ""
        files[f"{TREE}{group}/cgroup.controllers"] = "cpu io" if group in ("/", *sharing, *capable) else "io"
        files[f"{TREE}{group}/cgroup.subtree_control"] = "cpu io" if group in sharing else "io"
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def parents_of(group: str) -> Iterator[str]:
    parts = group.strip("/").split("/")
    for count in range(1, len(parts) + 1):
        yield "/" + "/".join(parts[:count])


@contextmanager
def emptied(folder: Path) -> Iterator[None]:
    """The kernel takes away a group that has files, a common folder must be empty."""
    for path in folder.iterdir():
        path.unlink()
    yield
