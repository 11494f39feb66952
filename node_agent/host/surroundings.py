"""What makes times on this machine doubtful: its state in figures, read cheaply, and what follows from them, purely."""

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from node_agent.host import processors, thermal

SHARED_CORES = 0.2
"""Others may use so much of a core before they are named."""

LOW_MEMORY_FRACTION = 0.05
_SHORTEST_SECONDS = 1.0
"""The kernel counts in hundredths of a second: over less, one tick would look like a neighbour."""

_SWAPPED = ("pswpin", "pswpout")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_BUSY_COLUMNS = (0, 1, 2, 7)
"""Of `/proc/stat`: user, nice, system, steal. What guests use is in user; interrupts are nobody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """State of machine and process at one moment."""

    monotonic_seconds: float
    busy_seconds: float
    """Processor time that all have used of our cores."""
    own_seconds: float
    """Processor time that this process has used."""
    free_bytes: int
    total_bytes: int
    own_swap_bytes: int = 0
    n_swapped_pages: int = 0
    """Moved to or from swap since the machine started."""
    throttle_counts: Mapping[str, int] = field(default_factory=dict)
    is_throttled: bool = False
    is_held_slow: bool = False


def doubts(start: Surroundings, before: Surroundings, now: Surroundings) -> tuple[str, ...]:
    """A sentence for each thing that makes times doubtful; none when nothing does.

    Args:
        start: When the agent started.
        before: When it last looked.
        now: As it is.
    """
    return tuple(_doubts(start, before, now))


def _doubts(start: Surroundings, before: Surroundings, now: Surroundings) -> Iterator[str]:
    if now.free_bytes < LOW_MEMORY_FRACTION * now.total_bytes:
        yield f"Only {now.free_bytes >> 20} MiB of memory are free."
    if now.own_swap_bytes > 0:
        yield f"{-(-now.own_swap_bytes >> 20)} MiB of this node lie in swap."
    if now.n_swapped_pages > before.n_swapped_pages:
        yield "The machine is swapping."
    if now.is_throttled:
        yield "The processor is throttled by low voltage or heat."
    if thermal.has_risen(start.throttle_counts, now.throttle_counts):
        yield "Heat has throttled the processor since the node started."
    if now.is_held_slow:
        yield "The governor 'powersave' keeps the processor at its lowest frequency."
    if (others := others_cores(before, now)) > SHARED_CORES:
        yield f"Other processes use {others * 100:.0f} % of a core of those that this node runs on."


def others_cores(before: Surroundings, now: Surroundings) -> float:
    """How many of our cores others have kept busy in between, on average."""
    seconds = now.monotonic_seconds - before.monotonic_seconds
    others = (now.busy_seconds - before.busy_seconds) - (now.own_seconds - before.own_seconds)
    return max(0.0, others / seconds) if seconds > 0 else 0.0


class Watch:
    """Looks around since it was made. Thread-safe."""

    def __init__(self, system: Path = Path("/")) -> None:
        """`system` is where `proc` and `sys` are."""
        self._system = system
        self._lock = threading.Lock()
        self._start = self._last = read_surroundings(processors.usable_cores(), system)
        self._said: tuple[str, ...] = doubts(self._start, self._start, self._start)

    def doubts(self) -> tuple[str, ...]:
        """What has made times doubtful since the last call, or makes them so now; the same within a second."""
        with self._lock:
            if time.monotonic() - self._last.monotonic_seconds >= _SHORTEST_SECONDS:
                now = read_surroundings(processors.usable_cores(), self._system)
                self._said = doubts(self._start, self._last, now)
                self._last = now
            return self._said


def read_surroundings(cores: Sequence[int], system: Path = Path("/")) -> Surroundings:
    """The state now; what the system does not tell is as if nothing were wrong.

    Args:
        cores: Numbers of the processors to look at.
        system: Where `proc` and `sys` are.
    """
    memory = psutil.virtual_memory()
    return Surroundings(
        monotonic_seconds=time.monotonic(),
        busy_seconds=parse_busy_seconds("".join(_first_lines(system / "proc/stat", "cpu")), cores, _TICKS_PER_SECOND),
        own_seconds=time.process_time(),
        free_bytes=memory.available,
        total_bytes=memory.total,
        own_swap_bytes=parse_own_swap(_text_of(system / "proc/self/status")),
        n_swapped_pages=parse_swapped_pages(_text_of(system / "proc/vmstat")),
        throttle_counts=thermal.throttle_counts(cores, system),
        is_throttled=thermal.is_throttled(system),
        is_held_slow=processors.is_held_slow(cores[0], system),
    )


def parse_busy_seconds(text: str, cores: Sequence[int], ticks_per_second: float) -> float:
    """Time for which `cores` computed, by the lines of `/proc/stat`."""
    names = {f"cpu{core}" for core in cores}
    rows = (line.split() for line in text.splitlines())
    ticks = [[*map(int, counts)] for name, *counts in filter(None, rows) if name in names]
    return sum(row[column] for row in ticks for column in _BUSY_COLUMNS if column < len(row)) / ticks_per_second


def parse_own_swap(text: str) -> int:
    """Bytes of a process that lie in swap, by its `/proc/PID/status`."""
    match = re.search(r"^VmSwap:\s*(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) << 10 if match else 0


def parse_swapped_pages(text: str) -> int:
    """Pages moved to or from swap, by `/proc/vmstat`."""
    rows = (line.partition(" ") for line in text.splitlines())
    return sum(int(count) for name, _, count in rows if name in _SWAPPED)


def _first_lines(path: Path, beginning: str) -> Iterator[str]:
    """Lines up to the first that begins otherwise: the rest of `/proc/stat` is long."""
    try:
        with path.open(encoding="ascii") as lines:
            for line in lines:
                if not line.startswith(beginning):
                    return
                yield line
    except OSError:
        return


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
