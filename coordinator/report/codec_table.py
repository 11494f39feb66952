"""The table of what codecs gain and cost."""

import math
import statistics

from rich.table import Table
from rich.text import Text

from coordinator.report import quantities
from coordinator.report.names import printable, shorten
from coordinator.report.table_style import plain_table
from partitioner.codec import BoundaryCoding, CodecTable
from partitioner.graph import Graph


def codec_table(codecs: CodecTable, graph: Graph) -> Table:
    """Bytes and output errors of each codec over the split points, and how fast each device is at it."""
    table = plain_table(f"Codecs on the boundaries of {printable(graph.name)}, batch {graph.batch}")
    table.add_column("codec", no_wrap=True)
    table.add_column("bytes\nmedian", justify="right", no_wrap=True)
    table.add_column("\nleast – most", justify="right", no_wrap=True)
    table.add_column("output error\nmedian", justify="right", no_wrap=True)
    table.add_column("\nworst", justify="right", no_wrap=True)
    devices = list(dict.fromkeys(rate.device for rate in codecs.rates))
    for device in devices:
        table.add_column(Text(f"{shorten(device, 16)}\nencode, decode MB/s"), justify="right", no_wrap=True)
    for coding in codecs.codings:
        speeds = [_speed(codecs, device, coding.codec) for device in devices]
        table.add_row(Text(coding.codec), *_gains(coding, graph), *speeds)
    table.caption = Text(_caption(codecs, graph))
    return table


def bytes_ratios(coding: BoundaryCoding, graph: Graph) -> list[float]:
    """Coded over raw bytes at each split point where the codec may be used and something crosses."""
    return [
        coding.wire_bytes[point.position] / point.boundary_bytes
        for point in graph.split_points
        if point.boundary_bytes and math.isfinite(coding.output_errors[point.position])
    ]


def _gains(coding: BoundaryCoding, graph: Graph) -> tuple[Text, ...]:
    ratios = bytes_ratios(coding, graph)
    errors = [error for error in coding.output_errors[1:-1] if math.isfinite(error)]
    if not ratios:
        return (Text("usable nowhere"), Text(), Text(), Text())
    return (
        Text(quantities.percent(statistics.median(ratios))),
        Text(f"{quantities.percent(min(ratios))} – {quantities.percent(max(ratios))}"),
        Text(quantities.relative_error(statistics.median(errors))),
        Text(quantities.relative_error(max(errors))),
    )


def _speed(codecs: CodecTable, device: str, codec: str) -> Text:
    rate = codecs.rate_of.get((device, codec))
    if rate is None:
        return Text("not timed", style="dim")
    speeds = (rate.encode_bytes_per_second, rate.decode_bytes_per_second)
    return Text("  ".join(quantities.number(speed / 1e6) for speed in speeds))


def _caption(codecs: CodecTable, graph: Graph) -> str:
    n_points = len(graph.split_points)
    usable = {coding.codec: len(bytes_ratios(coding, graph)) for coding in codecs.codings}
    partial = [f"{codec} at {count:,}" for codec, count in usable.items() if count < n_points]
    limits = f" Usable at fewer: {', '.join(partial)}." if partial else ""
    return (
        f"Error: |a − b| / |b| of the outputs when one boundary of {n_points:,} is coded; MB/s of uncoded bytes."
        f"{limits}"
    )
