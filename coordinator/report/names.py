"""Names as they may be shown. They come from model files: nothing in them may act on a page or a terminal."""

import html
import unicodedata

from partitioner.graph import Graph
from partitioner.plan import Plan, Stage

CUT = "…"


def printable(name: str) -> str:
    """`name` with each control, bidirectional or line-breaking character replaced by `�`."""
    return "".join("�" if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else sign for sign in name)


def shorten(name: str, width: int = 40) -> str:
    """Printable, at most `width` signs: the middle goes, since names of layers differ at their ends."""
    clean = printable(name)
    if len(clean) <= width:
        return clean
    head = (width - 1) // 3
    return f"{clean[:head]}{CUT}{clean[len(clean) - (width - 1 - head) :]}"


def plot_text(name: str, width: int = 40) -> str:
    """For plotly, which reads a subset of HTML in labels."""
    return html.escape(shorten(name, width), quote=False)


def span_names(graph: Graph, stage: Stage, width: int = 24) -> str:
    """First and last unit of a stage: `stem … block.3`."""
    first, last = graph.units[stage.start].name, graph.units[stage.stop - 1].name
    return shorten(first, width) if first == last else f"{shorten(first, width)} … {shorten(last, width)}"


def split_names(graph: Graph, plan: Plan, width: int = 32) -> tuple[str, ...]:
    """Name of the last unit before each split point of a plan."""
    return tuple(shorten(graph.units[stage.stop - 1].name, width) for stage in plan.stages[:-1])


def split_bytes(graph: Graph, plan: Plan) -> tuple[int, ...]:
    """Bytes that cross each split point of a plan."""
    return tuple(graph.boundary_bytes(stage.stop) for stage in plan.stages[:-1])


def operators(graph: Graph, unit_index: int) -> str:
    """Operators of a unit in order: `Conv + Clip`, a run of equal ones as `3 Add`."""
    unit = graph.units[unit_index]
    runs: list[tuple[str, int]] = []
    for layer in graph.layers[unit.start : unit.stop]:
        op = printable(layer.op)
        if runs and runs[-1][0] == op:
            runs[-1] = (op, runs[-1][1] + 1)
        else:
            runs.append((op, 1))
    return " + ".join(op if count == 1 else f"{count} {op}" for op, count in runs)
