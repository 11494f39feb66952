"""Results as CSV: `sweeps.csv`, `cases.csv`, `runs.csv` and `samples.csv` in a folder."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from coordinator.errors import ResultStoreError
from coordinator.results.columns import TABLES, Row, Table, checked_row
from coordinator.results.exchange import Measured, joined
from coordinator.results.whole_file import whole_file

_MOST_CELL_LENGTH = 1 << 30
"""Signs; a sweep of many thousand runs has its order in one cell."""


class CsvWriter:
    """Writes rows to four open files."""

    def __init__(self, writers: dict[Table, Any]) -> None:
        """`writers` are those of the module `csv`."""
        self._writers = writers

    def write_sweep(self, row: Row, cases: Sequence[Row]) -> None:
        """Takes the rows of a sweep."""
        self._write("sweeps", [row])
        self._write("cases", cases)

    def write_run(self, row: Row, samples: Sequence[Row]) -> None:
        """Takes the rows of a run."""
        self._write("runs", [row])
        self._write("samples", samples)

    def _write(self, table: Table, rows: Sequence[Row]) -> None:
        self._writers[table].writerows([row[name] for name in TABLES[table]] for row in rows)


@contextmanager
def csv_writer(folder: Path) -> Iterator[CsvWriter]:
    """Writes into a folder, made where it is missing.

    Raises:
        ResultStoreError: A file cannot be written.
    """
    with ExitStack() as stack:
        writers: dict[Table, Any] = {}
        for table, columns in TABLES.items():
            path = stack.enter_context(whole_file(folder / f"{table}.csv"))
            file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
            # All text in quotes: a lone carriage return would end the row without them.
            writers[table] = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
            writers[table].writerow(columns)
        yield CsvWriter(writers)


def read_csv(folder: Path) -> Measured:
    """Sweeps of a folder.

    Raises:
        ResultStoreError: A file is missing, is no such table, or is not what was written.
    """
    csv.field_size_limit(_MOST_CELL_LENGTH)
    return joined(lambda table: _rows(folder / f"{table}.csv", table))


def _rows(path: Path, table: Table) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval=None)
            for number, cells in enumerate(reader, 1):
                filled = {name: cell for name, cell in cells.items() if cell is not None}
                yield checked_row(table, filled, f"{path}, row {number},")
    except ResultStoreError:
        raise
    except OSError as error:
        raise ResultStoreError(f"{path} cannot be read: {error.strerror}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ResultStoreError(f"{path} is no CSV in UTF-8: {error}.") from error
