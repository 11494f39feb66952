"""What codecs save, spoil and cost, for the terminal."""

import math
from collections.abc import Sequence
from statistics import median

from rich.table import Table
from rich.text import Text

from coordinator.report import quantities
from coordinator.report.names import printable
from coordinator.report.table_style import ShrinkingName, plain_table
from partitioner.codec import BoundaryCoding, CodecRate, CodecTable
from partitioner.graph import Graph


def codec_table(table: CodecTable, graph: Graph) -> Table:
    """Each codec over all split points, and below one another its speed on each device."""
    drawn = plain_table(f"Codecs on the split points of {printable(graph.name)}")
    drawn.add_column("codec", no_wrap=True)
    drawn.add_column("bytes, median", justify="right", no_wrap=True)
    drawn.add_column("least – most", justify="right", no_wrap=True)
    drawn.add_column("error, median", justify="right", no_wrap=True)
    drawn.add_column("worst", justify="right", no_wrap=True)
    drawn.add_column("device")
    drawn.add_column("encode", justify="right", no_wrap=True)
    drawn.add_column("decode", justify="right", no_wrap=True)
    for coding in table.codings:
        figures = _figures(coding, graph)
        for rate in (rate for rate in table.rates if rate.codec == coding.codec):
            drawn.add_row(*map(Text, figures), *_speeds(rate))
            figures = [""] * len(figures)
    drawn.caption = Text("bytes: of those without codec   error: relative L2 of the outputs, one boundary coded")
    return drawn


def _figures(coding: BoundaryCoding, graph: Graph) -> list[str]:
    """Codec, median, extremes, median error, worst error. Ends count only where there is nothing between them."""
    positions = range(1, graph.n_units) if graph.n_units > 1 else range(2)
    ratios = byte_ratios(coding, graph, positions)
    errors = [coding.output_errors[position] for position in positions]
    return [
        coding.codec,
        quantities.percent(median(ratios)),
        f"{quantities.percent(min(ratios))} – {quantities.percent(max(ratios))}",
        quantities.relative_error(median(errors)),
        quantities.relative_error(max(errors)),
    ]


def byte_ratios(coding: BoundaryCoding, graph: Graph, positions: Sequence[int]) -> list[float]:
    """Coded bytes over raw bytes at each position; NaN where nothing crosses."""
    raw = [graph.boundary_bytes(position) for position in positions]
    return [
        coding.wire_bytes[position] / n_bytes if n_bytes else math.nan
        for position, n_bytes in zip(positions, raw, strict=True)
    ]


def _speeds(rate: CodecRate) -> tuple[ShrinkingName, Text, Text]:
    return (
        ShrinkingName(rate.device),
        Text(quantities.byte_rate(rate.encode_bytes_per_second)),
        Text(quantities.byte_rate(rate.decode_bytes_per_second)),
    )
