"""Processes of the baselines: each kept to one core, told line by line what to do, ended by its standard input."""

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Self

LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo", "TP_SOCKET_IFNAME": "lo"}
"""Keeps what torch sends on this machine."""

QUIET = {"PYTHONWARNINGS": "ignore", "TORCH_CPP_LOG_LEVEL": "ERROR"}
"""Keeps torch's remarks about itself from the terminal; errors still end a process."""

_ANY_CORE = "any"
_STOP_SECONDS = 10.0


class Workers:
    """Processes that run `serve(arguments)` of a module, one pinned to each core. Not to be shared between threads."""

    def __init__(
        self, module: str, arguments_of: Mapping[int, Sequence[str]], *, free: Sequence[str] | None = None
    ) -> None:
        """`arguments_of` has the arguments of the worker on each core, in the order in which they start.

        Args:
            module: It has `serve`.
            arguments_of: By core.
            free: Arguments of one more worker, which may use any core.
        """
        self._module = module
        self._commands = [(str(core), *arguments) for core, arguments in arguments_of.items()]
        self._commands += [] if free is None else [(_ANY_CORE, *free)]
        self._environment = os.environ | LOOPBACK | QUIET | {"OMP_NUM_THREADS": "1"}
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        try:
            for arguments in self._commands:
                command = [sys.executable, "-m", __name__, self._module, *arguments]
                self._processes.append(
                    subprocess.Popen(
                        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment
                    )
                )
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def tell(self, lines: Sequence[str]) -> None:
        """One line for each worker."""
        for process, line in zip(self._processes, lines, strict=True):
            if process.stdin is not None:
                process.stdin.write(line + "\n")
                process.stdin.flush()

    def hear(self) -> list[str]:
        """The next line of each worker.

        Raises:
            SystemExit: One ended instead; its error is on the terminal.
        """
        lines = [process.stdout.readline() if process.stdout is not None else "" for process in self._processes]
        if not all(lines):
            raise SystemExit(f"A process of {self._module} ended instead of answering: see what it wrote above.")
        return [line.rstrip("\n") for line in lines]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stops them meanwhile, so that what polls while it waits takes no processor from others."""
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for process in self._processes:
                process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ends all; kills those that do not end."""
        processes, self._processes = self._processes, []
        with ExitStack() as stack:
            for process in processes:
                stack.callback(_end, process)
            for process in processes:
                if process.stdin is not None:
                    process.stdin.close()


def _end(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def pin_to(core: int) -> None:
    """Keeps this process, with all threads that it starts from now on, to one core."""
    os.sched_setaffinity(0, {core})


def answer(line: str) -> None:
    """Says a line to the benchmark."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def each_line(act: Callable[[str], None]) -> None:
    """Does what each line of the benchmark says, until it ends."""
    for line in sys.stdin:
        act(line.rstrip("\n"))


def main() -> None:
    """A worker: where it is pinned, before its module is loaded, so that all threads of its libraries are, too."""
    module, core, *arguments = sys.argv[1:]
    if core != _ANY_CORE:
        pin_to(int(core))
    importlib.import_module(module).serve(arguments)


if __name__ == "__main__":
    main()
