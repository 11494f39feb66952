"""The store of results: a `ResultStore` on an SQLite file, or on any database that SQLAlchemy knows."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import sqlalchemy as sa

from coordinator.errors import ResultStoreError, RunKnownError, SweepConflictError, SweepUnknownError
from coordinator.results import tables
from coordinator.results.columns import TABLES, Row
from coordinator.results.opening import READING, explained, open_engine, store_seconds
from coordinator.results.rows import run_name, run_rows, sweep_rows, to_run, to_sweep
from coordinator.results.values import Run, Sample, Sweep


def open_store(url_or_path: str, *, is_made: bool = True) -> "SqlStore":
    """A store by an SQLAlchemy URL, by the path of an SQLite file, or by the folder that holds `results.sqlite`.

    Args:
        url_or_path: Where it is.
        is_made: Whether it is made where there is none.

    Raises:
        ResultStoreError: It cannot be opened, or is none; nothing was changed then.
    """
    return SqlStore(*open_engine(url_or_path, is_made=is_made))


class SqlStore:
    """Sweeps in tables. Thread-safe; several processes may use one at a time.

    Each method is one transaction. Whoever changes what is known of a case holds the lock of its row (SQLite has one
    for the file), so that of several coordinators one decides after the other.
    """

    def __init__(self, engine: sa.Engine, name: str) -> None:
        """`name` is how errors call the store."""
        self.name = name
        self._engine = engine
        self._reading = engine.execution_options(**READING)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections. Claims stay until released or run out."""
        with explained(self.name):
            self._engine.dispose()

    def add_sweep(self, sweep: Sweep) -> None:
        """Keeps a sweep with its cases; the same one may be added again.

        Raises:
            SweepConflictError: Another one has this name.
            ResultStoreError: Something in it cannot be stored.
        """
        row, cases = sweep_rows(sweep)
        with self._transaction() as connection:
            if self._keep_sweep(connection, row, cases):
                return
        # Another process may have added it between our look and our writing; servers say so by an error.
        with self._transaction() as connection:
            self._keep_sweep(connection, row, cases)

    def sweep(self, name: str) -> Sweep:
        """The sweep of this name, as it was first added.

        Raises:
            SweepUnknownError: There is none; names those that there are.
            ResultStoreError: It is damaged.
        """
        with self._transaction(reads=True) as connection:
            row = self._known(connection, name)
            cases = _rows(connection, sa.select(tables.cases).where(tables.cases.c.sweep == name))
        return to_sweep(row, cases)

    def sweeps(self) -> tuple[str, ...]:
        """Names of all sweeps, the oldest first."""
        with self._transaction(reads=True) as connection:
            found = connection.execute(sa.select(tables.sweeps.c.created_at, tables.sweeps.c.name)).all()
        return tuple(name for _, name in sorted(map(tuple, found)))

    def claim(self, sweep: str, case_key: str, repeat: int, *, owner: str, lease_seconds: float) -> bool:
        """Reserves a repeat of a case for `owner`.

        True once it is his: it was free, or his already (the lease begins anew), or the lease of another one ran out.
        False where a `done` run of it is there, or another owner's lease still runs.

        Raises:
            SweepUnknownError: There is no such sweep.
            ResultStoreError: It has no such case.
        """
        claims, key = tables.claims.c, (sweep, case_key, repeat)
        with self._transaction() as connection:
            self._lock_case(connection, sweep, case_key)
            if connection.execute(_done_of(*key)).first() is not None:
                return False
            now = store_seconds(connection)
            mine = {"owner": owner, "until_seconds": now + lease_seconds}
            held = connection.execute(sa.select(claims.owner, claims.until_seconds).where(*_claim_of(*key))).first()
            if held is None:
                values = {"sweep": sweep, "case_key": case_key, "repeat": repeat, **mine}
                connection.execute(sa.insert(tables.claims).values(values))
                return True
            if held.owner != owner and held.until_seconds > now:
                return False
            connection.execute(sa.update(tables.claims).where(*_claim_of(*key)).values(mine))
            return True

    def release(self, sweep: str, case_key: str, repeat: int, *, owner: str) -> None:
        """Ends the owner's claim; does nothing where he has none."""
        with self._transaction() as connection:
            connection.execute(
                sa.delete(tables.claims).where(*_claim_of(sweep, case_key, repeat), tables.claims.c.owner == owner)
            )

    def record(self, run: Run) -> None:
        """Keeps a run with all its samples, in one transaction, and ends every claim on it where it is `done`.

        The very same run may be recorded again.

        Raises:
            RunKnownError: Another one of this case, repeat and attempt is there, or a `done` one of this repeat;
                nothing was written.
            SweepUnknownError: There is no such sweep.
            ResultStoreError: It has no such case, or something in the run cannot be stored.
        """
        row, samples = run_rows(run)
        runs = tables.runs.c
        with self._transaction() as connection:
            self._lock_case(connection, run.sweep, run.case_key)
            same_attempt = (*_run_of(run.sweep, run.case_key, run.repeat), runs.attempt == run.attempt)
            known = connection.scalar(sa.select(runs.sha256).where(*same_attempt))
            if known == row["sha256"]:
                return
            if known is not None:
                raise RunKnownError(f"The result store {self.name} has another run {run_name(run)}: it is kept.")
            if run.state == "done":
                done = connection.scalar(_done_of(run.sweep, run.case_key, run.repeat))
                if done is not None:
                    raise RunKnownError(
                        f"Run {run_name(run)} comes too late: attempt {done} is done already, in {self.name}."
                    )
                connection.execute(sa.delete(tables.claims).where(*_claim_of(run.sweep, run.case_key, run.repeat)))
            connection.execute(sa.insert(tables.runs).values(row))
            number = connection.scalar(sa.select(runs.id).where(*same_attempt))
            if samples:
                content = [{"run": number} | {name: row[name] for name in _SAMPLE_CELLS} for row in samples]
                connection.execute(sa.insert(tables.samples), content)

    def runs(self, sweep: str, *, with_samples: bool = False) -> tuple[Run, ...]:
        """All runs of a sweep by position, then attempt; their `samples` are empty unless asked for.

        Raises:
            SweepUnknownError: There is no such sweep.
            ResultStoreError: One is damaged.
        """
        return tuple(to_run(row, samples) for row, samples in self._run_rows(sweep, None, with_samples=with_samples))

    def samples(self, sweep: str, *, case_key: str | None = None) -> Iterator[tuple[Run, tuple[Sample, ...]]]:
        """(run without samples, its samples), run after run, of one case where `case_key` is given: never all at once.

        Raises:
            SweepUnknownError: There is no such sweep.
            ResultStoreError: One is damaged.
        """
        for row, samples in self._run_rows(sweep, case_key, with_samples=True):
            run = to_run(row, samples)
            yield to_run(row), run.samples

    def _run_rows(
        self, sweep: str, case_key: str | None, *, with_samples: bool
    ) -> Iterator[tuple[Row, list[Row] | None]]:
        """A run never changes once it is there, so that its samples may be read in a later transaction."""
        runs, samples = tables.runs.c, tables.samples
        wanted = sa.select(tables.runs).where(runs.sweep == sweep)
        if case_key is not None:
            wanted = wanted.where(runs.case_key == case_key)
        with self._transaction(reads=True) as connection:
            self._known(connection, sweep)
            found = _rows(connection, wanted.order_by(runs.position, runs.attempt, runs.case_key, runs.repeat))
        for row in found:
            content = None
            if with_samples:
                with self._transaction(reads=True) as connection:
                    content = _rows(connection, sa.select(samples).where(samples.c.run == row["id"]))
            yield row, content

    @contextmanager
    def _transaction(self, *, reads: bool = False) -> Iterator[sa.Connection]:
        with explained(self.name), (self._reading if reads else self._engine).begin() as connection:
            yield connection

    def _keep_sweep(self, connection: sa.Connection, row: Row, cases: Sequence[Row]) -> bool:
        """Whether it is kept now; False: somebody else was about to add one of this name, and did by now."""
        known = connection.scalar(sa.select(tables.sweeps.c.sha256).where(tables.sweeps.c.name == row["name"]))
        if known == row["sha256"]:
            return True
        if known is not None:
            raise SweepConflictError(
                f"The result store {self.name} has another sweep {row['name']!r}: choose another name or store."
            )
        try:
            with connection.begin_nested():
                connection.execute(sa.insert(tables.sweeps).values(row))
        except sa.exc.IntegrityError:
            return False
        if cases:
            connection.execute(sa.insert(tables.cases), cases)
        return True

    def _known(self, connection: sa.Connection, name: str) -> Row:
        found = _rows(connection, sa.select(tables.sweeps).where(tables.sweeps.c.name == name))
        if found:
            return found[0]
        others = [repr(other) for other in connection.scalars(sa.select(tables.sweeps.c.name).limit(8))]
        hint = f"it has {', '.join(sorted(others))}" if others else "it has none yet"
        raise SweepUnknownError(f"The result store {self.name} has no sweep {name!r}: {hint}.")

    def _lock_case(self, connection: sa.Connection, sweep: str, case_key: str) -> None:
        cases = tables.cases.c
        wanted = sa.select(cases.position).where(cases.sweep == sweep, cases.key == case_key).with_for_update()
        if connection.execute(wanted).first() is None:
            self._known(connection, sweep)
            raise ResultStoreError(f"Sweep {sweep!r} in {self.name} has no case {case_key!r}.")


_SAMPLE_CELLS = tuple(name for name in TABLES["samples"] if name in tables.samples.c)


def _rows(connection: sa.Connection, statement: sa.Select[Any]) -> list[Row]:
    return [dict(row) for row in connection.execute(statement).mappings()]


def _run_of(sweep: str, case_key: str, repeat: int) -> tuple[sa.ColumnElement[bool], ...]:
    runs = tables.runs.c
    return runs.sweep == sweep, runs.case_key == case_key, runs.repeat == repeat


def _done_of(sweep: str, case_key: str, repeat: int) -> sa.Select[tuple[int]]:
    return sa.select(tables.runs.c.attempt).where(*_run_of(sweep, case_key, repeat), tables.runs.c.state == "done")


def _claim_of(sweep: str, case_key: str, repeat: int) -> tuple[sa.ColumnElement[bool], ...]:
    claims = tables.claims.c
    return claims.sweep == sweep, claims.case_key == case_key, claims.repeat == repeat
