"""Latency and throughput as the reference implementation of arXiv 2601.08025 counts them. Pure.

There the latency of a sample is from the start of the first stage to the end of the last one, with the pipeline full,
by the clocks of two machines. Here one clock counts: from sending a request to receiving its answer, less what lies
outside: waiting, and decoding, before the first stage computes, by that stage's own durations; the way to it; and the
way back. The two ways are taken as a lone message's (half of the round trip found before the run, and its bytes at the
rate found): what waits at the client under saturation is more than that, so that where the client's own link is the
bottleneck the figure is too large by the queue there.
"""

from collections.abc import Sequence
from statistics import median

from coordinator.loadgen import Record
from coordinator.results.values import LinkFound


def way_seconds(links: Sequence[LinkFound], n_bytes: int) -> float:
    """What a lone message takes over one of the links; the slowest counts where replicas have one each."""
    return max((_seconds(link, n_bytes) for link in links), default=0.0)


def _seconds(link: LinkFound, n_bytes: int) -> float:
    fixed = (link.round_trip_seconds or 0.0) / 2
    return fixed + (n_bytes / link.bytes_per_second if link.bytes_per_second else 0.0)


def reference_latency_seconds(records: Sequence[Record], *, ways_seconds: float) -> float:
    """Median over requests that were answered with the window full; never less than the computing in between.

    Args:
        records: With the window full.
        ways_seconds: From the client to the first stage, and from the last stage to the client.
    """
    return median(_latency(record, ways_seconds) for record in records)


def _latency(record: Record, ways_seconds: float) -> float:
    computing = sum(trace.compute_seconds for trace in record.trace)
    before = record.trace[0].queue_seconds + record.trace[0].decode_seconds if record.trace else 0.0
    return max(record.latency_seconds - before - ways_seconds, computing)


def reference_throughput_per_second(records: Sequence[Record], batch: int) -> float:
    """Batch over the mean time between completions, of all of them: filling the pipeline counts, too."""
    span = records[-1].received_at - records[0].received_at
    return batch * (len(records) - 1) / span if span > 0 else 0.0
