"""Exports and imports: sweeps go from a store to files and come back equal, to the last bit.

What stands in files are the rows of the store with their digests: an import proves that it is what was exported.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from coordinator.errors import ResultStoreError
from coordinator.results.columns import RUN_KEY, Row, Table
from coordinator.results.ports import ResultStore
from coordinator.results.rows import run_rows, sweep_rows, to_run, to_sweep
from coordinator.results.values import Run, Sweep

Measured = Iterator[tuple[Sweep, Iterator[Run]]]
"""Sweeps with their runs, samples and all. Those of one are read before the next sweep is asked for, or not at all."""
Progress = Callable[[int, str], None]
"""(runs so far, sweep)"""


class RowWriter(Protocol):
    """Takes rows to files. A sweep comes first, then its runs."""

    def write_sweep(self, row: Row, cases: Sequence[Row]) -> None:
        """Takes the rows of a sweep."""
        ...

    def write_run(self, row: Row, samples: Sequence[Row]) -> None:
        """Takes the rows of a run of the last sweep."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import brought."""

    sweeps: tuple[str, ...]
    n_new_runs: int
    n_known_runs: int
    """They were there already, and the same."""


def measured(store: ResultStore, names: Sequence[str]) -> Measured:
    """Sweeps of a store, all where `names` is empty.

    Raises:
        SweepUnknownError: One is not there.
    """
    for name in names or store.sweeps():
        yield store.sweep(name), _with_samples(store, name)


def write(sweeps: Measured, writer: RowWriter, on_run: Progress = lambda _n_done, _name: None) -> int:
    """Writes sweeps; the number of runs."""
    n_runs = 0
    for sweep, runs in sweeps:
        writer.write_sweep(*sweep_rows(sweep))
        for run in runs:
            writer.write_run(*run_rows(run))
            n_runs += 1
            on_run(n_runs, sweep.name)
    return n_runs


def keep(sweeps: Measured, store: ResultStore, on_run: Progress = lambda _n_done, _name: None) -> Imported:
    """Puts sweeps into a store. What is there already stays; broken off, it may be begun again.

    Raises:
        SweepConflictError: The store has another sweep of that name.
        RunKnownError: It has another run in the place of one; what came before is kept.
        ResultStoreError: What was read is damaged.
    """
    names, n_new, n_known = [], 0, 0
    for sweep, runs in sweeps:
        store.add_sweep(sweep)
        names.append(sweep.name)
        there = {(run.case_key, run.repeat, run.attempt) for run in store.runs(sweep.name)}
        for run in runs:
            store.record(run)
            is_known = (run.case_key, run.repeat, run.attempt) in there
            n_new, n_known = n_new + (not is_known), n_known + is_known
            on_run(n_new + n_known, sweep.name)
    return Imported(sweeps=tuple(names), n_new_runs=n_new, n_known_runs=n_known)


def joined(rows: Callable[[Table], Iterator[Row]]) -> Measured:
    """Sweeps of four tables that are in the order in which `write` gives rows.

    Raises:
        ResultStoreError: A row is missing, too many, damaged, or out of order.
    """
    cases = _Following("cases", rows("cases"), ("sweep",))
    runs = _Following("runs", rows("runs"), ("sweep",))
    samples = _Following("samples", rows("samples"), tuple(RUN_KEY))
    for row in rows("sweeps"):
        found = _joined_runs(runs.take(row["name"]), samples)
        yield to_sweep(row, list(cases.take(row["name"]))), found
        for _ in found:  # what the reader left stands before what comes next
            pass
    for table in (cases, runs, samples):
        table.check_end()


def _joined_runs(runs: Iterator[Row], samples: "_Following") -> Iterator[Run]:
    for row in runs:
        yield to_run(row, list(samples.take(*(row[name] for name in RUN_KEY))))


class _Following:
    """Rows that are taken in their order, as long as they belong to what is asked for."""

    def __init__(self, table: Table, rows: Iterator[Row], key: Sequence[str]) -> None:
        self._table = table
        self._rows = rows
        self._key = key
        self._next = next(rows, None)

    def take(self, *owner: Any) -> Iterator[Row]:
        while self._next is not None and tuple(self._next[name] for name in self._key) == owner:
            row, self._next = self._next, next(self._rows, None)
            yield row

    def check_end(self) -> None:
        if self._next is not None:
            owner = "/".join(str(self._next[name]) for name in self._key)
            raise ResultStoreError(
                f"The table {self._table} has a row of {owner} that belongs to nothing before it: rows are missing, or "
                "were put in another order."
            )


def _with_samples(store: ResultStore, name: str) -> Iterator[Run]:
    for run, samples in store.samples(name):
        yield replace(run, samples=samples)
