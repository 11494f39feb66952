"""What every data plane promises, in clear and under mutual TLS."""

import threading
import time
from queue import SimpleQueue

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hypothesis_numpy
from node_planes import receiving

from benchmarks._certificates import make_authority
from node_agent.dataplane.frame import encode
from node_agent.dataplane.planes import PLANES
from node_agent.dataplane.tcp.dialing import PATIENCE_SECONDS
from node_agent.element_types import DTYPES
from node_agent.errors import (
    FrameError,
    NodeUnreachableError,
    RequestRejectedError,
    StageFailedError,
    StageMissingError,
)
from node_agent.messages import ErrorFrame, LinkEmulation, ProbeFrame, StageTrace, SubscribeFrame, TensorFrame

TRACE = StageTrace(stage=0, queue_seconds=0.25, decode_seconds=0.0, compute_seconds=2.0, encode_seconds=0.5)
BIG = 8 << 20

any_tensor = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: hypothesis_numpy.arrays(
        DTYPES[name], hypothesis_numpy.array_shapes(min_dims=0, min_side=0, max_side=5)
    )
)


@pytest.fixture(scope="module", params=[(plane, is_secured) for plane in PLANES for is_secured in (False, True)])
def receiver(request, tmp_path_factory):
    plane, is_secured = request.param
    folder = tmp_path_factory.mktemp("plane")
    issue = make_authority(folder, "ca") if is_secured else lambda _: None
    with receiving(plane, folder, node_tls=issue("node"), client_tls=issue("client")) as opened:
        yield opened


@pytest.fixture
def stage(receiver, request):
    return receiver.stages.add(request.node.name)


@pytest.fixture
def frame(request):
    """Makes frames for this test's stage."""

    def make(number, *tensors, epoch=1, trace=(TRACE,)):
        named = tuple((f"t{index}", values) for index, values in enumerate(tensors))
        return TensorFrame(
            deployment=request.node.name, epoch=epoch, request=number, stage=1, tensors=named, trace=trace
        )

    return make


def assert_same(found, wanted):
    assert (found.deployment, found.epoch, found.request, found.stage, found.trace) == (
        wanted.deployment,
        wanted.epoch,
        wanted.request,
        wanted.stage,
        wanted.trace,
    )
    assert [name for name, _ in found.tensors] == [name for name, _ in wanted.tensors]
    for (_, ours), (_, theirs) in zip(found.tensors, wanted.tensors, strict=True):
        assert (ours.dtype.name, ours.shape) == (theirs.dtype.name, theirs.shape)
        assert ours.tobytes() == theirs.astype(ours.dtype).tobytes()
        assert not ours.flags.writeable


def send_all(sender, frames):
    for frame in frames:
        sender.send(frame)


def failure_of(sender):
    heard = SimpleQueue()
    sender.failure.listen(heard.put)
    return heard.get(timeout=20)


