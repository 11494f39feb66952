import threading
import time

import numpy as np
import pytest
from node_shards import matmul_shard, spec

from node_agent.dataplane.frame import decode
from node_agent.dataplane.queueing import BoundedQueue, QueueClosedError
from node_agent.dataplane.stage import Arrival, Stage
from node_agent.errors import FrameError, NodeUnreachableError, StageFailedError
from node_agent.messages import ErrorFrame, StageTrace, TensorFrame


class FakeComputation:
    """y = sum of x, or what it is told to do."""

    def __init__(self):
        self.fault = None
        self.gate = None
        self.closed = False

    def run(self, tensors):
        if self.gate is not None:
            self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        return {"y": tensors["x"].sum(keepdims=True).reshape(1)}

    def close(self):
        self.closed = True


class FakeDestination:
    def __init__(self):
        self.frames = BoundedQueue(100)
        self.busy_seconds = 0.5
        self.sent_bytes = 7
        self.fault = None
        self.closed = False

    def send_bytes(self, message):
        if self.fault is not None:
            raise self.fault
        self.frames.put(decode(message.joined()))

    def close(self):
        self.closed = True
        self.frames.close()


class Bench:
    """A stage on fakes."""

    def __init__(self, *, is_paced=False, **changes):
        receives = (spec("x", (3,)), spec("skip", (1,), "int64"))
        sends = (spec("skip", (1,), "int64"), spec("y", (1,)))
        load = matmul_shard().load(**{"receives": receives, "sends": sends, "stage": 1, "n_stages": 3} | changes)
        self.computation, self.destination = FakeComputation(), FakeDestination()
        self.stage = Stage(
            load, node="pi-1", computation=self.computation, destination=self.destination, is_paced=is_paced
        )

    def offer(self, request, tensors=None, trace=()):
        tensors = tensors or (("x", np.full(3, request, np.float32)), ("skip", np.array([request])))
        frame = TensorFrame(deployment="d", epoch=1, request=request, stage=1, tensors=tensors, trace=trace)
        self.stage.offer(Arrival(frame=frame, decode_seconds=0.125))

    def take(self):
        return self.destination.frames.get()


@pytest.fixture
def bench():
    made = Bench()
    yield made
    made.stage.close()


def test_what_goes_out_is_made_or_relayed_in_the_order_announced(bench):
    before = StageTrace(stage=0, queue_seconds=1, decode_seconds=2, compute_seconds=3, encode_seconds=4)
    bench.offer(5, trace=(before,))
    frame = bench.take()
    assert (frame.request, frame.stage) == (5, 2)
    assert [name for name, _ in frame.tensors] == ["skip", "y"]
    assert frame.tensors[0][1] == [5]
    assert frame.tensors[1][1] == [15]
    assert frame.trace[0] == before
    own = frame.trace[1]
    assert own.stage == 1
    assert own.decode_seconds >= 0.125
    assert own.queue_seconds >= 0
    assert own.compute_seconds > 0
    assert own.encode_seconds > 0


def test_a_failing_request_becomes_an_error_for_the_client_and_the_stage_goes_on(bench):
    bench.computation.fault = StageFailedError("onnxruntime failed: index out of range")
    bench.offer(1)
    error = bench.take()
    assert isinstance(error, ErrorFrame)
    assert (error.request, error.stage, error.error) == (1, 2, "StageFailedError")
    assert error.message == "Stage 1 of 'd' on node 'pi-1' failed on request 1: onnxruntime failed: index out of range"
    bench.computation.fault = None
    bench.offer(2)
    assert bench.take().request == 2
    status = bench.stage.status()
    assert (status.n_frames, status.n_errors, status.sent_bytes, status.send_seconds) == (2, 1, 7, 0.5)


