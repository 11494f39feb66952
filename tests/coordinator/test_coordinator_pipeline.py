import queue
import threading

import numpy as np
import pytest

from coordinator.errors import MeasurementError
from coordinator.pipeline import Pipeline
from node_agent.dataplane.frame import with_codec
from node_agent.errors import FrameError, NodeUnreachableError, StageFailedError
from node_agent.messages import ErrorFrame, TensorFrame

X = {"x": np.arange(4, dtype=np.float32)}


class Loopback:
    """Sink and source in one: what is sent comes back as `respond` says, or not at all."""

    def __init__(self, respond):
        self.respond = respond
        self.frames = queue.SimpleQueue()
        self.sent = []
        self.busy_seconds = 0.0

    def send(self, frame):
        self.sent.append(frame)
        for answer in self.respond(frame):
            self.frames.put(answer)

    def __iter__(self):
        while (frame := self.frames.get()) is not None:
            if isinstance(frame, Exception):
                raise frame
            yield frame

    def close(self):
        self.frames.put(None)


def answer(frame, **changes):
    values = {
        "deployment": frame.deployment,
        "epoch": frame.epoch,
        "request": frame.request,
        "stage": 1,
        "tensors": (("y", frame.tensors[0][1] * 2),),
    }
    return TensorFrame(**{**values, **changes})


def open_pipeline(respond, window=2, *, is_ordered=False):
    loop = Loopback(respond)
    return loop, Pipeline(
        deployment="d", epoch=3, sink=loop, source=loop, input_names=("x",), window=window, is_ordered=is_ordered
    )


def error_for(frame):
    return ErrorFrame(
        deployment="d", epoch=3, request=frame.request, stage=1, error="StageFailedError", message="stage 0 on 'pi-1'"
    )


def test_an_answer_comes_back_with_its_round_trip():
    _, pipeline = open_pipeline(lambda frame: [answer(frame)])
    with pipeline:
        result = pipeline.infer(X)
    np.testing.assert_array_equal(result.outputs["y"], X["x"] * 2)
    assert result.latency_seconds > 0


def test_answers_out_of_order_reach_their_own_requests():
    held = []

    def respond(frame):
        held.append(frame)
        return [answer(late) for late in reversed(held)] if len(held) == 3 else []

    _, pipeline = open_pipeline(respond, window=3)
    with pipeline:
        futures = [pipeline.submit({"x": np.full(1, index, np.float32)}) for index in range(3)]
        assert [future.result(5).outputs["y"][0] for future in futures] == [0, 2, 4]


def test_a_doubled_answer_and_one_of_an_older_epoch_are_dropped():
    _, pipeline = open_pipeline(lambda frame: [answer(frame, epoch=2), answer(frame), answer(frame)])
    with pipeline:
        first, second = pipeline.infer(X), pipeline.infer({"x": X["x"] + 1})
    np.testing.assert_array_equal(first.outputs["y"], X["x"] * 2)
    np.testing.assert_array_equal(second.outputs["y"], (X["x"] + 1) * 2)


def test_a_failed_request_does_not_stop_the_others():
    def respond(frame):
        if frame.request == 0:
            return [error_for(frame)]
        return [answer(frame)]

    _, pipeline = open_pipeline(respond, window=1)
    with pipeline:
        with pytest.raises(StageFailedError, match="stage 0 on 'pi-1'"):
            pipeline.infer(X)
        assert pipeline.infer(X).request == 1


def test_the_window_bounds_the_requests_in_flight():
    loop, pipeline = open_pipeline(lambda _frame: [], window=2)
    with pipeline:
        pipeline.submit(X)
        pipeline.submit(X)
        with pytest.raises(MeasurementError, match="window full"):
            pipeline.submit(X, timeout_seconds=0.05)
    assert len(loop.sent) == 2


def test_a_broken_stream_ends_every_open_request_once():
    loop, pipeline = open_pipeline(lambda _frame: [], window=4)
    futures = [pipeline.submit(X) for _ in range(3)]
    loop.frames.put(NodeUnreachableError("'pi-2' at 127.0.0.1:1 is gone"))
    for future in futures:
        with pytest.raises(NodeUnreachableError, match="pi-2"):
            future.result(5)
    with pytest.raises(NodeUnreachableError):
        pipeline.submit(X)
    pipeline.close()


