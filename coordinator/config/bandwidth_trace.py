"""A recorded bandwidth trace: CSV with the columns seconds, rate and, where wanted, delay.

A row says what the link is from `seconds` (0 in the first) until the next row; the last one lasts as long as the one
before it. Rates and delays have their units, as everywhere: `3.2mbit`, `40ms`.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from coordinator.config.quantities import parse_bytes_per_second, parse_seconds
from coordinator.errors import ConfigError
from node_agent.dataplane.limits import MAX_STEPS

_COLUMNS = (["seconds", "rate"], ["seconds", "rate", "delay"])
_LONE_SECONDS = 1.0
_MOST_FAULTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedStep:
    """What a link was for a while."""

    seconds: float
    """How long."""
    bytes_per_second: float
    delay_seconds: float | None
    """One way; None where the trace tells none."""


def mean_rate(steps: Sequence[RecordedStep]) -> float:
    """Bytes per second, over the whole trace."""
    return sum(step.seconds * step.bytes_per_second for step in steps) / sum(step.seconds for step in steps)


def mean_delay(steps: Sequence[RecordedStep]) -> float | None:
    """Over the whole trace; None where it tells none."""
    total = sum(step.seconds for step in steps)
    delays = [(step.delay_seconds, step.seconds) for step in steps if step.delay_seconds is not None]
    return sum(delay * seconds for delay, seconds in delays) / total if delays else None


def load_trace(path: Path) -> tuple[RecordedStep, ...]:
    """The steps of a file.

    Raises:
        ConfigError: With its faults.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin with the mark
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(str(path), ["it cannot be read as text"]) from exc
    return parse_trace(text, source=str(path))


def parse_trace(text: str, *, source: str) -> tuple[RecordedStep, ...]:
    """The steps of a text; `source` names it in errors.

    Raises:
        ConfigError: With its faults.
    """
    rows = [(number, row) for number, row in enumerate(csv.reader(io.StringIO(text)), 1) if row]
    header = [cell.strip() for cell in rows[0][1]] if rows else []
    if header not in _COLUMNS:
        raise ConfigError(source, [f"line 1: wanted the columns seconds,rate or seconds,rate,delay, got {header}"])
    if not 1 <= len(rows) - 1 <= MAX_STEPS:
        raise ConfigError(source, [f"wanted 1 to {MAX_STEPS} rows below the header, got {len(rows) - 1}"])
    faults: list[str] = []
    read = [_row(number, row, len(header), faults) for number, row in rows[1:]]
    moments = [moment for moment, _, _ in read]
    faults += _moment_faults(moments, [number for number, _ in rows[1:]])
    if faults:
        more = [f"and {len(faults) - _MOST_FAULTS} more"] if len(faults) > _MOST_FAULTS else []
        raise ConfigError(source, [*faults[:_MOST_FAULTS], *more])
    lengths = [later - earlier for earlier, later in pairwise(moments)] or [_LONE_SECONDS]
    return tuple(
        RecordedStep(seconds=seconds, bytes_per_second=rate, delay_seconds=delay)
        for seconds, (_, rate, delay) in zip([*lengths, lengths[-1]], read, strict=False)
    )


def _row(number: int, row: Sequence[str], n_columns: int, faults: list[str]) -> tuple[float, float, float | None]:
    cells = [cell.strip() for cell in row]
    if len(cells) != n_columns:
        faults.append(f"line {number}: wanted {n_columns} values, got {len(cells)}")
        return 0.0, 1.0, None
    try:
        rate = parse_bytes_per_second(cells[1])
        delay = parse_seconds(cells[2]) if n_columns > 2 else None
        moment = float(cells[0])
    except ValueError as exc:
        faults.append(f"line {number}: {exc}")
        return 0.0, 1.0, None
    if rate == 0:
        faults.append(f"line {number}: unlimited is no recorded rate")
    return moment, rate or 1.0, delay


def _moment_faults(moments: Sequence[float], lines: Sequence[int]) -> Iterator[str]:
    if moments[0] != 0:
        yield f"line {lines[0]}: wanted 0 seconds in the first row, got {moments[0]:g}"
    for (earlier, later), line in zip(pairwise(moments), lines[1:], strict=True):
        if not 0.001 <= later - earlier < float("inf"):
            yield f"line {line}: wanted a moment at least a millisecond after {earlier:g} seconds, got {later:g}"
