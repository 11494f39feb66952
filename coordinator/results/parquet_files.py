"""Results as Parquet: `sweeps.parquet`, `cases.parquet`, `runs.parquet` and `samples.parquet` in a folder.

The door to pyarrow, which is imported when it is needed.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from coordinator.errors import ResultStoreError
from coordinator.results.columns import TABLES, Row, Table, checked_row
from coordinator.results.exchange import Measured, joined
from coordinator.results.whole_file import whole_file

_GROUP_ROWS = 1 << 16
"""Rows that are gathered before they are written: few of them at a time pack badly."""


class ParquetWriter:
    """Writes rows to four open files."""

    def __init__(self, pyarrow: ModuleType, writers: dict[Table, Any]) -> None:
        """`writers` are those of pyarrow."""
        self._pyarrow = pyarrow
        self._writers = writers
        self._waiting: dict[Table, list[Row]] = {table: [] for table in TABLES}

    def write_sweep(self, row: Row, cases: Sequence[Row]) -> None:
        """Takes the rows of a sweep."""
        self._write("sweeps", [row])
        self._write("cases", cases)

    def write_run(self, row: Row, samples: Sequence[Row]) -> None:
        """Takes the rows of a run."""
        self._write("runs", [row])
        self._write("samples", samples)

    def flush(self, table: Table) -> None:
        """Writes what was gathered."""
        rows, writer = self._waiting[table], self._writers[table]
        if rows:
            writer.write_table(self._pyarrow.Table.from_pylist(rows, schema=writer.schema))
            rows.clear()

    def _write(self, table: Table, rows: Sequence[Row]) -> None:
        self._waiting[table] += rows
        if len(self._waiting[table]) >= _GROUP_ROWS:
            self.flush(table)


@contextmanager
def parquet_writer(folder: Path) -> Iterator[ParquetWriter]:
    """Writes into a folder, made where it is missing.

    Raises:
        ResultStoreError: A file cannot be written, or pyarrow is not installed.
    """
    pyarrow, parquet = _libraries()
    types = {"integer": pyarrow.int64(), "real": pyarrow.float64(), "real_or_none": pyarrow.float64()}
    with ExitStack() as stack:
        writers: dict[Table, Any] = {}
        for table, columns in TABLES.items():
            fields = [
                pyarrow.field(name, types.get(kind, pyarrow.string()), nullable=kind == "real_or_none")
                for name, kind in columns.items()
            ]
            path = stack.enter_context(whole_file(folder / f"{table}.parquet"))
            writers[table] = stack.enter_context(
                parquet.ParquetWriter(path, pyarrow.schema(fields), write_page_checksum=True)
            )
        writer = ParquetWriter(pyarrow, writers)
        yield writer
        for table in TABLES:
            writer.flush(table)


def read_parquet(folder: Path) -> Measured:
    """Sweeps of a folder.

    Raises:
        ResultStoreError: A file is missing, is no such table, or is not what was written; or pyarrow is not installed.
    """
    pyarrow, parquet = _libraries()
    return joined(lambda table: _rows(pyarrow, parquet, folder / f"{table}.parquet", table))


def _rows(pyarrow: ModuleType, parquet: ModuleType, path: Path, table: Table) -> Iterator[Row]:
    number = 0
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches():
                for cells in batch.to_pylist():
                    number += 1
                    yield checked_row(table, cells, f"{path}, row {number},")
    except ResultStoreError:
        raise
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise ResultStoreError(f"{path} cannot be read: {' '.join(str(error).split())}.") from error


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow  # noqa: PLC0415 - an extra
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise ResultStoreError("Parquet needs pyarrow: pip install 'splitfront[parquet]', or take CSV.") from error
    return pyarrow, parquet
