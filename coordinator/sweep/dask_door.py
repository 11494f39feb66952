"""A Dask cluster as workers: the only module that imports dask.

Dask carries values between its processes in a form that can run code: a cluster belongs to people who trust each other.
"""

# mypy: disable-error-code="no-untyped-call"
# Dask brings types, but not for these calls.

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from coordinator.errors import WorkersError
from coordinator.sweep.workers import Item, Result, Shared, Workers

if TYPE_CHECKING:
    from distributed import Client

CONNECT_SECONDS = 10.0
"""After which a scheduler that does not answer is taken not to be there."""


class DaskCluster:
    """Workers of a scheduler."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    def run(
        self, function: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]
    ) -> Iterator[tuple[int, Result]]:
        """See `Workers.run`.

        Raises:
            WorkersError: The workers are gone, or have no splitfront of this version.
        """
        from distributed import KilledWorker, as_completed  # noqa: PLC0415  loads slowly, and only here

        sent = self._client.scatter(shared, broadcast=True, hash=False)
        futures = [self._client.submit(function, sent, item, pure=False) for item in items]
        index_of = {future.key: index for index, future in enumerate(futures)}
        try:
            for future, result in as_completed(futures, loop=self._client.loop, with_results=True):
                yield index_of[future.key], result
        except (OSError, RuntimeError, ImportError, KilledWorker) as error:
            first = str(error).partition("\n")[0]
            raise WorkersError(
                f"The Dask cluster does not compute: {first} Its workers need this version of splitfront and must stay "
                "up; start them so, or compute here."
            ) from error
        finally:
            self._client.cancel(futures)


@contextmanager
def open_dask(scheduler: str) -> Iterator[Workers]:
    """A client of a scheduler.

    Raises:
        WorkersError: Dask is not installed, nobody answers, or there are no workers.
    """
    try:
        from distributed import Client  # noqa: PLC0415  an extra
    except ImportError as error:
        raise WorkersError(
            "A Dask cluster wants dask, which is not installed: pip install 'splitfront[dask]'."
        ) from error
    try:
        client: Any = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise WorkersError(
            f"No Dask scheduler answers at {scheduler!r} ({error}): wanted an address such as tcp://host:8786, with "
            "`dask scheduler` running there."
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise WorkersError(f"The Dask scheduler at {scheduler!r} has no workers: start `dask worker {scheduler}`.")
        yield DaskCluster(client)