def test_a_sink_that_fails_ends_the_request_in_its_error():
    def respond(_frame):
        raise NodeUnreachableError("first node is gone")

    _, pipeline = open_pipeline(respond)
    with pytest.raises(NodeUnreachableError, match="first node"):
        pipeline.infer(X)
    pipeline.close()


def test_closing_ends_open_requests_and_the_thread():
    before = threading.active_count()
    _, pipeline = open_pipeline(lambda _frame: [])
    future = pipeline.submit(X)
    pipeline.close()
    with pytest.raises(NodeUnreachableError, match="closed"):
        future.result(1)
    assert threading.active_count() == before


def test_results_wait_for_earlier_ones_where_order_is_asked_for():
    loop, pipeline = open_pipeline(lambda _frame: [], window=4, is_ordered=True)
    ended = queue.SimpleQueue()
    with pipeline:
        futures = [pipeline.submit(X) for _ in range(4)]
        for number, future in enumerate(futures):
            future.add_done_callback(lambda _, number=number: ended.put(number))
        loop.frames.put(answer(loop.sent[2]))
        loop.frames.put(error_for(loop.sent[1]))
        with pytest.raises(MeasurementError, match="window full"):  # they keep their places in the window
            pipeline.submit(X, timeout_seconds=0.05)
        assert ended.empty()
        loop.frames.put(answer(loop.sent[0]))
        loop.frames.put(answer(loop.sent[0]))
        assert [ended.get(timeout=5) for _ in range(3)] == [0, 1, 2]
        assert isinstance(futures[1].exception(), StageFailedError)
        assert pipeline.submit(X, timeout_seconds=5)
        loop.frames.put(answer(loop.sent[3]))
        assert futures[3].result(5).request == 3


def test_a_result_that_waited_is_not_lost_when_the_stream_breaks():
    loop, pipeline = open_pipeline(lambda _frame: [], window=3, is_ordered=True)
    futures = [pipeline.submit(X) for _ in range(3)]
    loop.frames.put(answer(loop.sent[1]))
    loop.frames.put(NodeUnreachableError("'pi-2' is gone"))
    assert futures[1].result(5).request == 1
    for future in (futures[0], futures[2]):
        with pytest.raises(NodeUnreachableError, match="pi-2"):
            future.result(5)
    pipeline.close()


def test_answers_that_are_coded_end_their_request_alone():
    def respond(frame):
        return [with_codec(answer(frame), "int8")] if frame.request == 0 else [answer(frame)]

    _, pipeline = open_pipeline(respond)
    with pipeline:
        with pytest.raises(FrameError, match="Request 0 came back in codec 'int8'"):
            pipeline.infer(X)
        assert pipeline.infer(X).request == 1


def test_the_window_can_be_widened_and_narrowed():
    loop, pipeline = open_pipeline(lambda frame: [], window=2)

    def n_taken():
        """Requests that go out before the window is full; they are answered afterwards."""
        before = len(loop.sent)
        futures = []
        with pytest.raises(MeasurementError, match="window full"):  # noqa: PT012 - the last of them
            while True:
                futures.append(pipeline.submit(X, timeout_seconds=0.05))
        for frame in loop.sent[before:]:
            loop.frames.put(answer(frame))
        for future in futures:
            future.result(timeout=5)
        return len(futures)

    with pipeline:
        assert n_taken() == 2
        for window in (5, 1, 3):
            pipeline.resize(window)
            assert n_taken() == window


def test_narrowing_waits_for_answers():
    loop, pipeline = open_pipeline(lambda frame: [], window=2)
    with pipeline:
        futures = [pipeline.submit(X), pipeline.submit(X)]
        resizing = threading.Thread(target=pipeline.resize, args=(1,))
        resizing.start()
        resizing.join(0.05)
        assert resizing.is_alive()
        loop.frames.put(answer(loop.sent[0]))
        resizing.join(5)
        assert not resizing.is_alive()
        assert futures[0].result(timeout=5).request == 0
