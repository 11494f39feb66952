"""The columns of results: the same in the store's tables and in exported ones.

Cells are what every database and file format has: text, whole numbers of 64 bits, and numbers of 64 bits. What has a
structure of its own is JSON in a cell.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Literal

from coordinator.errors import ResultStoreError

Kind = Literal["name", "text", "json", "integer", "real", "real_or_none"]
Table = Literal["sweeps", "cases", "runs", "samples"]
Cell = str | int | float | None
Row = dict[str, Cell]

MOST_NAME_LENGTH = 200
"""Signs of a name: databases index no longer ones."""

RUN_KEY: dict[str, Kind] = {"sweep": "name", "case_key": "name", "repeat": "integer", "attempt": "integer"}
"""What a run is found by."""

TABLES: dict[Table, dict[str, Kind]] = {
    "sweeps": {
        "name": "name",
        "seed": "integer",
        "created_at": "text",
        "n_repeats": "integer",
        "spec": "json",
        "versions": "json",
        "running_order": "json",
        "sha256": "name",
    },
    "cases": {
        "sweep": "name",
        "position": "integer",
        "key": "name",
        "model": "text",
        "cluster": "text",
        "nodes": "json",
        "condition": "text",
        "plan_label": "text",
        "plan": "json",
        "data_plane": "text",
        "codec": "text",
    },
    "runs": RUN_KEY
    | {
        "position": "integer",
        "state": "name",
        "reason": "text",
        "began_at": "text",
        "seconds": "real",
        "coordinator": "text",
        "predicted_latency_seconds": "real_or_none",
        "predicted_throughput_per_second": "real_or_none",
        "links": "json",
        "resources": "json",
        "environment": "json",
        "figures": "json",
        "n_samples": "integer",
        "samples_sha256": "name",
        "sha256": "name",
    },
    "samples": RUN_KEY
    | {
        "number": "integer",
        "scenario": "name",
        "request": "integer",
        "sent_seconds": "real",
        "received_seconds": "real",
        "compute_seconds": "json",
    },
}
"""A sample's `number` is its place in the order of arrival, a case's `position` its place in the sweep."""

ADDED: dict[Table, dict[str, str]] = {"runs": {"resources": "[]"}}
"""Columns that came later, and what stands in them in rows of before. No digest counts a cell that says just that, so
that those of old rows still hold."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""PostgreSQL stores no zero sign, and UTF-8 no halves of a sign."""


def checked_row(table: Table, cells: Mapping[str, object], what: str) -> Row:
    """The row of a table with exactly its columns, each of its kind; text that says a number becomes one.

    Args:
        table: Whose columns are wanted.
        cells: By column; others are ignored.
        what: The object, as an error names it.

    Raises:
        ResultStoreError: A cell is missing or cannot be stored.
    """
    columns = TABLES[table]
    cells = {**ADDED.get(table, {}), **cells}
    if missing := [name for name in columns if name not in cells]:
        raise ResultStoreError(f"{what} has no {', '.join(missing)}: this is no complete row of {table}.")
    row: Row = {}
    for name, kind in columns.items():
        try:
            row[name] = _cell(kind, cells[name])
        except (TypeError, ValueError, OverflowError) as error:
            raise ResultStoreError(f"{what}: {name} cannot be kept: {error}.") from error
    return row


def json_text(value: object, what: str) -> str:
    """A value as the JSON of a cell; equal values give equal texts.

    Raises:
        ResultStoreError: JSON has no words for it.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultStoreError(f"{what} cannot be kept as JSON: {error}.") from error


def number_json(number: float) -> float | str:
    """A number as JSON has it, or as a text that `float` reads: `NaN`, `Infinity`, `-Infinity`."""
    number = float(number)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _cell(kind: Kind, value: object) -> Cell:
    if kind in {"real", "real_or_none"}:
        if kind == "real_or_none" and value in (None, ""):
            return None
        return _real(value)
    if kind == "integer":
        return _integer(value)
    if not isinstance(value, str):
        raise TypeError(f"wanted text, got {value!r}")
    if found := _UNSTORABLE.search(value):
        raise ValueError(f"the sign {found.group()!r} can be stored nowhere")
    if kind == "name" and not 0 < len(value) <= MOST_NAME_LENGTH:
        raise ValueError(f"wanted 1 to {MOST_NAME_LENGTH} signs, got {len(value)}")
    return value


def _real(value: object) -> float:
    if not isinstance(value, (float, int, str)) and not hasattr(value, "__float__"):
        raise TypeError(f"wanted a number, got {value!r}")
    number = float(value)
    if math.isnan(number):
        raise ValueError("it is not a number")
    return number + 0.0  # -0.0 becomes 0.0: SQLite stores whole numbers without that sign


def _integer(value: object) -> int:
    if not isinstance(value, (int, str)) and not hasattr(value, "__index__"):
        raise TypeError(f"wanted a whole number, got {value!r}")
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{number} has more than 64 bits")
    return number
