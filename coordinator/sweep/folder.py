"""A sweep's folder: what was prepared, who measures, and where results go unless they go elsewhere."""

import fcntl
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from coordinator.errors import RunFolderError
from coordinator.results.opening import STORE_FILE
from coordinator.run_folder import RunFolder

_LOCK_FILE = "sweep.lock"
_OWNER_FILE = "owner"


class SweepFolder:
    """Paths below the folder of a sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def results(self) -> Path:
        """The store of results."""
        return self.path / STORE_FILE

    def nodes(self, cluster: str) -> Path:
        """Stores and logs of a cluster's local nodes are below it."""
        return self.path / "clusters" / cluster

    def bare_cluster(self, cluster: str, plane: str, origin: str) -> Path:
        """A cluster as probed without emulation; `origin` is the digest of what it was made from."""
        return self.nodes(cluster) / f"bare-{plane}-{origin}.json"

    def study(self, cluster: str, model: str, batch: int, origin: str) -> RunFolder:
        """Graph, profile and codecs of a study, as those of any run; `origin` as above."""
        return RunFolder(self.nodes(cluster) / f"{model}-batch-{batch}-{origin}")

    @contextmanager
    def locked(self) -> Iterator[str]:
        """Keeps other coordinators from the folder, and gives the name under which this one claims runs.

        The name stays the same from start to start: what a killed coordinator had claimed is its successor's at once.

        Raises:
            RunFolderError: Another one works here, or the folder cannot be written.
        """
        RunFolder(self.path).make()
        try:
            lock = (self.path / _LOCK_FILE).open("a", encoding="utf-8")
        except OSError as error:
            raise RunFolderError(f"Cannot write to {self.path}: {error.strerror}.") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RunFolderError(
                    f"Another `splitfront sweep` works in {self.path}: let it end, or help it from another folder "
                    "(--out) with the same --store."
                ) from error
            yield self._owner()

    def _owner(self) -> str:
        path = self.path / _OWNER_FILE
        # A name that was written by halves is as good as any, as long as it is not empty.
        name = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        if not name:
            name = f"{socket.gethostname()}-{secrets.token_hex(4)}"
            path.write_text(name + "\n", encoding="utf-8")
        return name
