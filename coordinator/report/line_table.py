"""A terminal table for thousands of rows: laid out line by line, which takes rich's own table seconds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment

from coordinator.report.names import shorten

_GAP = "  "
_LEAST_NAME_WIDTH = 3
_N_MARGINS = 2
"""Signs of a line before its first and behind its last column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineColumn:
    """How a column of a `LineTable` is shown."""

    head: str
    is_name: bool = False
    """Gives up its middle where the table is too wide; the widest such column first. All others stay whole."""
    is_right: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    """Cells of one line, plain and printable."""

    cells: tuple[str, ...]
    style: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTable:
    """Title, head, one line for each row, caption."""

    title: str
    columns: tuple[LineColumn, ...]
    rows: Sequence[LineRow]
    caption: str

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = fitted_widths(self._natural_widths(), self.columns, options.max_width - _N_MARGINS)
        yield from _line(console, [(self.title, "bold")], options.max_width)
        yield Segment.line()
        yield from self._row(console, [column.head for column in self.columns], widths, "dim", options.max_width)
        rule = " " + "─" * (sum(widths) + len(_GAP) * (len(widths) - 1) + 1)
        yield from _line(console, [(rule, "")], options.max_width)
        for row in self.rows:
            yield from self._row(console, row.cells, widths, row.style, options.max_width)
        yield Segment.line()
        yield from console.render(self.caption, options.update(highlight=False))

    def _natural_widths(self) -> list[int]:
        heads = [cell_len(column.head) for column in self.columns]
        return [max([head, *(cell_len(row.cells[index]) for row in self.rows)]) for index, head in enumerate(heads)]

    def _row(
        self, console: Console, cells: Sequence[str], widths: Sequence[int], style: str, most: int
    ) -> Iterator[Segment]:
        parts = [(" ", "")]
        for index, (column, cell, width) in enumerate(zip(self.columns, cells, widths, strict=True)):
            fitted = shorten(cell, width) if column.is_name and len(cell) > width else cell
            padded = " " * (width - cell_len(fitted)) + fitted if column.is_right else set_cell_size(fitted, width)
            parts.append((f"{_GAP if index else ''}{padded}", style or column.style))
        yield from _line(console, parts, most)


def fitted_widths(natural: Sequence[int], columns: Sequence[LineColumn], most: int) -> list[int]:
    """Widths of the columns in signs, names narrowed, the widest first, until the line has at most `most` signs."""
    widths = list(natural)
    names = [index for index, column in enumerate(columns) if column.is_name]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - most
    while excess > 0:
        widest = max(names, key=lambda index: widths[index], default=-1)
        if widest < 0 or widths[widest] <= _LEAST_NAME_WIDTH:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def _line(console: Console, parts: Sequence[tuple[str, str]], most: int) -> Iterator[Segment]:
    """One line of styled parts, cut off where the terminal ends."""
    segments = [Segment(text, console.get_style(style) if style else None) for text, style in parts if text]
    if sum(segment.cell_length for segment in segments) > most:
        segments = Segment.adjust_line_length(segments, most)
    yield from segments
    yield Segment.line()
