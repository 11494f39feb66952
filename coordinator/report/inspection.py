"""What `splitfront inspect` says of a network: a table for people, a value for scripts."""

from dataclasses import dataclass

from coordinator.report import quantities
from coordinator.report.line_table import LineColumn, LineRow, LineTable
from coordinator.report.names import operators, printable, shorten
from partitioner.graph import Graph, Layer, SplitPoint, Unit
from partitioner.tensors import TensorSpec

SCHEMA = "inspection"
BAR_WIDTH = 5
"""Signs of the longest bar."""
_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A graph with what follows from it, for scripts."""

    name: str
    model_sha256: str
    batch: int
    layers: tuple[Layer, ...]
    units: tuple[Unit, ...]
    split_points: tuple[SplitPoint, ...]
    input_bytes: int
    """What crosses before the first unit."""
    output_bytes: int
    """What crosses behind the last unit."""
    tensors: tuple[TensorSpec, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def inspection(graph: Graph) -> Inspection:
    """The value for scripts; `SCHEMA` is the name of its schema."""
    return Inspection(
        name=graph.name,
        model_sha256=graph.model_sha256,
        batch=graph.batch,
        layers=graph.layers,
        units=graph.units,
        split_points=graph.split_points,
        input_bytes=graph.boundary_bytes(0),
        output_bytes=graph.boundary_bytes(graph.n_units),
        tensors=graph.tensors,
        inputs=graph.inputs,
        outputs=graph.outputs,
    )


_COLUMNS = (
    LineColumn(head="#", is_right=True),
    LineColumn(head="unit", is_name=True),
    LineColumn(head="operators", is_name=True),
    LineColumn(head="work", is_right=True),
    LineColumn(head="weights", is_right=True),
    LineColumn(head="crossing", is_right=True),
    LineColumn(head="", style="blue"),
    LineColumn(head="tensors", is_right=True),
)


def inspect_table(graph: Graph, *, has_layers: bool = False) -> LineTable:
    """Every unit, with its layers if asked for, and what would cross behind it: a split point unless it is the last."""
    largest = max((graph.boundary_bytes(position) for position in range(1, graph.n_units + 1)), default=1)
    rows: list[LineRow] = []
    for unit in graph.units:
        layers = graph.layers[unit.start : unit.stop]
        rows.append(LineRow(cells=_unit_cells(graph, unit, layers, largest)))
        rows += [LineRow(cells=_layer_cells(layer), style="dim") for layer in layers if has_layers]
    return LineTable(
        title=f"{printable(graph.name)}, batch {graph.batch}", columns=_COLUMNS, rows=rows, caption=_caption(graph)
    )


def _unit_cells(graph: Graph, unit: Unit, layers: tuple[Layer, ...], largest: int) -> tuple[str, ...]:
    position = unit.index + 1
    n_tensors, n_bytes = len(graph.boundaries[position]), graph.boundary_bytes(position)
    mark = "out" if position == graph.n_units else "●" if n_tensors == 1 else " "
    return (
        str(unit.index),
        shorten(unit.name, 60),
        shorten(operators(graph, unit.index), 40),
        quantities.flops(sum(layer.flops for layer in layers)),
        quantities.n_bytes(sum(layer.weight_bytes for layer in layers)),
        quantities.n_bytes(n_bytes),
        _bar(n_bytes, largest).ljust(BAR_WIDTH),
        f"{n_tensors} {mark}",
    )


def _layer_cells(layer: Layer) -> tuple[str, ...]:
    figures = (quantities.flops(layer.flops), quantities.n_bytes(layer.weight_bytes))
    return ("", f"· {shorten(layer.name, 60)}", shorten(layer.op, 40), *figures, "", "", "")


def _bar(value: float, largest: float) -> str:
    eighths = round(BAR_WIDTH * 8 * value / largest) if largest else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _caption(graph: Graph) -> str:
    n_single = sum(point.is_block_level for point in graph.split_points)
    weights = sum(layer.weight_bytes for layer in graph.layers)
    work = sum(layer.flops for layer in graph.layers)
    inputs = ", ".join(shorten(name, 24) for name in graph.boundaries[0])
    return (
        f"{len(graph.layers):,} layers in {graph.n_units:,} units, {len(graph.split_points):,} split points, "
        f"{n_single:,} of them ● crossed by a single tensor.\n"
        f"{quantities.flops(work)}, weights {quantities.n_bytes(weights)}, "
        f"input {inputs} {quantities.n_bytes(graph.boundary_bytes(0))}."
    )
