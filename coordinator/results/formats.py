"""Files that results may stand in, told apart by what is there."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

from coordinator.errors import ResultStoreError
from coordinator.results.csv_files import csv_writer, read_csv
from coordinator.results.exchange import Measured, RowWriter
from coordinator.results.json_file import json_writer, read_json
from coordinator.results.parquet_files import parquet_writer, read_parquet

Format = Literal["csv", "parquet", "json"]

WRITERS: dict[Format, Callable[[Path], AbstractContextManager[RowWriter]]] = {
    "csv": csv_writer,
    "parquet": parquet_writer,
    "json": json_writer,
}
"""CSV and Parquet take a folder, JSON a file."""


def read_exported(path: Path) -> Measured:
    """Sweeps of an exported file or folder.

    Raises:
        ResultStoreError: It is none, or is damaged.
    """
    if path.is_dir():
        for suffix, read in ((".parquet", read_parquet), (".csv", read_csv)):
            if (path / f"sweeps{suffix}").exists():
                return read(path)
        raise ResultStoreError(f"The folder {path} holds neither sweeps.csv nor sweeps.parquet: name one that does.")
    if not path.exists():
        raise ResultStoreError(f"There is no {path}: name a folder of CSV or Parquet, or a JSON file.")
    return read_json(path)
