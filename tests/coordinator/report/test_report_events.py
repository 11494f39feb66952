"""The time-line of what happened while a plan was served."""

from dataclasses import replace

import pytest
from report_sample import sample_run

from coordinator.report.events_figure import events_figure
from coordinator.report.page import render_page
from coordinator.serving import events as kinds
from coordinator.serving.events import Event, EventLog


def event(kind, since, **fields):
    return Event(kind=kind, at=1e9 + since, since_start_seconds=since, **fields)


EVENTS = (
    event(kinds.DEPLOYED, 1.0, duration_seconds=0.8, plan="a → b", epoch=1),
    event(kinds.NODE_LOST, 10.0, duration_seconds=0.6, node="<b>", cause="refuses connections"),
    event(kinds.REPLANNED, 10.1, plan="a → c", epoch=2),
    event(kinds.RECOVERED, 10.4, duration_seconds=0.4, plan="a → c", epoch=2, cause="stage 1 on '<b>'"),
    event(kinds.NODE_BACK, 15.0, node="<b>"),
    event(kinds.NODE_LOST, 19.0, duration_seconds=3.5, node="c"),
)


def test_absences_last_until_the_return_or_the_end():
    figure = events_figure(EVENTS)
    away = next(trace for trace in figure.traces if trace["name"] == "node away")
    assert list(zip(away["base"], away["x"], strict=True)) == [
        (pytest.approx(9.4), pytest.approx(5.6)),
        (pytest.approx(15.5), pytest.approx(3.5)),
    ]
    recovered = next(trace for trace in figure.traces if trace["name"] == kinds.RECOVERED)
    assert (recovered["base"], recovered["x"]) == ([pytest.approx(10.0)], [pytest.approx(0.4)])
    assert figure.layout["yaxis"]["categoryarray"][0] == "the service"
    assert len(figure.layout["yaxis"]["categoryarray"]) == 3
    assert not any("<b>" in text.replace("<b>node", "") for text in away["y"])


def test_without_events_there_is_no_figure():
    assert events_figure(()) is None


def test_the_page_has_a_section_where_something_happened():
    run = sample_run()
    assert 'id="events"' not in render_page(run)
    page = render_page(replace(run, measurement=replace(run.measurement, events=EVENTS)))
    assert 'id="events"' in page
    assert "refuses connections" in page


def test_a_log_gives_times_and_tells_listeners():
    times = iter((100.0, 102.5))
    log = EventLog(clock=lambda: next(times), wall_clock=lambda: 1e9)
    told = []
    log.listen(told.append)
    event = log.tell(kinds.NODE_LOST, node="b", cause="gone", duration_seconds=0.25)
    assert log.events == tuple(told) == (event,)
    assert (event.at, event.since_start_seconds) == (1e9, 2.5)
    assert event.describe().split() == ["2.50", "s", "node-lost", "b", "in", "0.25", "s:", "gone"]
    assert '"cause": "gone"' in event.to_json()
