import itertools
import threading
import time

import pytest

from node_agent.dataplane.failure import FailureLatch
from node_agent.dataplane.outbox import Outbox
from node_agent.dataplane.outgoing import OutgoingLink
from node_agent.dataplane.pacing import wait_until
from node_agent.dataplane.queueing import BoundedQueue, QueueClosedError
from node_agent.errors import FrameError, NodeUnreachableError
from node_agent.messages import LinkEmulation


class Message:
    """Bytes, as links take them."""

    def __init__(self, content):
        self._content = content
        self.n_bytes = len(content)

    def joined(self):
        return self._content


def open_link(emulation=None):
    """Opens a link for an outbox."""
    return lambda backlog: OutgoingLink(emulation, backlog)


class Worker(threading.Thread):
    """Runs `work` and keeps what it returned or raised."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self._work = work
        self.outcome = None
        self.start()

    def run(self):
        try:
            self.outcome = self._work()
        except Exception as exc:  # noqa: BLE001 - kept for `result`
            self.outcome = exc

    def result(self, seconds=10.0):
        self.join(seconds)
        assert not self.is_alive()
        return self.outcome

    def assert_waits(self, seconds=0.05):
        self.join(seconds)
        assert self.is_alive()


def test_a_full_queue_makes_its_sender_wait():
    queue = BoundedQueue(2)
    queue.put(1)
    queue.put(2)
    sender = Worker(lambda: queue.put(3))
    sender.assert_waits()
    assert [queue.get(), queue.get()] == [1, 2]
    sender.result()
    assert queue.get() == 3


def test_closing_a_queue_wakes_both_sides():
    full, empty = BoundedQueue(1), BoundedQueue(1)
    full.put(1)
    waiting = [Worker(lambda: full.put(2)), Worker(empty.get)]
    full.close()
    empty.close()
    assert all(isinstance(worker.result(), QueueClosedError) for worker in waiting)


def test_a_wait_ends_neither_early_nor_much_late():
    for seconds in (0.0, 0.0001, 0.003, 0.02):
        moment = time.perf_counter() + seconds
        assert wait_until(moment)
        late = time.perf_counter() - moment
        assert 0 <= late < 0.05


def test_a_wait_can_be_broken_off():
    stop = threading.Event()
    waiting = Worker(lambda: wait_until(time.perf_counter() + 60, stop))
    waiting.assert_waits()
    stop.set()
    assert waiting.result() is False


def test_the_first_failure_counts_and_every_listener_hears_it_once():
    latch, heard = FailureLatch(), []
    forgotten = heard.append
    latch.listen(lambda error: heard.append(("before", str(error))))
    latch.listen(forgotten)
    latch.ignore(forgotten)
    assert latch.set(NodeUnreachableError("first"))
    assert not latch.set(FrameError("second"))
    latch.listen(lambda error: heard.append(("after", str(error))))
    assert heard == [("before", "first"), ("after", "first")]
    with pytest.raises(NodeUnreachableError, match="first"):
        latch.check()


def test_a_link_keeps_order_and_counts_what_was_written():
    link = OutgoingLink()
    reader = Worker(lambda: list(link))
    messages = [bytes([number]) * number for number in range(1, 20)]
    for message in messages:
        link.put(Message(message))
    link.finish()
    assert reader.result() == messages
    assert link.sent_bytes == sum(map(len, messages))
    assert link.busy_seconds > 0
    with pytest.raises(QueueClosedError):
        link.put(Message(b"late"))


def test_a_link_that_nobody_writes_makes_its_sender_wait():
    link = OutgoingLink()
    sender = Worker(lambda: [link.put(Message(b"x")) for _ in range(3)])
    sender.assert_waits()
    assert link.close() == (b"x", b"x")
    assert isinstance(sender.result(), QueueClosedError)


def test_a_link_ends_with_the_error_it_is_closed_with():
    link = OutgoingLink()
    reader = Worker(lambda: list(link))
    link.close(FrameError("bad"))
    assert isinstance(reader.result(), FrameError)


def test_an_emulated_link_delays_in_a_pipe_and_sends_one_after_the_other():
    emulation = LinkEmulation(delay_seconds=0.1, bytes_per_second=1e5)
    link = OutgoingLink(emulation)
    arrivals = []
    reader = Worker(lambda: [arrivals.append(time.perf_counter()) for _ in link])
    started = time.perf_counter()
    for _ in range(5):
        link.put(Message(bytes(1000)))
    put_seconds = time.perf_counter() - started
    link.finish()
    reader.result()
    assert 0.05 <= put_seconds < 0.15
    for number, arrival in enumerate(arrivals, start=1):
        assert number * 0.01 + 0.1 <= arrival - started < number * 0.01 + 0.1 + 0.08
    assert link.busy_seconds == pytest.approx(0.05)


def test_closing_an_emulated_link_gives_back_what_is_under_way():
    link = OutgoingLink(LinkEmulation(delay_seconds=30))
    reader = Worker(lambda: list(link))
    link.put(Message(b"a"))
    link.put(Message(b"b"))
    reader.assert_waits()
    assert link.close() == (b"a", b"b")
    assert reader.result() == []


def test_the_same_emulation_goes_on_and_another_one_begins():
    link = OutgoingLink(LinkEmulation(bytes_per_second=1e3))
    link.emulate(LinkEmulation(bytes_per_second=1e3))
    link.put(Message(bytes(10)))
    link.emulate(None)
    started = time.perf_counter()
    link.put(Message(bytes(1000)))
    assert time.perf_counter() - started < 0.5
    assert link.busy_seconds == pytest.approx(0.01)


def test_frames_wait_in_the_outbox_until_somebody_subscribes():
    outbox = Outbox()
    sender = Worker(lambda: outbox.send_bytes(Message(b"1")))
    sender.assert_waits()
    link = outbox.subscribe(open_link())
    sender.result()
    assert next(iter(link)) == b"1"


def test_a_new_subscriber_gets_what_the_old_one_was_not_given():
    outbox = Outbox()
    first = outbox.subscribe(open_link())
    outbox.send_bytes(Message(b"1"))
    outbox.send_bytes(Message(b"2"))
    reading = iter(first)
    assert next(reading) == b"1"
    sender = Worker(lambda: [outbox.send_bytes(Message(b"3")), outbox.send_bytes(Message(b"4"))])
    sender.assert_waits()
    second = outbox.subscribe(open_link())
    assert list(reading) == []
    found = list(itertools.islice(second, 3))
    sender.result()
    assert found == [b"2", b"3", b"4"]


def test_leaving_the_outbox_makes_frames_wait_again():
    outbox = Outbox()
    link = outbox.subscribe(open_link())
    outbox.unsubscribe(link)
    sender = Worker(lambda: outbox.send_bytes(Message(b"1")))
    sender.assert_waits()
    outbox.close()
    assert isinstance(sender.result(), QueueClosedError)
    with pytest.raises(QueueClosedError):
        outbox.subscribe(open_link())
