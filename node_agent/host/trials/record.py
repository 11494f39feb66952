"""Which shards of a store were tried, so that they are not tried again."""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path

_NAME = ".tried.json"
_MAX_SHARDS = 10_000
"""That are remembered; the first ones are forgotten first."""


class TrialRecord:
    """Memory that each tried shard took, in one file of the store. Thread-safe.

    It holds for one environment: another runtime, another level of optimisation or other providers have everything
    tried again. A file that cannot be read or written costs trials, nothing else.
    """

    def __init__(self, folder: Path, environment: str) -> None:
        self._path = folder / _NAME
        self._environment = environment
        self._lock = threading.Lock()
        self._memory_bytes = self._read()

    def _read(self) -> dict[str, int]:
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            read = json.loads(self._path.read_text(encoding="utf-8"))
            if read["environment"] == self._environment:
                return {str(digest): int(n_bytes) for digest, n_bytes in read["memory_bytes"].items()}
        return {}

    def memory_of(self, graph: str) -> int | None:
        """Bytes that a shard took in its trial; None where it had none."""
        return self._memory_bytes.get(graph)

    def keep(self, graph: str, memory_bytes: int) -> None:
        """Remembers a shard that passed."""
        with self._lock:
            kept = {**self._memory_bytes, graph: memory_bytes}
            self._memory_bytes = dict(list(kept.items())[-_MAX_SHARDS:])
            text = json.dumps({"environment": self._environment, "memory_bytes": self._memory_bytes})
            new = self._path.with_name(_NAME + ".new")
            with suppress(OSError):
                new.unlink(missing_ok=True)
                descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
                with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                new.rename(self._path)
