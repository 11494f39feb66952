"""Traces of requests: what viewers want of them, and that durations add up to what the client saw."""

import json
from itertools import groupby, pairwise

import pytest
from report_sample import sample_run

from coordinator.loadgen import Record
from coordinator.measurement import Span
from coordinator.report.trace import trace_document
from coordinator.report.write import write_trace
from coordinator.run_folder import TRACE_FILE, RunFolder
from coordinator.spans import N_TRACED_LOADED, N_TRACED_LONE, trace_spans
from node_agent.messages import StageTrace


@pytest.fixture(scope="module")
def candidate():
    return sample_run().chosen


def record_of(candidate, request, sent_at, latency):
    """An answer whose stages took a part of the round trip."""
    n_stages = len(candidate.plan.stages)
    each = 0.8 * latency / n_stages
    traces = tuple(
        StageTrace(
            stage=stage,
            queue_seconds=each * 0.2,
            decode_seconds=each * 0.05,
            compute_seconds=each * 0.7,
            encode_seconds=each * 0.05,
        )
        for stage in range(n_stages)
    )
    return Record(request=request, sent_at=sent_at, received_at=sent_at + latency, trace=traces)


@pytest.fixture(scope="module")
def records(candidate):
    """Lone requests one after another, then many at once."""
    lone = [record_of(candidate, request, 100 + 0.1 * request, 0.05) for request in range(5)]
    loaded = [record_of(candidate, 5 + k, 101 + 0.02 * k, 0.11 + 0.001 * (k % 7)) for k in range(40)]
    return lone, loaded


@pytest.fixture(scope="module")
def events(candidate, records):
    document = trace_document("sample", trace_spans(candidate, *records))
    return json.loads(json.dumps(document, allow_nan=False))["traceEvents"]


def of_kind(events, *kinds):
    return [event for event in events if event["ph"] in kinds]


def names_of(events, what):
    return {(e["pid"], e["tid"]): e["args"]["name"] for e in of_kind(events, "M") if e["name"] == what}


def test_events_have_what_the_format_wants_and_come_in_order(events):
    assert {event["ph"] for event in events} == {"M", "X", "s", "t", "f"}
    for event in events:
        assert {"ph", "pid", "tid", "name"} <= event.keys()
    timed = of_kind(events, "X", "s", "t", "f")
    assert [event["ts"] for event in timed] == sorted(event["ts"] for event in timed)
    assert timed[0]["ts"] == 0
    assert all(event["dur"] > 0 for event in of_kind(events, "X"))


def test_slices_of_one_row_never_overlap(events):
    slices = sorted(of_kind(events, "X"), key=lambda event: (event["pid"], event["tid"], event["ts"]))
    for _, row in groupby(slices, key=lambda event: (event["pid"], event["tid"])):
        for one, following in pairwise(row):
            assert one["ts"] + one["dur"] <= following["ts"] + 1e-6


def test_the_client_comes_first_each_device_is_a_process_and_the_network_the_last(events, candidate):
    processes = {pid: name for (pid, _), name in names_of(events, "process_name").items()}
    devices = [stage.device for stage in candidate.plan.stages]
    assert [processes[pid] for pid in sorted(processes)] == ["client", *dict.fromkeys(devices), "network"]
    rows = names_of(events, "thread_name")
    used = {(event["pid"], event["tid"]) for event in of_kind(events, "X")}
    assert used == rows.keys()
    assert {"request", "request 2", "compute", "queue"} <= set(rows.values())


def test_durations_of_a_request_add_up_to_its_latency(events, records):
    latency = {record.request: record.received_at - record.sent_at for run in records for record in run}
    slices = of_kind(events, "X")
    for request, seconds in latency.items():
        mine = [event for event in slices if event["args"]["request"] == request]
        (whole,) = [event for event in mine if event["cat"] == "request"]
        parts = [event for event in mine if event["cat"] != "request"]
        assert whole["dur"] == pytest.approx(1e6 * seconds, abs=0.01)
        assert sum(event["dur"] for event in parts) == pytest.approx(whole["dur"], abs=0.05)
        ordered = sorted(parts, key=lambda event: event["ts"])
        assert all(one["ts"] + one["dur"] == pytest.approx(two["ts"], abs=0.01) for one, two in pairwise(ordered))


def test_arrows_start_and_end_once_inside_slices(events):
    slices = {(e["pid"], e["tid"], e["ts"]): e for e in of_kind(events, "X")}
    for request, found in groupby(
        sorted(of_kind(events, "s", "t", "f"), key=lambda e: (e["id"], e["ts"])), lambda e: e["id"]
    ):
        arrow = list(found)
        assert [event["ph"] for event in arrow] == ["s", *["t"] * (len(arrow) - 2), "f"]
        bound = [slices[event["pid"], event["tid"], event["ts"]] for event in arrow]
        assert [event["cat"] for event in bound] == ["request", *["compute"] * (len(arrow) - 1)]
        assert all(event["args"]["request"] == request for event in bound)


def test_only_the_last_requests_are_kept(candidate):
    many = [record_of(candidate, request, float(request), 0.5) for request in range(1000)]
    kept = {span.request for span in trace_spans(candidate, many, many)}
    assert kept == set(range(1000 - max(N_TRACED_LONE, N_TRACED_LOADED), 1000))


def test_names_from_outside_are_shortened_and_printable():
    spans = [
        Span(request=0, lane="device:" + "d" * 500, what="compute", start_seconds=0.0, stop_seconds=0.1),
        Span(request=0, lane="link:a\u202e->b", what="network", start_seconds=0.1, stop_seconds=0.2),
    ]
    document = trace_document("t" * 1000, spans)
    assert len(document["otherData"]["title"]) == 200
    assert all(len(str(event["args"].get("name", ""))) <= 40 for event in of_kind(document["traceEvents"], "M"))
    assert "\u202e" not in json.dumps(document, ensure_ascii=False)


def test_an_earlier_trace_goes_with_the_run(tmp_path, candidate, records):
    path = write_trace("sample", trace_spans(candidate, *records), tmp_path / TRACE_FILE)
    assert json.loads(path.read_text())["traceEvents"]
    RunFolder(tmp_path).clear()
    assert not path.exists()
