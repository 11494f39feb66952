"""Where single requests were, for the time-line and for traces."""

from collections.abc import Sequence
from itertools import pairwise

from coordinator.loadgen import Record
from coordinator.measurement import Span
from partitioner.cluster import CLIENT
from partitioner.plan import Candidate, Plan

N_SHOWN = 3
N_TRACED_LONE = 30
N_TRACED_LOADED = 200


def request_spans(candidate: Candidate, records: Sequence[Record]) -> tuple[Span, ...]:
    """Spans of the last few requests of a single-stream run, each on the devices that bore it.

    Stages report durations by their own clocks. What is left of the round trip was spent between machines; it is
    shared among the hops in the proportion that was predicted, since one clock cannot tell more.
    """
    shown = records[-N_SHOWN:]
    return tuple(
        span
        for number, record in enumerate(shown)
        for span in record_spans(candidate, record, origin=shown[0].sent_at, number=number)
    )


class TracedPlans:
    """Spans of measured plans, for traces."""

    def __init__(self) -> None:
        self.spans_of: dict[Plan, tuple[Span, ...]] = {}

    def keep(self, candidate: Candidate, lone: Sequence[Record], loaded: Sequence[Record]) -> None:
        """Takes what was measured of a plan."""
        self.spans_of[candidate.plan] = trace_spans(candidate, lone, loaded)


def trace_spans(candidate: Candidate, lone: Sequence[Record], loaded: Sequence[Record]) -> tuple[Span, ...]:
    """Spans of the last lone requests and of the last with the window full, by the client's clock, for a trace."""
    shown = [*lone[-N_TRACED_LONE:], *loaded[-N_TRACED_LOADED:]]
    return tuple(
        span
        for record in shown
        for span in record_spans(candidate, record, origin=shown[0].sent_at, number=record.request)
    )


def record_spans(candidate: Candidate, record: Record, *, origin: float, number: int) -> list[Span]:
    """Spans of one request, one after another without a gap; `origin` is the moment zero of the client's clock."""
    hops = candidate.cost.hops
    bearers = [stage.devices[record.request % len(stage.devices)] for stage in candidate.plan.stages]
    network_seconds = max(record.network_seconds, 0.0)
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
