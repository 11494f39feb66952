"""A stage that receives and sends coded tensors, and one that sends to several nodes in turn."""

import threading
import time

import numpy as np
import pytest
from node_shards import matmul_shard, spec

from node_agent import codecs
from node_agent.dataplane.frame import decode, with_codec
from node_agent.dataplane.pacing import EmulatedDevice
from node_agent.dataplane.queueing import BoundedQueue
from node_agent.dataplane.reception import receive
from node_agent.dataplane.stage import Arrival, Stage
from node_agent.errors import NodeUnreachableError, StageFailedError
from node_agent.messages import CodedTensor, CodingPace, ErrorFrame, TensorFrame

SHAPE = (4, 300)
ROUNDING = 1e-6


class Doubling:
    """y = 2 x."""

    def __init__(self):
        self.fault = None

    def run(self, tensors):
        if self.fault is not None:
            raise self.fault
        return {"y": tensors["x"] * 2}

    def close(self):
        pass


class Way:
    """A destination that keeps what it is given; it waits while `gate` is clear."""

    def __init__(self):
        self.frames = BoundedQueue(100)
        self.gate = threading.Event()
        self.gate.set()
        self.busy_seconds = 0.25
        self.sent_bytes = 5
        self.fault = None

    def send_bytes(self, message):
        self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        self.frames.put(decode(message.joined()))

    def close(self):
        self.gate.set()
        self.frames.close()


