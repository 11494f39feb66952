"""Where single requests were, for the time-line."""

from collections.abc import Sequence
from itertools import pairwise

from coordinator.loadgen import Record
from coordinator.measurement import Span
from partitioner.cluster import CLIENT
from partitioner.plan import Candidate

N_SHOWN = 3


def request_spans(candidate: Candidate, records: Sequence[Record]) -> tuple[Span, ...]:
    """Spans of the last few requests of a single-stream run, each on the devices that bore it.

    Stages report durations by their own clocks. What is left of the round trip was spent between machines; it is
    shared among the hops in the proportion that was predicted, since one clock cannot tell more.
    """
    shown = records[-N_SHOWN:]
    return tuple(
        span for number, record in enumerate(shown) for span in _spans(candidate, record, shown[0].sent_at, number)
    )


def _spans(candidate: Candidate, record: Record, origin: float, number: int) -> list[Span]:
    hops = candidate.cost.hops
    bearers = [stage.devices[record.request % len(stage.devices)] for stage in candidate.plan.stages]
    inside = sum(
        trace.queue_seconds + trace.decode_seconds + trace.compute_seconds + trace.encode_seconds
        for trace in record.trace
    )
    network_seconds = max(record.received_at - record.sent_at - inside, 0.0)
    predicted_seconds = sum(hop.seconds for hop in hops)
    spans: list[Span] = []
    now = record.sent_at - origin

    def add(lane: str, what: str, seconds: float) -> None:
        nonlocal now
        if seconds > 0:
            spans.append(Span(request=number, lane=lane, what=what, start_seconds=now, stop_seconds=now + seconds))
        now += seconds

    for index, (hop, (source, target)) in enumerate(zip(hops, pairwise([CLIENT, *bearers, CLIENT]), strict=True)):
        add(f"link:{source}->{target}", "network", network_seconds * hop.seconds / predicted_seconds)
        if index < len(record.trace):
            trace = record.trace[index]
            for what in ("queue", "decode", "compute", "encode"):
                add(f"device:{target}", what, getattr(trace, f"{what}_seconds"))
    return spans
