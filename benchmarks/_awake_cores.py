"""Cores that never rest while something is measured, as `idle=poll` has it on a machine of one's own."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

_LOOP = """
import os, sys
core, parent = map(int, sys.argv[1:])
os.sched_setaffinity(0, {core})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
print(flush=True)
while os.getppid() == parent:
    pass
"""
"""Runs where nothing else wants to, and gives way at once."""


@contextmanager
def awake(cores: Iterable[int]) -> Iterator[None]:
    """Within, no core rests: one that waits is there at once, and its caches and its branches are as they were.

    A virtual processor that rests is given back to its host. It comes out of that 10 to 20 µs late, and what it does
    next, Python above all, takes two to four times as long.
    """
    with ExitStack() as stack:
        for core in cores:
            stack.enter_context(_kept_awake(core))
        yield


@contextmanager
def _kept_awake(core: int) -> Iterator[None]:
    order = (sys.executable, "-S", "-c", _LOOP, str(core), str(os.getpid()))
    with subprocess.Popen(order, stdout=subprocess.PIPE, text=True) as loop:
        try:
            if not loop.stdout or not loop.stdout.readline():
                raise SystemExit(f"Core {core} cannot be kept awake: the reason stands above.")
            yield
        finally:
            loop.kill()
