"""What sweeps need of a store of results, so that tests can put something else there."""

from collections.abc import Iterator
from typing import Protocol

from coordinator.results.values import Run, Sample, Sweep


class ResultStore(Protocol):
    """Sweeps, their runs and samples. What a method has returned from survives SIGKILL. Several processes may use one.

    Methods may be called from several threads. Each may raise `ResultStoreError`: the store cannot be read or written.
    """

    def add_sweep(self, sweep: Sweep) -> None:
        """Keeps a sweep with its cases; the same one may be added again.

        "The same" leaves out `created_at` and `versions`: a sweep is taken up again on another day.

        Raises:
            SweepConflictError: Another one has this name.
        """
        ...

    def sweep(self, name: str) -> Sweep:
        """The sweep of this name, as it was first added.

        Raises:
            SweepUnknownError: There is none; names those that there are.
        """
        ...

    def sweeps(self) -> tuple[str, ...]:
        """Names of all sweeps, the oldest first."""
        ...

    def claim(self, sweep: str, case_key: str, repeat: int, *, owner: str, lease_seconds: float) -> bool:
        """Reserves a repeat of a case for `owner`.

        True once it is his: it was free, or his already (the lease begins anew), or the lease of another one ran out.
        False where a `done` run of it is there, or another owner's lease still runs. Leases go by the store's clock
        where it has one (a database server), so that coordinators need not agree on the time.

        Raises:
            SweepUnknownError: There is no such sweep.
        """
        ...

    def release(self, sweep: str, case_key: str, repeat: int, *, owner: str) -> None:
        """Ends the owner's claim; does nothing where he has none."""
        ...

    def record(self, run: Run) -> None:
        """Keeps a run with all its samples, in one transaction, and ends every claim on it where it is `done`.

        At most one run is kept for each (sweep, case, repeat, attempt), and at most one `done` run for each (sweep,
        case, repeat). The very same run may be recorded again.

        Raises:
            RunKnownError: Another one is there; nothing was written.
            SweepUnknownError: There is no such sweep.
        """
        ...

    def runs(self, sweep: str, *, with_samples: bool = False) -> tuple[Run, ...]:
        """All runs of a sweep by position, then attempt; their `samples` are empty unless asked for.

        Raises:
            SweepUnknownError: There is no such sweep.
        """
        ...

    def samples(self, sweep: str, *, case_key: str | None = None) -> Iterator[tuple[Run, tuple[Sample, ...]]]:
        """(run without samples, its samples), run after run, of one case where `case_key` is given: never all at once.

        Raises:
            SweepUnknownError: There is no such sweep.
        """
        ...

    def close(self) -> None:
        """Ends the connection. Claims stay until released or run out."""
        ...


class OpenStore(Protocol):
    """Opens a store; `coordinator.results.store.open_store` is one.

    It raises `ResultStoreError` where there is none to be had: a URL that nobody answers, a file that is none.
    """

    def __call__(self, url_or_path: str) -> ResultStore:
        """A store by an SQLAlchemy URL, or by the path of an SQLite file, which is made where it is not there."""
        ...
