"""Sweeps that commands draw and compare, from where they are kept."""

from pathlib import Path

from coordinator.errors import SweepUnknownError
from coordinator.report.names import printable
from coordinator.results.opening import STORE_FILE
from coordinator.results.store import open_store
from coordinator.results.values import Run, Sweep


def is_sweep(path: Path) -> bool:
    """Whether a path is a store of results, or a folder that holds one."""
    return path.is_file() or (path / STORE_FILE).is_file()


def load_sweep(path: Path, name: str | None) -> tuple[Sweep, tuple[Run, ...]]:
    """A sweep with all its runs and samples; the only one of its store where `name` is None.

    Raises:
        SweepUnknownError: It is not there, or the store holds several and none was named.
        ResultStoreError: The store cannot be read.
    """
    with open_store(str(path), is_made=False) as store:
        names = store.sweeps()
        if name is None and len(names) != 1:
            there = ", ".join(map(printable, names)) or "none"
            raise SweepUnknownError(f"{path} holds {len(names)} sweeps: name one of them ({there}).")
        wanted = names[0] if name is None else name
        return store.sweep(wanted), store.runs(wanted, with_samples=True)
