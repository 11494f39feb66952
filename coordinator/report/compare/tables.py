"""Two sides as a table for the terminal, and as values for scripts."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from coordinator.report import quantities
from coordinator.report.compare.pairing import OBJECTIVES, Comparison, Objective, Ratio, Row
from coordinator.report.compare.sides import FACETS
from coordinator.report.html_table import Cell, Column, figure, words
from coordinator.report.html_table import Table as FileTable
from coordinator.report.names import printable
from coordinator.report.table_style import plain_table

MOST_ROWS = 30


def comparison_table(found: Comparison, most: int = MOST_ROWS) -> Table:
    """Cases of both sides, those that differ most first; below them what over all is shown."""
    table = plain_table(f"{printable(found.second)} over {printable(found.first)}")
    for place in found.shown:
        table.add_column(FACETS[place], overflow="fold")
    for objective in OBJECTIVES:
        table.add_column(objective, justify="right", no_wrap=True)
        table.add_column("")
    rows = sorted(found.rows, key=lambda row: -row.size)[:most]
    for row in rows:
        cells = [Text(printable(row.facets[place])) for place in found.shown]
        for objective in OBJECTIVES:
            ratio = row.ratios.get(objective)
            cells += [Text(_ratio_text(ratio)), Text(verdict(ratio, objective), style=_style(ratio))]
        table.add_row(*cells)
    table.caption = Text("\n".join(caption_lines(found, len(rows))))
    return table


def caption_lines(found: Comparison, n_shown: int) -> list[str]:
    """What stands under the table."""
    lines = [f"{name}: {one} against {other}." for name, (one, other) in found.opposed.items()]
    lines += found.sentences
    ratios = [ratio for row in found.rows for ratio in row.ratios.values()]
    if any(ratio.differs is None and ratio.is_apart for ratio in ratios):
        lines.append("perhaps: the interval leaves equality out, but among so many cases that may be chance.")
    if n_shown < len(found.rows):
        lines.append(f"{n_shown} of {len(found.rows)} cases are shown, those that differ most; --json has them all.")
    for name, only in ((found.first, found.only_first), (found.second, found.only_second)):
        if only:
            lines.append(f"Only {name} has figures of {len(only)} cases: {_named(only)}.")
    return [printable(line) for line in lines]


def verdict(ratio: Ratio | None, objective: Objective) -> str:
    """One word or two."""
    if ratio is None:
        return "not measured"
    word = "better" if (ratio.value < 1) == (objective == "latency") else "worse"
    if ratio.differs is None:
        return f"perhaps {word}" if ratio.is_apart else "too few repeats"
    return word if ratio.differs else "no difference shown"


def ratios_table(found: Comparison) -> FileTable:
    """Every case, as values."""
    heads = ("first", "second", "ratio", "ratio low", "ratio high", "pairs", "p", "verdict")
    columns = [Column(head=name) for name in FACETS]
    columns += [Column(head=f"{objective} {head}") for objective in OBJECTIVES for head in heads]
    return FileTable(caption="", columns=tuple(columns), rows=tuple(map(_file_row, found.rows)))


def _file_row(row: Row) -> tuple[Cell, ...]:
    cells = [words(facet) for facet in row.facets]
    for objective in OBJECTIVES:
        ratio = row.ratios.get(objective)
        values = (ratio.first, ratio.second, ratio.value, ratio.low, ratio.high) if ratio else (None,) * 5
        cells += [figure(value) for value in values]
        cells += [words(str(ratio.n_pairs) if ratio else ""), figure(ratio.p_value if ratio else None)]
        cells += [words(verdict(ratio, objective))]
    return tuple(cells)


def _ratio_text(ratio: Ratio | None) -> str:
    if ratio is None:
        return quantities.UNKNOWN
    return f"{quantities.ratio(ratio.value)}  {ratio.low:.3g} – {ratio.high:.3g}"


def _style(ratio: Ratio | None) -> str:
    return "bold" if ratio is not None and ratio.differs else "dim"


def _named(only: Sequence[tuple[str, ...]], most: int = 4) -> str:
    names = [f"{facets[-1]} under {facets[-2]}" for facets in only[:most]]
    return "; ".join([*names, *(["…"] if len(only) > most else [])])
