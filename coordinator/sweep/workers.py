"""Who computes: this process, processes of this machine, or a Dask cluster. What is computed is the same.

Functions that workers run are pure, at the top of a module, and come with all that they need: *shared*, which each
worker is sent once, and an item.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import count
from typing import Any, Protocol, TypeVar

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Workers(Protocol):
    """Runs a function over items. Used by one thread."""

    def run(
        self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """(index of the item, result), as they come. What a function raises is raised here."""
        ...


class ThisProcess:
    """Computes one item after another, here."""

    def run(
        self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """See `Workers.run`."""
        for index, item in enumerate(items):
            yield index, function(shared, item)


class LocalProcesses:
    """Processes of this machine. They end with this one, however it ends."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor
        self._tokens = count()

    def run(
        self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """See `Workers.run`. A worker that lacks what is shared says so, and is sent the item again with it."""
        token = next(self._tokens)
        waiting: dict[Future[Any], int] = {
            self._executor.submit(_work, function, token, None, item): index for index, item in enumerate(items)
        }
        try:
            while waiting:
                again: dict[Future[Any], int] = {}
                for future in as_completed(waiting):
                    index, (is_known, result) = waiting[future], future.result()
                    if is_known:
                        yield index, result
                    else:
                        again[self._executor.submit(_work, function, token, [shared], items[index])] = index
                waiting = again
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def open_workers(n_processes: int | None = None, *, scheduler: str | None = None) -> Iterator[Workers]:
    """Workers for as long as the block lasts.

    Args:
        n_processes: On this machine; as many as it lets this process have cores where None; 1 is this process.
        scheduler: Address of a Dask scheduler, `tcp://host:8786`, whose workers are used instead. They need this
            version of splitfront, and whoever can speak to a Dask cluster can run code there: use one that you trust.

    Raises:
        ValueError: Both are given, or fewer processes than one.
        WorkersError: Dask is not installed, the scheduler does not answer, or it has no workers.
    """
    if n_processes is not None and (scheduler is not None or n_processes < 1):
        raise ValueError(f"Workers are a scheduler's, or 1 or more processes; got {scheduler} and {n_processes}.")
    if scheduler is not None:
        from coordinator.sweep.dask_door import open_dask  # noqa: PLC0415  an extra, and only here

        with open_dask(scheduler) as cluster:
            yield cluster
        return
    n_used = n_processes or len(os.sched_getaffinity(0))
    if n_used == 1:
        yield ThisProcess()
        return
    # A fork would copy the threads' locks of gRPC and the like, held or not.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(n_used, mp_context=context, initializer=_begin)
    try:
        yield LocalProcesses(executor)
    finally:
        executor.shutdown(cancel_futures=True)


_kept: dict[int, Any] = {}
"""In a worker: what is shared, by its token; one at a time."""


def _work(function: Callable[[Any, Any], Any], token: int, shared: list[Any] | None, item: Any) -> tuple[bool, Any]:
    """In a worker: (True, result), or (False, None) where it does not have what is shared."""
    if shared is not None:
        _kept.clear()
        _kept[token] = shared[0]
    return (True, function(_kept[token], item)) if token in _kept else (False, None)


def _begin() -> None:
    """In a worker: an interrupt is the parent's to see, and nobody outlives it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
