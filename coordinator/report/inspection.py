"""What `splitfront inspect` says of a network: a table for people, a value for scripts."""

from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from coordinator.report import quantities
from coordinator.report.names import operators, printable, shorten
from coordinator.report.table_style import ShrinkingName, plain_table
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


def inspect_table(graph: Graph, *, has_layers: bool = False) -> Table:
    """Every unit, with its layers if asked for, and what would cross behind it: a split point unless it is the last."""
    table = plain_table(f"{printable(graph.name)}, batch {graph.batch}")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("operators")
    for head in ("work", "weights", "crossing"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=BAR_WIDTH)
    table.add_column("tensors", justify="right", no_wrap=True)
    largest = max((graph.boundary_bytes(position) for position in range(1, graph.n_units + 1)), default=1)
    for unit in graph.units:
        layers = graph.layers[unit.start : unit.stop]
        is_end = unit.index + 1 == graph.n_units
        table.add_row(
            Text(str(unit.index)),
            ShrinkingName(unit.name),
            ShrinkingName(operators(graph, unit.index), 40),
            Text(quantities.flops(sum(layer.flops for layer in layers))),
            Text(quantities.n_bytes(graph.weight_bytes(unit.index, unit.index + 1))),
            *_crossing(graph, unit.index + 1, largest),
            end_section=is_end and not has_layers,
        )
        for layer in layers if has_layers else ():
            table.add_row(*_layer_row(layer), style="dim", end_section=is_end and layer is layers[-1])
    table.caption = Text(_caption(graph))
    return table


def _crossing(graph: Graph, position: int, largest: int) -> tuple[Text, Text, Text]:
    n_tensors, n_bytes = len(graph.boundaries[position]), graph.boundary_bytes(position)
    mark = "out" if position == graph.n_units else "●" if n_tensors == 1 else " "
    return Text(quantities.n_bytes(n_bytes)), Text(_bar(n_bytes, largest), style="blue"), Text(f"{n_tensors} {mark}")


def _layer_row(layer: Layer) -> tuple[Text | ShrinkingName, ...]:
    return (
        Text(""),
        ShrinkingName(f"· {layer.name}"),
        ShrinkingName(layer.op, 40),
        Text(quantities.flops(layer.flops)),
        Text(quantities.n_bytes(layer.weight_bytes)),
        *(Text(""),) * 3,
    )


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
