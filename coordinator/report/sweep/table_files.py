"""Tables as CSV, for programs, and as LaTeX with booktabs, for papers. Equal tables give equal bytes."""

import csv
import io
import re

from coordinator.report.html_table import Cell, Column, Table, field_text
from coordinator.report.names import printable

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\rightarrow$",
    "≈": r"$\approx$",
    "×": r"$\times$",
    "−": "$-$",
    "–": "--",
    "…": r"\ldots{}",
    "∞": r"$\infty$",
    "µ": r"$\mu$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\u00a0": "~",
}


def csv_text(table: Table) -> str:
    """Heads, then rows; numbers in full precision."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([head for column in table.columns for head in column.copied or (column.head,)])
    writer.writerows([field_text(field) for cell in row for field in cell.raw] for row in table.rows)
    return text.getvalue()


def latex_text(table: Table, label: str) -> str:
    """A `table` environment that needs the package booktabs; `label` is what the paper refers to it by."""
    columns = "".join("r" if column.is_number else "l" for column in table.columns)
    heads = " & ".join(_latex_head(column) for column in table.columns)
    rows = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in table.rows]
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_escaped(table.caption)}}}",
        rf"\label{{tab:{re.sub(r'[^A-Za-z0-9:-]', '-', label)}}}",
        r"\footnotesize",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        heads + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex_escaped(text: str) -> str:
    """Text in which nothing is a command."""
    return "".join(_SPECIAL.get(sign, sign) for sign in printable(text))


def _latex_head(column: Column) -> str:
    return latex_escaped(column.head)


def _latex_cell(cell: Cell) -> str:
    text = latex_escaped(cell.text)
    return rf"{text} {{\scriptsize {latex_escaped(cell.note)}}}" if cell.note else text
