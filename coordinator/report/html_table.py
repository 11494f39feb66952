"""A table for the page: semantic HTML to read, tab-separated text to copy."""

import html
import re
from collections.abc import Callable
from dataclasses import dataclass

from coordinator.measurement import Estimate
from coordinator.report import quantities
from coordinator.report.names import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Head of a column."""

    head: str
    is_number: bool = False
    copied: tuple[str, ...] = ()
    """Heads of the columns that it is copied as; empty for one under its own head."""
    is_filter: bool = False
    """Whether a reader may pick rows by it, on pages whose script offers that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One field."""

    text: str
    raw: tuple[str, ...]
    """What is copied: one field for each head of the column."""
    note: str = ""
    """Stands small under the text."""
    shade: float | None = None
    """0 to 1: how strongly its ground is coloured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its caption."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marked: frozenset[int] = frozenset()
    """Rows that stand out."""
    name: str = ""
    """For the script, where it has to find the table."""
    targets: tuple[str, ...] = ()
    """Of each row the id of what its first cell links to; empty for no links."""
    is_sortable: bool = False
    """Whether heads are buttons and cells hold what is sorted by, on pages whose script sorts."""


def estimate_column(head: str) -> Column:
    """A column of numbers with intervals, copied as three: the figure and both ends."""
    return Column(head=head, is_number=True, copied=(head, f"{head} low", f"{head} high"))


def words(text: str) -> Cell:
    """A cell of words. They may come from a model file."""
    return Cell(text=printable(text), raw=(printable(text),))


def noted(text: str, note: str) -> Cell:
    """A cell of words with others small under them; both are copied."""
    return Cell(text=printable(text), raw=(printable(text), printable(note)), note=printable(note))


def figure(value: float | None, show: Callable[[float], str] = quantities.number, factor: float = 1.0) -> Cell:
    """A number; copied in full precision, in the unit of the column (`value * factor`)."""
    if value is None:
        return Cell(text=quantities.UNKNOWN, raw=("",))
    return Cell(text=show(value), raw=(repr(float(value) * factor),))


def estimate(measured: Estimate, factor: float = 1.0) -> Cell:
    """A number with its interval, in the unit of the column; a prediction has none."""
    scaled = Estimate(value=measured.value * factor, low=measured.low * factor, high=measured.high * factor)
    return Cell(
        text=quantities.number(scaled.value),
        raw=(repr(scaled.value), repr(scaled.low), repr(scaled.high)),
        note="" if scaled.low == scaled.high else quantities.interval(scaled),
    )


def to_html(table: Table) -> str:
    """Figure element with the table, its caption and a button that copies it."""
    head = "".join(_head(table, column) for column in table.columns)
    body = "\n".join(_row(table, index) for index in range(len(table.rows)))
    named = f' data-table="{html.escape(table.name)}"' if table.name else ""
    return (
        f'<figure class="table"{named}><figcaption>{html.escape(table.caption)} '
        '<button type="button" class="copy">copy</button></figcaption>\n'
        f'<div class="scroll" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>'
        "</table></div>\n"
        f'<textarea class="copied" readonly hidden aria-label="table as text">{html.escape(to_text(table))}</textarea>'
        "</figure>"
    )


def to_text(table: Table) -> str:
    """Tab-separated lines, heads first; numbers in full precision."""
    heads = [head for column in table.columns for head in column.copied or (column.head,)]
    lines = [heads, *([field for cell in row for field in cell.raw] for row in table.rows)]
    return "\n".join("\t".join(field_text(field) for field in line) for line in lines)


def _head(table: Table, column: Column) -> str:
    text = html.escape(column.head)
    shown = f'<button type="button" class="sort">{text}</button>' if table.is_sortable else text
    return f'<th scope="col"{_number_class(column)}{" data-filter" if column.is_filter else ""}>{shown}</th>'


def _row(table: Table, index: int) -> str:
    cells = []
    for place, (column, cell) in enumerate(zip(table.columns, table.rows[index], strict=True)):
        note = f"<small>{html.escape(cell.note)}</small>" if cell.note else ""
        tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
        text = html.escape(cell.text)
        if place == 0 and table.targets:
            text = f'<a href="#{html.escape(table.targets[index])}">{text}</a>'
        value = f' data-value="{html.escape(cell.raw[0])}"' if table.is_sortable else ""
        shade = "" if cell.shade is None else f' style="--shade:{cell.shade:.2f}"'
        cells.append(f"<{tag}{scope}{_number_class(column)}{value}{shade}>{text}{note}</{tag}>")
    marked = ' class="marked"' if index in table.marked else ""
    return f"<tr{marked}>{''.join(cells)}</tr>"


def _number_class(column: Column) -> str:
    return ' class="number"' if column.is_number else ""


def field_text(text: str) -> str:
    """One field of a line; a spreadsheet must not take a name for a formula."""
    clean = re.sub(r"[\t\r\n]+", " ", text)
    is_formula = clean[:1] in {"=", "+", "-", "@"} and not re.fullmatch(r"[+-]?(\d[\d.e+-]*|inf|nan)", clean)
    return f"'{clean}" if is_formula else clean