def test_errors_of_earlier_stages_pass_through(bench):
    earlier = ErrorFrame(deployment="d", epoch=1, request=3, stage=1, error="StageFailedError", message="stage 0 broke")
    bench.stage.offer(Arrival(frame=earlier, decode_seconds=0))
    passed = bench.take()
    assert (passed.request, passed.stage, passed.error, passed.message) == (3, 2, "StageFailedError", "stage 0 broke")
    assert bench.stage.status().n_errors == 0


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ((("x", np.zeros(3, np.float32)),), "'skip' is missing"),
        ((("x", np.zeros(4, np.float32)), ("skip", np.array([1]))), r"'x' is float32 of shape \(4,\), want float32"),
        ((("x", np.zeros(3)), ("skip", np.array([1]))), "'x' is float64"),
        ((("x", np.zeros(3, np.float32)), ("skip", np.array([1])), ("z", np.array([1]))), "'z' is not expected"),
    ],
)
def test_tensors_that_do_not_fit_are_told_to_the_client(bench, tensors, words):
    bench.offer(1, tensors)
    error = bench.take()
    assert error.error == FrameError.__name__
    with pytest.raises(ValueError, match=words):
        raise ValueError(error.message)
    bench.offer(2)
    assert bench.take().request == 2


def test_a_size_that_is_unknown_fits_any():
    bench = Bench(receives=(spec("x", (-1,)), spec("skip", (1,), "int64")))
    bench.offer(1, (("x", np.ones(9, np.float32)), ("skip", np.array([1]))))
    assert bench.take().tensors[1][1] == [9]
    bench.stage.close()


def test_the_pace_is_kept_exactly_and_only_on_an_emulated_device():
    paced, real = Bench(is_paced=True, pace_seconds=0.03), Bench(is_paced=False, pace_seconds=0.03)
    for bench in (paced, real):
        bench.offer(1)
    assert 0.03 <= paced.take().trace[-1].compute_seconds < 0.06
    assert real.take().trace[-1].compute_seconds < 0.02
    assert paced.stage.status().compute_seconds >= 0.03
    for bench in (paced, real):
        bench.stage.close()


def test_full_queues_make_the_sender_wait():
    bench = Bench(queue_limit=2)
    bench.computation.gate = threading.Event()
    sender = threading.Thread(target=lambda: [bench.offer(number) for number in range(4)])
    sender.start()
    sender.join(0.1)
    assert sender.is_alive()
    assert bench.stage.status().n_queued == 2
    bench.computation.gate.set()
    sender.join(10)
    assert [bench.take().request for _ in range(4)] == [0, 1, 2, 3]
    bench.stage.close()


def test_a_broken_way_fails_the_stage_and_names_the_node(bench):
    heard = []
    bench.stage.failure.listen(heard.append)
    bench.destination.fault = NodeUnreachableError("Cannot reach the node at pi-2:5")
    bench.offer(1)
    deadline = time.monotonic() + 10
    while not heard and time.monotonic() < deadline:
        time.sleep(0.001)
    with pytest.raises(NodeUnreachableError, match="pi-2:5"):
        bench.offer(2)
    assert [str(error) for error in heard] == ["Cannot reach the node at pi-2:5"]
    assert bench.stage.status().n_errors == 1


def test_a_defect_in_the_computation_fails_the_stage_with_a_log(bench, caplog):
    bench.computation.fault = ZeroDivisionError("defect")
    heard = threading.Event()
    bench.stage.failure.listen(lambda _: heard.set())
    bench.offer(1)
    assert heard.wait(10)
    with pytest.raises(StageFailedError, match="on node 'pi-1' broke unexpectedly"):
        bench.offer(2)
    assert "Traceback" in caplog.text


def test_closing_ends_threads_and_frees_what_the_stage_holds():
    n_threads = threading.active_count()
    for _ in range(50):
        bench = Bench(is_paced=True, pace_seconds=60.0)
        bench.offer(1)
        bench.stage.close()
        assert bench.computation.closed
        assert bench.destination.closed
        with pytest.raises(QueueClosedError):
            bench.offer(2)
        assert bench.stage.failure.error is None
    assert threading.active_count() == n_threads
