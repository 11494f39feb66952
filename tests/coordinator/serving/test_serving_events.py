"""Events of a service in the order in which all hear of them."""

import threading

import pytest

from coordinator.serving.events import NODE_LOST, REPLANNED, EventLog


def test_listeners_hear_of_events_in_the_order_in_which_they_are_kept():
    """One thread's listener takes its time; another thread has something to tell meanwhile."""
    log, heard = EventLog(), []
    is_listening, is_other_heard = threading.Event(), threading.Event()

    def listen(event):
        if event.kind == NODE_LOST:
            is_listening.set()
            is_other_heard.wait(0.3)
        else:
            is_other_heard.set()
        heard.append(event)

    log.listen(listen)
    first = threading.Thread(target=log.tell, args=(NODE_LOST,))
    first.start()
    assert is_listening.wait(5)
    log.tell(REPLANNED)
    first.join(5)
    assert tuple(heard) == log.events
    assert [event.kind for event in heard] == [NODE_LOST, REPLANNED]
    moments = [event.since_start_seconds for event in log.events]
    assert moments == sorted(moments)


def test_a_listener_may_tell_of_something_itself():
    log = EventLog()
    log.listen(lambda event: log.tell(REPLANNED) if event.kind == NODE_LOST else None)
    log.tell(NODE_LOST)
    assert [event.kind for event in log.events] == [NODE_LOST, REPLANNED]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SystemExit(1)])
def test_a_listener_that_raises_is_told_of_no_more_and_harms_no_other(error):
    log, told, heard = EventLog(), [], []

    def fail(event):
        told.append(event)
        raise error

    log.listen(fail)
    log.listen(heard.append)
    log.tell(NODE_LOST)
    log.tell(REPLANNED)
    assert [event.kind for event in heard] == [NODE_LOST, REPLANNED]
    assert [event.kind for event in told] == [NODE_LOST]
