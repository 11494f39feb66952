"""Results as one JSON file: sweeps, in each its cases and its runs, in each of these its samples; one to a line."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from coordinator.errors import ResultStoreError
from coordinator.results.columns import RUN_KEY, TABLES, Row, Table, checked_row, json_text, number_json
from coordinator.results.exchange import Measured
from coordinator.results.rows import run_rows, to_run, to_sweep
from coordinator.results.summary import SweepSummary
from coordinator.results.values import Run
from coordinator.results.whole_file import whole_file

SCHEMA = "splitfront/results/2"
KNOWN = ("splitfront/results/1", SCHEMA)
"""Schemas that are read: the first one had no resources."""
_NESTED: dict[Table, frozenset[str]] = {
    "sweeps": frozenset(),
    "cases": frozenset({"sweep"}),
    "runs": frozenset({"sweep"}),
    "samples": frozenset(RUN_KEY),
}
"""Columns that a row has from the one that it stands in."""
_OF_SAMPLES = frozenset({"n_samples", "samples_sha256", "sha256"})
"""Columns of a run that say nothing true of one that was read without its samples."""


class JsonWriter:
    """Says rows as text, piece by piece."""

    def __init__(self, say: Callable[[str], object]) -> None:
        """`say` takes the text."""
        self._say = say
        self._n_sweeps = 0
        self._n_runs = 0
        say(f'{{"schema": "{SCHEMA}", "sweeps": [\n')

    def write_sweep(self, row: Row, cases: Sequence[Row]) -> None:
        """Takes the rows of a sweep."""
        self._say("]},\n" if self._n_sweeps else "")
        self._say(f'{_opened("sweeps", row)}\n"cases": [\n{_lines("cases", cases)}],\n"runs": [\n')
        self._n_sweeps, self._n_runs = self._n_sweeps + 1, 0

    def write_run(self, row: Row, samples: Sequence[Row]) -> None:
        """Takes the rows of a run of the last sweep."""
        self._say(",\n" if self._n_runs else "")
        self._say(f'{_opened("runs", row)}\n"samples": [\n{_lines("samples", samples)}]}}')
        self._n_runs += 1

    def end(self) -> None:
        """Closes what is open."""
        self._say(("]}" if self._n_sweeps else "") + "]}\n")


@contextmanager
def json_writer(path: Path) -> Iterator[JsonWriter]:
    """Writes into a file.

    Raises:
        ResultStoreError: It cannot be written.
    """
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        writer = JsonWriter(file.write)
        yield writer
        writer.end()


def read_json(path: Path) -> Measured:
    """Sweeps of a file.

    Raises:
        ResultStoreError: It is missing, no such file, or not what was written.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultStoreError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ResultStoreError(f"{path}: no JSON, or cut short: {error}.") from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema not in KNOWN:
        raise ResultStoreError(f"{path}: wanted the schema {SCHEMA!r}, got {schema!r}: this is another kind of file.")
    for sweep in _list(content, "sweeps", str(path)):
        what = f"{path}, sweep {sweep.get('name')!r},"
        row = _row("sweeps", sweep, {}, what)
        owner = {"sweep": row["name"]}
        cases = [_row("cases", case, owner, what) for case in _list(sweep, "cases", what)]
        yield to_sweep(row, cases), _runs(_list(sweep, "runs", what), owner, what)


def summary_json(summary: SweepSummary, runs: Sequence[Run]) -> str:
    """A summary, and beside it the runs that it is of; without their samples."""
    cases = [
        {name: number_json(cell) if isinstance(cell, float) else cell for name, cell in asdict(case).items()}
        for case in summary.cases
    ]
    columns = {name: kind for name, kind in TABLES["runs"].items() if name not in _OF_SAMPLES}
    rows = [run_rows(run)[0] for run in runs]
    shown = [{name: _json_cell(kind, row[name]) for name, kind in columns.items()} for row in rows]
    return json.dumps(asdict(summary) | {"cases": cases, "runs": shown}, indent=1, allow_nan=False)


def _runs(found: Sequence[Mapping[str, Any]], owner: Mapping[str, object], what: str) -> Iterator[Run]:
    for run in found:
        row = _row("runs", run, owner, what)
        key = {name: row[name] for name in RUN_KEY}
        yield to_run(row, [_row("samples", sample, key, what) for sample in _list(run, "samples", what)])


def _row(table: Table, content: Mapping[str, Any], owner: Mapping[str, object], what: str) -> Row:
    cells = {
        name: json_text(value, f"{what} {name}") if TABLES[table].get(name) == "json" else value
        for name, value in content.items()
    }
    return checked_row(table, {**cells, **owner}, f"{what} a row of {table}")


def _list(content: Mapping[str, Any], name: str, what: str) -> Sequence[Mapping[str, Any]]:
    found = content.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ResultStoreError(f"{what} has no list of {name}.")
    return found


def _opened(table: Table, row: Row) -> str:
    """A row as an object to which another member is to be added."""
    return _lines(table, [row]).removesuffix("}") + ","


def _lines(table: Table, rows: Collection[Row]) -> str:
    columns = {name: kind for name, kind in TABLES[table].items() if name not in _NESTED[table]}
    return ",\n".join(
        json.dumps({name: _json_cell(kind, row[name]) for name, kind in columns.items()}, allow_nan=False)
        for row in rows
    )


def _json_cell(kind: str, cell: Any) -> object:
    if kind == "json":
        return json.loads(cell)
    return number_json(cell) if isinstance(cell, float) else cell
