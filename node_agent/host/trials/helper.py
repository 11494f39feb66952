"""`python -m node_agent.host.trials.helper`: the process that tries shards for an agent.

It has loaded the runtime and has one thread, so that forking it is safe and takes milliseconds. It never looks at
a graph itself: a child of its own does, one for each trial. It ends when the agent is gone, or has
not asked for a while.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from node_agent.host.facts import held_bytes
from node_agent.host.runtime import load_runtime
from node_agent.host.trials.child import work_in_child
from node_agent.host.trials.order import (
    MAX_LINE_BYTES,
    TrialOrder,
    TrialOutcome,
    Verdict,
    order_from_line,
    outcome_from_line,
    outcome_to_line,
)

IDLE_SECONDS = 60.0
_LOOK_SECONDS = 0.01
"""In which memory grows by some ten megabytes at most."""
_READ_BYTES = 1 << 16
_ORDERS, _ANSWERS = 0, 1


def main() -> None:
    """Answers orders, one after another."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to the agent, too
    load_runtime()
    for line in _lines(_ORDERS):
        os.write(_ANSWERS, outcome_to_line(try_in_child(order_from_line(line))))


def _lines(descriptor: int) -> Iterator[bytes]:
    """The lines that come in, until nothing more comes or nothing has come for a while."""
    held = b""
    while select.select([descriptor], [], [], IDLE_SECONDS)[0]:
        read = os.read(descriptor, _READ_BYTES)
        if not read:
            return
        *lines, held = (held + read).split(b"\n")
        yield from lines


def try_in_child(order: TrialOrder) -> TrialOutcome:
    """Forks a child for the trial and says what came of it."""
    reading, writing = os.pipe()
    parent, before = os.getpid(), held_bytes(os.getpid())
    pid = os.fork()
    if not pid:
        try:
            work_in_child(order, writing, parent)
        finally:
            os._exit(1)
    os.close(writing)
    try:
        watched = _watch(pid, reading, before, order)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        os.close(reading)
    return _outcome(watched, os.waitstatus_to_exitcode(status), order)


@dataclass(slots=True)
class _Watched:
    """What was seen of a child from outside."""

    answer: bytes = b""
    peak_bytes: int = 0
    ended_for: Verdict | None = None
    """Why it was ended; None where it ended by itself."""


def _watch(pid: int, reading: int, before: int, order: TrialOrder) -> _Watched:
    """Reads the child's answer, until it ends or has taken too much."""
    seen, deadline = _Watched(), time.monotonic() + order.wall_seconds
    while True:
        ready, _, _ = select.select([reading, _ORDERS], [], [], _LOOK_SECONDS)
        if _ORDERS in ready:  # nothing is asked before the answer: the agent is gone
            os.kill(pid, signal.SIGKILL)
            sys.exit()
        if reading in ready:
            read = os.read(reading, _READ_BYTES)
            seen.answer += read
            if not read or len(seen.answer) > MAX_LINE_BYTES:
                return seen
        seen.peak_bytes = max(seen.peak_bytes, held_bytes(pid) - before)
        if seen.peak_bytes > order.confinement.memory_bytes:
            seen.ended_for = Verdict.MEMORY
            return seen
        if time.monotonic() > deadline:
            seen.ended_for = Verdict.WALL_TIME
            return seen


def _outcome(seen: _Watched, exit_code: int, order: TrialOrder) -> TrialOutcome:
    """What the end of a child means. Too much memory is too much, whatever it said."""
    peak_bytes = seen.peak_bytes
    if seen.ended_for is not None:
        return TrialOutcome(verdict=seen.ended_for, memory_bytes=peak_bytes)
    if exit_code in (-signal.SIGXCPU, -signal.SIGKILL) and not seen.answer:
        is_time = exit_code == -signal.SIGXCPU
        return TrialOutcome(verdict=Verdict.CPU_TIME if is_time else Verdict.MEMORY, memory_bytes=peak_bytes)
    try:
        told = outcome_from_line(seen.answer)
    except ValueError:
        return TrialOutcome(verdict=Verdict.CRASHED, detail=_ending(exit_code), memory_bytes=peak_bytes)
    peak_bytes = max(peak_bytes, told.memory_bytes)  # it may have been quicker than we look
    verdict = told.verdict if peak_bytes <= order.confinement.memory_bytes else Verdict.MEMORY
    return TrialOutcome(verdict=verdict, detail=told.detail, memory_bytes=peak_bytes)


def _ending(exit_code: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-exit_code).name
    return f"exit status {exit_code}"


if __name__ == "__main__":
    main()
