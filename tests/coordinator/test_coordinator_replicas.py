"""Several sinks and several sources as one, on fakes."""

import queue
import threading

import numpy as np
import pytest

from coordinator.pipeline import Pipeline
from coordinator.replicas import SinksInTurn, SourcesTogether
from node_agent.dataplane.failure import FailureLatch
from node_agent.errors import NodeUnreachableError
from node_agent.messages import TensorFrame

X = {"x": np.arange(4, dtype=np.float32)}


class Replica:
    """Sink and source of one node, which answers what it is given while its gate is open."""

    def __init__(self):
        self.failure = FailureLatch()
        self.gate = threading.Event()
        self.gate.set()
        self.sent = []
        self.results = queue.SimpleQueue()
        self.busy_seconds = 0.25

    def send(self, frame):
        self.failure.check()
        self.gate.wait(10)
        self.sent.append(frame.request)
        self.results.put(frame)

    def __iter__(self):
        while (frame := self.results.get()) is not None:
            if isinstance(frame, Exception):
                raise frame
            yield frame

    def close(self):
        self.gate.set()
        self.results.put(None)


def frame_of(request):
    return TensorFrame(deployment="d", epoch=1, request=request, stage=0, tensors=tuple(X.items()))


@pytest.fixture
def replicas():
    return [Replica() for _ in range(3)]


def pipeline_of(replicas, window=6):
    sink = SinksInTurn(replicas)
    pipeline = Pipeline(
        deployment="d",
        epoch=1,
        sink=sink,
        source=SourcesTogether(replicas),
        input_names=("x",),
        window=window,
        is_ordered=True,
    )
    sink.failure.listen(pipeline.fail)
    return pipeline


def test_requests_go_round_and_results_come_in_order(replicas):
    with pipeline_of(replicas) as pipeline:
        futures = [pipeline.submit(X) for _ in range(10)]
        assert [future.result(5).request for future in futures] == list(range(10))
        assert pipeline.input_busy_seconds == 0.75
    assert [replica.sent for replica in replicas] == [[0, 3, 6, 9], [1, 4, 7], [2, 5, 8]]


def test_a_slow_replica_holds_results_back_but_keeps_no_other_from_working(replicas):
    ended = []
    with pipeline_of(replicas) as pipeline:
        replicas[0].gate.clear()
        futures = [pipeline.submit(X) for _ in range(6)]
        for number, future in enumerate(futures):
            future.add_done_callback(lambda _, number=number: ended.append(number))
        for replica in replicas[1:]:
            while len(replica.sent) < 2:
                threading.Event().wait(0.001)
        assert ended == []
        replicas[0].gate.set()
        assert futures[5].result(5).request == 5
    assert ended == list(range(6))


@pytest.mark.parametrize("victim", [0, 2])
@pytest.mark.parametrize("is_result_lost", [False, True])
def test_one_replica_that_is_gone_ends_every_request_once(replicas, victim, is_result_lost):
    pipeline = pipeline_of(replicas)
    for replica in replicas:
        replica.gate.clear()
    futures = [pipeline.submit(X) for _ in range(6)]
    error = NodeUnreachableError("'pi-2' is gone")
    if is_result_lost:
        replicas[victim].results.put(error)
    else:
        replicas[victim].failure.set(error)
    for future in futures:
        with pytest.raises(NodeUnreachableError, match="pi-2"):
            future.result(5)
    with pytest.raises(NodeUnreachableError):
        pipeline.submit(X)
    pipeline.close()


def test_sinks_that_were_closed_say_so_and_leave_no_threads(replicas):
    before = threading.active_count()
    sink, source = SinksInTurn(replicas), SourcesTogether(replicas)
    sink.close()
    with pytest.raises(NodeUnreachableError, match="closed"):
        sink.send(frame_of(0))
    source.close()
    assert threading.active_count() == before
    assert list(source) == []
