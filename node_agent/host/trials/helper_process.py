"""The agent's end of the process that tries shards."""

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

from node_agent.host.trials.order import MAX_LINE_BYTES, TrialOrder, TrialOutcome, order_to_line, outcome_from_line

_COMMAND = (sys.executable, "-m", "node_agent.host.trials.helper")
_START_SECONDS = 60.0
"""For a helper to load its libraries, on the slowest devices beside much else."""
_SLACK_SECONDS = 10.0
_END_SECONDS = 2.0
_KEPT_NAMES = frozenset({"PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR", "HOME"})
_KEPT_BEGINNINGS = ("CUDA_", "NVIDIA_")
_SINGLE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX"), "1"),
    "ORT_DISABLE_TELEMETRY": "1",
}
"""Libraries that start threads when they are loaded would make forking unsafe."""


class HelperLostError(Exception):
    """There is no helper to be had; the message says why."""


def helper_environment(own: Mapping[str, str]) -> dict[str, str]:
    """What a helper is told of an environment: no secret that may be in it."""
    kept = {name: value for name, value in own.items() if name in _KEPT_NAMES or name.startswith(_KEPT_BEGINNINGS)}
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109 - as Python means it
    return {**kept, **_SINGLE_THREAD, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


class HelperProcess:
    """A helper that is started when it is wanted, and again when it has gone. Thread-safe; one trial at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def warm_up(self) -> None:
        """Starts it without waiting, so that it is ready when it is asked; what fails is told when it is."""
        if not self._lock.acquire(blocking=False):
            return  # it is at work
        try:
            self._start()
        except OSError:
            return
        finally:
            self._lock.release()

    def ask(self, order: TrialOrder) -> TrialOutcome:
        """What came of a trial.

        Raises:
            HelperLostError: No helper can be started, or it ends without an answer, twice.
        """
        with self._lock:
            for _ in range(2):  # the first may be about to end, since it was idle
                try:
                    process = self._start()
                    return self._talk(process, order)
                except (OSError, ValueError) as exc:
                    reason = f"{type(exc).__name__}: {exc}"
                    self._end()
        raise HelperLostError(reason)

    def _start(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=helper_environment(os.environ), bufsize=0
            )
            threading.Thread(target=self._process.wait, name="end of helper", daemon=True).start()
        return self._process

    def _talk(self, process: subprocess.Popen[bytes], order: TrialOrder) -> TrialOutcome:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the helper has no pipes")
        deadline = time.monotonic() + _START_SECONDS + order.wall_seconds + _SLACK_SECONDS
        process.stdin.write(order_to_line(order))
        line = b""
        while not line.endswith(b"\n"):
            patience = max(0.0, deadline - time.monotonic())
            if not select.select([process.stdout], [], [], patience)[0]:
                raise TimeoutError("it did not answer in time")
            read = os.read(process.stdout.fileno(), 1 << 16)
            if not read:
                raise OSError("it ended without an answer")
            line += read
            if len(line) > MAX_LINE_BYTES:
                raise ValueError("its answer is too long")
        return outcome_from_line(line)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        """Ends it, once a trial that is at work has ended."""
        with self._lock:
            self._end()
