"""A Dask scheduler and its workers, as processes of their own on loopback."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0


@contextmanager
def dask_cluster(n_workers: int, folder: Path) -> Iterator[str]:
    """Address of a scheduler with so many workers of one thread each; all end with the block.

    Args:
        n_workers: Processes.
        folder: Empty; for what they write.
    """
    facts, logs = folder / "scheduler.json", folder / "dask.log"
    common = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(facts))
    with ExitStack() as stack:
        log = stack.enter_context(logs.open("w", encoding="utf-8"))

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments, *common],
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        processes = [start("distributed.cli.dask_scheduler", "--port", "0")]
        _wait_for(facts.is_file, processes, logs)
        worker = ("distributed.cli.dask_worker", "--no-nanny", "--nthreads", "1", "--local-directory", str(folder))
        processes += [start(*worker) for _ in range(n_workers)]
        _wait_for(lambda: logs.read_text(encoding="utf-8").count("Registered to:") >= n_workers, processes, logs)
        yield str(json.loads(facts.read_text(encoding="utf-8"))["address"])


def _wait_for(is_so: Callable[[], bool], processes: Sequence[subprocess.Popen[bytes]], logs: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not is_so():
        if time.monotonic() > end or any(process.poll() is not None for process in processes):
            raise RuntimeError(f"Dask does not start:\n{logs.read_text(encoding='utf-8')[-2000:]}")
        time.sleep(0.05)
