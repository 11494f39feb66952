"""What a node lets others take of it: one value, each part an option of the command line."""

import math
from dataclasses import dataclass

MEBIBYTE = 1 << 20
DEFAULT_MESSAGE_BYTES = 256 * MEBIBYTE
MEMORY_SHARE = 0.8
"""Of the memory that there is: the limit where none is told. The rest is for the system and what else runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one agent. A refusal names the limit that it is about, and its value."""

    message_bytes: int = DEFAULT_MESSAGE_BYTES
    """`--max-message`: largest message of any stream."""
    disk_bytes: int = 8 << 30
    """`--quota`: all that the store may hold."""
    memory_bytes: int = 0
    """`--max-memory`: what the agent with all of its sessions holds in memory, weights that are mapped files aside;
    0: `MEMORY_SHARE` of what there is."""
    n_sessions: int = 512
    """`--max-sessions`: shards that are open at once, those of profiles included."""
    trial_seconds: float = 4.0
    """`--trial-seconds`: processor time for opening a new shard and running it once; large shards have more."""
    run_seconds: float = 60.0
    """`--run-seconds`: for one request in one stage; it then fails, and the stage goes on."""

    def faults(self) -> list[str]:
        """What is out of range, a phrase each."""
        faults = []
        if not MEBIBYTE <= self.message_bytes < 1 << 31:
            faults.append(f"the largest message must be 1MiB to 2GiB, got {self.message_bytes} bytes")
        if self.disk_bytes < MEBIBYTE:
            faults.append(f"the quota must be at least 1MiB, got {self.disk_bytes} bytes")
        if self.memory_bytes and self.memory_bytes < 64 * MEBIBYTE:
            faults.append(f"--max-memory must be at least 64MiB, or 0 for a share, got {self.memory_bytes} bytes")
        if self.n_sessions < 1:
            faults.append(f"--max-sessions must be 1 or more, got {self.n_sessions}")
        for name, seconds in (("--trial-seconds", self.trial_seconds), ("--run-seconds", self.run_seconds)):
            if not 1 <= seconds < math.inf:
                faults.append(f"{name} must be 1 or more, got {seconds:g}")
        return faults

    def memory_limit(self, total_bytes: int) -> int:
        """Bytes that the agent may hold on a machine, or in a control group, of `total_bytes`."""
        return self.memory_bytes or int(MEMORY_SHARE * total_bytes)


def size_text(n_bytes: float) -> str:
    """`512 MiB`, as messages say it."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if abs(n_bytes) >= size:
            return f"{n_bytes / size:.3g} {unit}" if n_bytes < 1000 * size else f"{n_bytes / size:.0f} {unit}"
    return f"{n_bytes:.0f} bytes"