class TestPlane:
    """The contract of senders, subscriptions, and what receives and gives at the other end."""

    def test_every_element_type_and_shape_arrives(self, receiver, stage, frame):
        sender = receiver.sender()
        for number, name in enumerate(DTYPES):
            values = np.arange(24).reshape(2, 3, 4).astype(name)
            sent = frame(number, values, np.array(1, name), np.zeros((0, 3), name), values.T, values[:, ::2, 1:])
            sender.send(sent)
            assert_same(stage.take(), sent)

    @given(st.lists(any_tensor, max_size=5), st.integers(0, 2**64 - 1))
    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_any_tensors_arrive(self, receiver, stage, frame, tensors, number):
        if not hasattr(stage, "sender"):
            stage.sender = receiver.sender()
        sent = frame(number, *tensors)
        stage.sender.send(sent)
        assert_same(stage.take(), sent)

    def test_a_frame_of_more_tensors_than_one_call_gathers_arrives(self, receiver, stage, frame):
        sent = frame(1, *(np.full(number % 7, number, np.int32) for number in range(1024)))
        receiver.sender().send(sent)
        assert_same(stage.take(), sent)

    def test_large_frames_arrive_whole_and_in_order(self, receiver, stage, frame):
        sender = receiver.sender()
        values = np.random.default_rng(1).integers(0, 255, BIG, np.uint8)
        for number in range(6):
            sender.send(frame(number, values[number:], np.array(number)))
        for number in range(6):
            assert_same(stage.take(), frame(number, values[number:], np.array(number)))
        until = time.monotonic() + 10
        while sender.sent_bytes <= 6 * (BIG - 6):  # counted when the transport has given the last frame away
            assert time.monotonic() < until, sender.sent_bytes
            time.sleep(0.01)
        assert sender.busy_seconds > 0

    def test_many_frames_of_several_threads_arrive_whole(self, receiver, stage, frame):
        sender = receiver.sender()

        def send(first):
            for number in range(first, first + 100):
                sender.send(frame(number, np.full(number, number, np.int64)))

        threads = [threading.Thread(target=send, args=(first,)) for first in (0, 100, 200)]
        for thread in threads:
            thread.start()
        found = [stage.take() for _ in range(300)]
        for thread in threads:
            thread.join()
        assert {one.request for one in found} == set(range(300))
        for one in found:
            assert (one.tensors[0][1] == one.request).all()
        for first in (0, 100, 200):
            mine = [one.request for one in found if first <= one.request < first + 100]
            assert mine == sorted(mine)

    @pytest.mark.parametrize("link", [None, LinkEmulation(delay_seconds=0.05)], ids=["plain", "emulated"])
    def test_arrays_may_change_once_they_were_sent(self, receiver, stage, frame, link):
        sender = receiver.sender(link=link)
        values = np.zeros(1 << 20, np.float32)
        for number in range(5):
            values[:] = number
            sender.send(frame(number, values))
        values[:] = -1
        assert [set(stage.take().tensors[0][1].tolist()) for _ in range(5)] == [{number} for number in range(5)]

    def test_what_was_sent_before_closing_arrives(self, receiver, stage, frame):
        sender = receiver.sender()
        for number in range(20):
            sender.send(frame(number, np.zeros(10_000)))
        sender.close()
        assert [stage.take().request for _ in range(20)] == list(range(20))
        assert sender.failure.error is None
        with pytest.raises(NodeUnreachableError, match="open a new one"):
            sender.send(frame(20))

    def test_errors_travel_as_frames(self, receiver, stage, request):
        sent = ErrorFrame(
            deployment=request.node.name, epoch=1, request=3, stage=1, error="FrameError", message="ü", trace=(TRACE,)
        )
        receiver.sender().send(sent)
        assert stage.take() == sent

    def test_probes_are_answered_with_what_they_ask_for(self, receiver):
        answers = SimpleQueue()
        sender = receiver.sender(on_answer=answers.put)
        sender.send(ProbeFrame(request=1, payload=bytes(3 << 20), n_answers=0))
        sender.send(ProbeFrame(request=2, payload=b"", answer_bytes=2 << 20, n_answers=3))
        sender.send(ProbeFrame(request=3, payload=b"x" * 100))
        found = [answers.get(timeout=10) for _ in range(4)]
        assert [(one.request, len(one.payload)) for one in found] == [(2, 2 << 20)] * 3 + [(3, 0)]
        assert not any(bytes(found[0].payload[:100]))

    def test_both_directions_carry_much_at_once(self, receiver):
        """Under TLS both use one state of the cipher."""
        answers = SimpleQueue()
        sender = receiver.sender(on_answer=answers.put)
        for number in range(8):
            sender.send(ProbeFrame(request=number, payload=bytes(4 << 20), answer_bytes=4 << 20, n_answers=1))
        found = [answers.get(timeout=20) for _ in range(8)]
        assert [(one.request, len(one.payload)) for one in found] == [(number, 4 << 20) for number in range(8)]

    def test_a_link_back_is_emulated_as_the_probe_says(self, receiver):
        answers = SimpleQueue()
        sender = receiver.sender(on_answer=answers.put)
        started = time.perf_counter()
        sender.send(ProbeFrame(request=1, payload=b"", link_back=LinkEmulation(delay_seconds=0.1)))
        sender.send(ProbeFrame(request=2, payload=b"", link_back=LinkEmulation(delay_seconds=0.1)))
        sender.send(ProbeFrame(request=3, payload=b""))
        assert [answers.get(timeout=10).request for _ in range(3)] == [1, 2, 3]
        assert time.perf_counter() - started >= 0.1

    def test_frames_of_another_epoch_are_dropped(self, receiver, stage, frame):
        sender = receiver.sender()
        for epoch in (0, 2, 1):
            sender.send(frame(epoch, np.ones(3), epoch=epoch))
        assert stage.take().request == 1
        assert sender.failure.error is None

    def test_an_unknown_stage_ends_the_stream_with_its_reason(self, receiver, frame):
        sender = receiver.sender()
        sender.send(frame(1))
        error = failure_of(sender)
        assert isinstance(error, StageMissingError)
        with pytest.raises(StageMissingError, match="There is no stage 1"):
            sender.send(frame(2))

    def test_what_fails_behind_a_stage_is_told_to_its_sender(self, receiver, stage, frame):
        sender = receiver.sender()
        sender.send(frame(1))
        stage.take()
        stage.failure.set(NodeUnreachableError("The node behind is gone."))
        error = failure_of(sender)
        assert (type(error), str(error)) == (NodeUnreachableError, "The node behind is gone.")

    def test_what_fails_while_a_large_frame_is_under_way_is_told_as_well(self, receiver, stage, frame):
        stage.failure.set(StageFailedError("It broke."))
        sender = receiver.sender()
        with pytest.raises(StageFailedError, match="It broke"):
            send_all(sender, (frame(number, np.zeros(BIG, np.uint8)) for number in range(100)))

    def test_a_message_above_the_limit_is_refused_with_a_reason(self, receiver, frame):
        sender = receiver.sender()
        with pytest.raises(RequestRejectedError, match="--max-message"):
            send_all(sender, (frame(number, np.zeros(9 << 20)) for number in range(50)))

    def test_a_subscription_on_the_wrong_stream_is_refused(self, receiver):
        sender = receiver.sender()
        sender.send(SubscribeFrame(deployment="d", epoch=1))
        assert isinstance(failure_of(sender), FrameError)

    def test_results_come_in_order_until_the_stage_ends(self, receiver, stage, frame, request):
        results = receiver.subscribe(request.node.name)
        for number in range(50):
            stage.outbox.send_bytes(encode(frame(number, np.full(1000, number))))
        for number in range(50):
            assert_same(next(results), frame(number, np.full(1000, number)))
        stage.outbox.close()
        assert list(results) == []

    def test_large_results_come_whole(self, receiver, stage, frame, request):
        results = receiver.subscribe(request.node.name)
        values = np.random.default_rng(0).integers(0, 255, BIG, np.uint8)
        giver = threading.Thread(
            target=lambda: [stage.outbox.send_bytes(encode(frame(number, values))) for number in range(5)]
        )
        giver.start()
        for number in range(5):
            assert_same(next(results), frame(number, values))
        giver.join()
        assert stage.outbox.sent_bytes > 5 * BIG
        assert stage.outbox.busy_seconds > 0

    def test_a_new_subscriber_takes_over_and_what_was_under_way_goes_to_it(self, receiver, stage, frame, request):
        slow = LinkEmulation(delay_seconds=30)
        first = receiver.subscribe(request.node.name, link_back=slow)
        for number in range(3):
            stage.outbox.send_bytes(encode(frame(number, np.full(5, number))))
        second = receiver.subscribe(request.node.name)
        assert list(first) == []
        stage.outbox.send_bytes(encode(frame(3, np.full(5, 3))))
        for number in range(4):
            assert_same(next(second), frame(number, np.full(5, number)))

    def test_results_that_nobody_has_are_refused_with_a_reason(self, receiver, stage, request):
        with pytest.raises(StageMissingError, match="There is no stage 0 of 'nobody'"):
            receiver.subscribe("nobody")
        with pytest.raises(StageMissingError, match="is not of epoch 2"):
            receiver.subscribe(request.node.name, epoch=2)
        with pytest.raises(RequestRejectedError, match="loss of a link must be"):
            receiver.subscribe(request.node.name, link_back=LinkEmulation(loss=2.0))
        with pytest.raises(RequestRejectedError, match="delay_seconds of a link must be"):
            receiver.sender(link=LinkEmulation(delay_seconds=-1))

    def test_closing_a_subscription_ends_who_waits_for_it(self, receiver, stage, request):
        results = receiver.subscribe(request.node.name)
        found = []
        waiting = threading.Thread(target=lambda: found.extend(results))
        waiting.start()
        waiting.join(0.05)
        results.close()
        waiting.join(10)
        assert not waiting.is_alive()
        assert found == []

    @pytest.mark.slow
    def test_a_stage_that_takes_nothing_for_long_is_not_taken_for_dead(self, receiver, stage, frame):
        keep, may_go_on = stage.offer, threading.Event()

        def offer(arrival):
            may_go_on.wait(60)
            keep(arrival)

        stage.offer = offer
        sender = receiver.sender()
        frames = (frame(number, np.zeros(BIG, np.uint8)) for number in range(20))
        sending = threading.Thread(target=send_all, args=(sender, frames))
        sending.start()
        sending.join(PATIENCE_SECONDS + 2)
        may_go_on.set()
        assert [stage.take().request for _ in range(20)] == list(range(20))
        sending.join(10)
        assert sender.failure.error is None

    def test_closing_a_sender_ends_who_is_stuck_in_it(self, receiver, stage, frame):
        blocked = threading.Event()
        stage.offer = lambda _: blocked.wait(10)
        sender = receiver.sender()
        ended = []

        def send_until_closed():
            try:
                send_all(sender, (frame(number, np.zeros(1 << 20)) for number in range(100)))
            except NodeUnreachableError as exc:
                ended.append(exc)

        sending = threading.Thread(target=send_until_closed)
        sending.start()
        sending.join(0.5)
        assert sending.is_alive(), "a node that takes nothing makes its sender wait"
        sender.close()
        sending.join(10)
        blocked.set()
        assert not sending.is_alive()
        assert len(ended) == 1
