"""A network along its order as plain numbers, the same for the page and for paper."""

from dataclasses import dataclass
from itertools import accumulate

from coordinator.report import quantities
from coordinator.report.names import shorten
from partitioner.graph import Graph

MOST_STEMS = 250
"""More positions than that are dots alone, so that they do not melt into an area."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPoints:
    """What crosses at each position 0 … n_units, and how much work lies before it."""

    boundary_bytes: tuple[int, ...]
    is_single: tuple[bool, ...]
    """Whether one tensor crosses."""
    work_share: tuple[float, ...]
    """Part of all floating-point operations that lies before the position, 0 … 1; empty where none were counted."""
    flops: int
    """Of the whole network, for its batch."""
    n_uncounted: int
    """Units of which no operation was counted."""

    @property
    def input_bytes(self) -> int:
        """What the first stage receives in any case."""
        return self.boundary_bytes[0]

    @property
    def is_dense(self) -> bool:
        """Whether there are too many positions for stems."""
        return len(self.boundary_bytes) > MOST_STEMS

    @property
    def n_below_input(self) -> int:
        """Split points at which less crosses than at the input."""
        return sum(size < self.input_bytes for size in self.boundary_bytes[1:-1])


def order_points(graph: Graph) -> OrderPoints:
    """The points of a graph."""
    positions = range(graph.n_units + 1)
    of_units = [sum(layer.flops for layer in graph.layers[unit.start : unit.stop]) for unit in graph.units]
    total = sum(of_units)
    return OrderPoints(
        boundary_bytes=tuple(graph.boundary_bytes(position) for position in positions),
        is_single=tuple(len(graph.boundaries[position]) == 1 for position in positions),
        work_share=tuple(done / total for done in accumulate(of_units, initial=0)) if total else (),
        flops=total,
        n_uncounted=sum(not flops for flops in of_units),
    )


def order_title(graph: Graph, points: OrderPoints) -> str:
    """`resnet50, batch 1: 57 units, 8.20 GFLOP`."""
    work = f", {quantities.flops(points.flops)}" if points.flops else ""
    return f"{shorten(graph.name, 60)}, batch {graph.batch}: {graph.n_units} units{work}"


def order_note(points: OrderPoints) -> str:
    """What a reader should know of the picture, in one sentence or two."""
    n_inner = len(points.boundary_bytes) - 2
    note = f"Less than the input crosses at {points.n_below_input} of {n_inner} split points."
    if points.flops and points.n_uncounted:
        units = "1 unit" if points.n_uncounted == 1 else f"{points.n_uncounted} units"
        note += f" No operations are counted of {units}."
    return note
