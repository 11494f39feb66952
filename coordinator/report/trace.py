"""Requests as a trace for ui.perfetto.dev and chrome://tracing: a process for the client, each device and the network.

Source: "Trace Event Format" of the Chromium project. Complete events (`X`) carry start and duration in microseconds;
those of one row must not overlap, so that each kind of work has as many rows as it needs. Arrows (`s`, `t`, `f`) lead
from a request to where it was computed.

The only clock is the client's: when a request was sent and answered. Nodes tell durations, and what is left of the
round trip, sending included, is network time, shared among the hops as predicted. So inside a request positions are
where durations add up, not where a clock saw them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from coordinator.measurement import Span
from coordinator.report.figure import Json
from coordinator.report.names import shorten
from partitioner.cluster import CLIENT

NETWORK = "network"
POSITIONS = (
    "Sent and answered by the client's clock. Inside a request only durations are known: positions are where they add "
    "up, and network time is what is left of the round trip."
)
_REQUEST = "request"
_COMPUTE = "compute"
_NANOSECOND_DIGITS = 3
"""Of microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """One request in one place."""

    process: str
    kind: str
    request: int
    start: float
    """Microseconds, as `stop`."""
    stop: float


def trace_document(title: str, spans: Sequence[Span]) -> Json:
    """The JSON object of a trace.

    Args:
        title: Of the run.
        spans: Of any number of requests, those of each one after another without a gap.
    """
    slices = sorted(_slices(spans), key=lambda one: (one.start, one.process != CLIENT, one.stop))
    processes = {name: number for number, name in enumerate(_processes(slices), start=1)}
    rows = _rows(slices)
    events = [
        *_names(processes, rows),
        *sorted(
            [*_complete_events(slices, processes, rows), *_arrows(slices, processes, rows)],
            key=lambda event: (event["ts"], event["ph"] != "X"),
        ),
    ]
    return {
        "displayTimeUnit": "ms",
        "otherData": {"title": shorten(title, 200), "positions": POSITIONS},
        "traceEvents": events,
    }


def _slices(spans: Iterable[Span]) -> Iterator[_Slice]:
    ends: dict[int, tuple[float, float]] = {}
    for span in spans:
        start, stop = _microseconds(span.start_seconds), _microseconds(span.stop_seconds)
        first, last = ends.get(span.request, (start, stop))
        ends[span.request] = min(first, start), max(last, stop)
        resource, _, name = span.lane.partition(":")
        is_link = resource == "link"
        yield _Slice(
            process=NETWORK if is_link else name,
            kind=name.replace("->", " → ") if is_link else span.what,
            request=span.request,
            start=start,
            stop=stop,
        )
    for request, (start, stop) in ends.items():
        yield _Slice(process=CLIENT, kind=_REQUEST, request=request, start=start, stop=stop)


def _microseconds(seconds: float) -> float:
    return round(seconds * 1e6, _NANOSECOND_DIGITS)


def _processes(slices: Sequence[_Slice]) -> list[str]:
    """The client, the devices as the first requests pass them, the network."""
    devices = dict.fromkeys(one.process for one in slices if one.process not in (CLIENT, NETWORK))
    return [CLIENT, *devices, NETWORK]


def _rows(slices: Sequence[_Slice]) -> dict[_Slice, tuple[int, str]]:
    """Number within its process and name of each slice's row: the first of its kind that is free."""
    numbers: dict[str, Iterator[int]] = {}
    free: dict[tuple[str, str], list[tuple[float, int, str]]] = {}
    found = {}
    for one in slices:
        rows = free.setdefault((one.process, one.kind), [])
        place = next((place for place, (free_at, _, _) in enumerate(rows) if free_at <= one.start), None)
        if place is None:
            number = next(numbers.setdefault(one.process, count(1)))
            rows.append((one.stop, number, one.kind if not rows else f"{one.kind} {len(rows) + 1}"))
            place = len(rows) - 1
        _, number, name = rows[place]
        rows[place] = (one.stop, number, name)
        found[one] = (number, name)
    return found


def _names(processes: dict[str, int], rows: dict[_Slice, tuple[int, str]]) -> Iterator[dict[str, object]]:
    for name, number in processes.items():
        common = {"ph": "M", "pid": number, "tid": 0}
        yield {**common, "name": "process_name", "args": {"name": shorten(name)}}
        yield {**common, "name": "process_sort_index", "args": {"sort_index": number}}
    for process, (number, name) in dict.fromkeys((one.process, row) for one, row in rows.items()):
        yield {
            "ph": "M",
            "pid": processes[process],
            "tid": number,
            "name": "thread_name",
            "args": {"name": shorten(name)},
        }


def _complete_events(
    slices: Sequence[_Slice], processes: dict[str, int], rows: dict[_Slice, tuple[int, str]]
) -> Iterator[dict[str, object]]:
    for one in slices:
        yield {
            "ph": "X",
            "pid": processes[one.process],
            "tid": rows[one][0],
            "ts": one.start,
            "dur": round(one.stop - one.start, _NANOSECOND_DIGITS),
            "name": f"request {one.request}" if one.kind == _REQUEST else shorten(one.kind),
            "cat": NETWORK if one.process == NETWORK else one.kind,
            "args": {"request": one.request},
        }


def _arrows(
    slices: Sequence[_Slice], processes: dict[str, int], rows: dict[_Slice, tuple[int, str]]
) -> Iterator[dict[str, object]]:
    """From each request to its computations, in order."""
    passed: dict[int, list[_Slice]] = {}
    for one in slices:
        if one.kind in (_REQUEST, _COMPUTE):
            passed.setdefault(one.request, []).append(one)
    for request, places in passed.items():
        if len(places) < 2:
            continue
        for place, one in enumerate(places):
            kind = "s" if place == 0 else "f" if place == len(places) - 1 else "t"
            yield {
                "ph": kind,
                "id": request,
                "name": _REQUEST,
                "cat": "flow",
                "pid": processes[one.process],
                "tid": rows[one][0],
                "ts": one.start,
                **({"bp": "e"} if kind == "f" else {}),
            }