class Bench:
    def __init__(self, n_ways=1, *, is_paced=False, **changes):
        load = matmul_shard().load(
            receives=(spec("x", SHAPE),), sends=(spec("y", SHAPE),), stage=0, n_stages=2, **changes
        )
        self.computation = Doubling()
        self.ways = [Way() for _ in range(n_ways)]
        self.stage = Stage(
            load,
            node="pi-1",
            computation=self.computation,
            destination=self.ways[0],
            further=self.ways[1:],
            is_paced=is_paced,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stage.close()

    def offer(self, request, codec="none"):
        frame = TensorFrame(deployment="d", epoch=1, request=request, stage=0, tensors=(("x", x_of(request)),))
        self.offer_frame(with_codec(frame, codec))

    def offer_frame(self, frame):
        self.stage.offer(Arrival(frame=frame, decode_seconds=0.0))

    def take(self, way=0):
        return self.ways[way].frames.get()


def x_of(request):
    return np.maximum(np.random.default_rng(request).standard_normal(SHAPE, dtype=np.float32), 0)


def after(codec, values):
    encoded = codecs.encode(codec, values)
    return codecs.decode(codec, encoded, spec("y", values.shape, values.dtype.name))


@pytest.mark.parametrize("codec", codecs.CODECS)
def test_a_stage_decodes_what_comes_and_codes_what_goes(codec):
    with Bench(codec="" if codec == "none" else codec) as bench:
        for request in range(3):
            bench.offer(request, codec)
        for request in range(3):
            frame = bench.take()
            assert frame.request == request
            assert isinstance(frame.tensors[0][1], CodedTensor) == (codec != "none")
            found = receive(frame, {"y": spec("y", SHAPE)})["y"]
            np.testing.assert_array_equal(found, after(codec, after(codec, x_of(request)) * 2))
            (trace,) = frame.trace
            assert min(trace.decode_seconds, trace.compute_seconds, trace.encode_seconds) > 0


@pytest.mark.parametrize(("codec", "error"), [("zstd", "FrameError"), ("rot13", "CodecMissingError")])
def test_a_request_that_cannot_be_decoded_ends_in_an_error_and_the_others_go_on(codec, error):
    bad = CodedTensor(codec=codec, dtype="float32", shape=SHAPE, content=memoryview(b"no such thing"))
    with Bench(codec="int8") as bench:
        bench.offer(0)
        bench.offer_frame(TensorFrame(deployment="d", epoch=1, request=1, stage=0, tensors=(("x", bad),)))
        bench.offer(2)
        frames = [bench.take() for _ in range(3)]
        assert [frame.request for frame in frames] == [0, 1, 2]
        assert isinstance(frames[1], ErrorFrame)
        assert frames[1].error == error
        assert "failed on request 1" in frames[1].message
        assert (bench.stage.status().n_frames, bench.stage.status().n_errors) == (3, 1)


def test_errors_keep_their_place_among_coded_frames():
    earlier = ErrorFrame(deployment="d", epoch=1, request=1, stage=0, error="StageFailedError", message="stage 0 broke")
    with Bench(codec="zstd") as bench:
        bench.offer(0)
        bench.offer_frame(earlier)
        bench.offer(2)
        assert [(type(frame), frame.request) for frame in (bench.take(), bench.take(), bench.take())] == [
            (TensorFrame, 0), (ErrorFrame, 1), (TensorFrame, 2)
        ]  # fmt: skip


@pytest.mark.parametrize("n_ways", [2, 3])
def test_requests_go_round_whatever_their_order(n_ways):
    requests = [5, 0, 3, 4, 1, 2]
    with Bench(n_ways, queue_limit=12) as bench:
        for request in requests:
            bench.offer(request)
        for way in range(n_ways):
            mine = [request for request in requests if request % n_ways == way]
            assert [bench.take(way).request for _ in mine] == mine
        status = bench.stage.status()
        assert (status.sent_bytes, status.send_seconds) == (5 * n_ways, 0.25 * n_ways)


def test_a_busy_way_holds_up_no_other():
    with Bench(2, queue_limit=12) as bench:
        bench.ways[0].gate.clear()
        for request in range(6):
            bench.offer(request)
        assert [bench.take(1).request for _ in range(3)] == [1, 3, 5]
        bench.ways[0].gate.set()
        assert [bench.take(0).request for _ in range(3)] == [0, 2, 4]


def test_one_broken_way_fails_the_stage():
    with Bench(2) as bench:
        bench.ways[1].fault = NodeUnreachableError("Cannot reach the node at pi-3:5")
        heard = threading.Event()
        bench.stage.failure.listen(lambda _: heard.set())
        bench.offer(1)
        assert heard.wait(10)
        with pytest.raises(NodeUnreachableError, match="pi-3:5"):
            bench.offer(2)


def test_an_emulated_device_codes_and_computes_one_after_the_other():
    """Each of three requests takes 5 + 10 + 5 ms of the device, although three threads work on them."""
    pace = CodingPace(decode_seconds=0.005, encode_seconds=0.005)
    with Bench(is_paced=True, codec="int8", pace_seconds=0.01, coding_pace=pace) as bench:
        started = time.perf_counter()
        for request in range(3):
            bench.offer(request, "int8")
        frames = [bench.take() for _ in range(3)]
        assert time.perf_counter() - started >= 3 * 0.02 - ROUNDING
        for frame in frames:
            assert frame.trace[0].decode_seconds >= 0.005 - ROUNDING
            assert frame.trace[0].compute_seconds >= 0.01 - ROUNDING
            assert frame.trace[0].encode_seconds >= 0.005 - ROUNDING
    endless = CodingPace(decode_seconds=60, encode_seconds=60)
    with Bench(is_paced=False, codec="int8", pace_seconds=60, coding_pace=endless) as bench:
        bench.offer(0, "int8")
        assert bench.take().request == 0


def test_work_on_an_emulated_device_waits_for_its_turn_and_failed_work_lasts_no_longer():
    device = EmulatedDevice(threading.Event())
    begun = []

    def work():
        with device.work(0.02) as began:
            begun.append(began)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    first, second, third = sorted(begun)
    assert min(second - first, third - second) >= 0.02 - ROUNDING
    with pytest.raises(StageFailedError), device.work(60.0):
        raise StageFailedError("at once")
    with device.work(0.001) as began:
        assert began - third < 30


def test_closing_wakes_who_waits_for_the_device():
    stop = threading.Event()
    device = EmulatedDevice(stop)
    done = []

    def work():
        with device.work(60.0):
            pass
        done.append(True)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    stop.set()
    for thread in threads:
        thread.join(10)
    assert done == [True, True]
