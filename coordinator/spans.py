"""Where single requests were, for the time-line."""

from collections.abc import Sequence

from coordinator.loadgen import Record
from coordinator.measurement import Span
from partitioner.plan import CostEstimate

N_SHOWN = 3


def request_spans(cost: CostEstimate, records: Sequence[Record]) -> tuple[Span, ...]:
    """Spans of the last few requests of a single-stream run.

    Stages report durations by their own clocks. What is left of the round trip was spent between machines; it is
    shared among the hops in the proportion that was predicted, since one clock cannot tell more.
    """
    shown = records[-N_SHOWN:]
    return tuple(span for number, record in enumerate(shown) for span in _spans(cost, record, shown[0].sent_at, number))


def _spans(cost: CostEstimate, record: Record, origin: float, number: int) -> list[Span]:
    inside = sum(
        trace.queue_seconds + trace.decode_seconds + trace.compute_seconds + trace.encode_seconds
        for trace in record.trace
    )
    network_seconds = max(record.received_at - record.sent_at - inside, 0.0)
    predicted_seconds = sum(hop.seconds for hop in cost.hops)
    spans: list[Span] = []
    now = record.sent_at - origin

    def add(lane: str, what: str, seconds: float) -> None:
        nonlocal now
        if seconds > 0:
            spans.append(Span(request=number, lane=lane, what=what, start_seconds=now, stop_seconds=now + seconds))
        now += seconds

    for index, hop in enumerate(cost.hops):
        add(f"link:{hop.source}->{hop.target}", "network", network_seconds * hop.seconds / predicted_seconds)
        if index < len(record.trace):
            trace = record.trace[index]
            for what in ("queue", "decode", "compute", "encode"):
                add(f"device:{hop.target}", what, getattr(trace, f"{what}_seconds"))
    return spans
