"""More than a node can take: it makes its senders wait, or refuses, and its memory stays within what it promises."""

import threading
import time
from contextlib import ExitStack, contextmanager, suppress

import grpc
import numpy as np
import psutil
import pytest
from node_processes import running_agent
from node_shards import build_shard, matmul_shard, spec
from onnx import helper

from node_agent.client import NodeClient
from node_agent.dataplane.grpc_link import ACCEPTED, SERVICE
from node_agent.dataplane.plane import open_sender, subscribe
from node_agent.dataplane.planes import GRPC
from node_agent.errors import NodeError, NodeUnreachableError, RequestRejectedError
from node_agent.messages import SubscribeFrame, TensorFrame
from node_agent.server import MAX_STREAMS
from node_agent.wire import agent_pb2, agent_pb2_grpc

MEBIBYTE = 1 << 20
QUEUE_LIMIT = 4
N_FLOOD = 80
N_COPIES = 8
"""Of a boundary, beside those of the window: read and handed over, computed, encoded and written at one moment."""
TRANSPORT_BYTES = 16 * MEBIBYTE
"""What the transport and allocators keep."""


class Flood:
    """A quick stage before a slow one, each on an agent of its own, and one who offers more than they take."""

    def __init__(self, stack, folder, *, n_bytes, pace_seconds):
        shape = (n_bytes // 4,)
        self._values = np.ones(shape, np.float32)
        shards = [
            build_shard([helper.make_node("Neg", [source], [target])], (spec(source, shape),), (spec(target, shape),))
            for source, target in (("x", "h"), ("h", "y"))
        ]
        agents = [stack.enter_context(running_agent(folder / name, "--slowdown", "20")) for name in ("a", "b")]
        nodes = [stack.enter_context(NodeClient.connect(agent.address)) for agent in agents]
        for node, shard in zip(nodes, shards, strict=True):
            shard.put_into(node)
        common = {"n_stages": 2, "queue_limit": QUEUE_LIMIT}
        nodes[1].load_stage(shards[1].load(stage=1, pace_seconds=pace_seconds, **common))
        nodes[0].load_stage(shards[0].load(stage=0, next_address=agents[1].address, **common))
        self.processes = [psutil.Process(agent.process.pid) for agent in agents]
        self._results = subscribe(GRPC, agents[1].address, SubscribeFrame(deployment="d", epoch=1))
        self._sender = open_sender(GRPC, agents[0].address)
        self.n_sent = self.n_answered = 0
        self.offer(2, window=1)
        self._base = self.resident_bytes()
        self._peak = list(self._base)
        stack.callback(self._sender.close)
        stack.callback(self._results.close)

    def resident_bytes(self):
        return [process.memory_info().rss for process in self.processes]

    @property
    def growth_bytes(self):
        """Of each agent, at its peak, over what it had when it had served two requests."""
        return [peak - base for peak, base in zip(self._peak, self._base, strict=True)]

    def send(self):
        frame = TensorFrame(deployment="d", epoch=1, request=self.n_sent, stage=0, tensors=(("x", self._values),))
        self._sender.send(frame)
        self.n_sent += 1

    def offer(self, n_frames, *, window):
        """Sends so many, of which so many are under way at once."""
        last = self.n_sent + n_frames
        for _ in range(window):
            self.send()
        while self.n_answered < last:
            assert next(self._results).request == self.n_answered
            self.n_answered += 1
            if self.n_sent < last:
                self.send()

    @contextmanager
    def watched(self):
        """Takes note of the peak meanwhile."""
        is_over = threading.Event()

        def watch():
            while not is_over.wait(0.01):
                self._peak = [max(pair) for pair in zip(self._peak, self.resident_bytes(), strict=True)]

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        yield
        is_over.set()
        watcher.join(10)

    def offer_all(self, n_frames, *, seconds):
        """Sends as fast as the node lets it, and reads all results; says whether it was made to wait to the end."""
        stop = threading.Event()

        def send():
            with suppress(NodeUnreachableError):  # when the test closes the stream
                for _ in range(n_frames):
                    if not stop.is_set():
                        self.send()

        def read():
            with suppress(NodeError):
                for _ in self._results:
                    self.n_answered += 1

        threads = [threading.Thread(target=work, daemon=True) for work in (send, read)]
        for thread in threads:
            thread.start()
        threads[0].join(seconds)
        is_waiting = threads[0].is_alive()
        stop.set()
        self._results.close()
        self._sender.close()
        for thread in threads:
            thread.join(10)
        return is_waiting


def check_window(folder, *, n_bytes, n_frames, pace_seconds, window):
    with ExitStack() as stack:
        flood = Flood(stack, folder, n_bytes=n_bytes, pace_seconds=pace_seconds)
        with flood.watched():
            flood.offer(n_frames, window=window)
        for growth in flood.growth_bytes:
            assert growth < (window + N_COPIES) * n_bytes + TRANSPORT_BYTES


def test_memory_is_bounded_by_the_window_and_the_size_of_the_boundary(tmp_path):
    check_window(tmp_path, n_bytes=2 * MEBIBYTE, n_frames=40, pace_seconds=0.05, window=8)


@pytest.mark.slow
@pytest.mark.parametrize("window", [4, 16])
def test_two_gigabytes_through_a_slow_stage_keep_to_the_window(tmp_path, window):
    check_window(tmp_path, n_bytes=8 * MEBIBYTE, n_frames=256, pace_seconds=0.1, window=window)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_gigabytes_offered_at_once_wait_before_the_node(tmp_path):
    """A sender without a window is stopped by queues and transport, which hold some dozens of frames."""
    with ExitStack() as stack:
        flood = Flood(stack, tmp_path, n_bytes=8 * MEBIBYTE, pace_seconds=0.5)
        with flood.watched():
            assert flood.offer_all(256, seconds=60)
        assert flood.n_answered > 60
        assert max(flood.growth_bytes) < 60 * 8 * MEBIBYTE


def raw_stream(channel, hold):
    """A Push stream that says nothing until `hold` is set."""

    def frames():
        hold.wait(60)
        yield from ()

    return channel.stream_stream(f"/{SERVICE}/Push", None, None)(frames(), timeout=60)


def test_more_streams_than_a_node_serves_are_refused_with_a_reason_and_the_others_go_on(tmp_path):
    with ExitStack() as stack:
        agent = stack.enter_context(running_agent(tmp_path))
        node = stack.enter_context(NodeClient.connect(agent.address))
        shard = matmul_shard()
        shard.put_into(node)
        node.load_stage(shard.load())
        results = subscribe(GRPC, agent.address, SubscribeFrame(deployment="d", epoch=1))
        stack.callback(results.close)
        sender = open_sender(GRPC, agent.address)
        stack.callback(sender.close)
        process = psutil.Process(agent.process.pid)
        n_threads = process.num_threads()
        hold = threading.Event()
        channel = stack.enter_context(grpc.insecure_channel(agent.address))
        streams = [raw_stream(channel, hold) for _ in range(N_FLOOD)]
        accepted = [stream for stream in streams if ACCEPTED in map(tuple, stream.initial_metadata())]
        assert len(accepted) == MAX_STREAMS - 2
        refused = next(stream for stream in streams if stream not in accepted)
        assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "as many streams as it can" in refused.details()
        with pytest.raises(RequestRejectedError, match="as many streams as it can"):
            open_sender(GRPC, agent.address)
        assert process.num_threads() <= n_threads + 2 * MAX_STREAMS + 40
        values = np.ones((2, 32), np.float32)
        sender.send(TensorFrame(deployment="d", epoch=1, request=1, stage=0, tensors=(("x", values),)))
        assert next(results).request == 1
        assert node.status().n_stages == 1
        hold.set()
        for stream in accepted:
            assert list(stream) == []
        open_sender(GRPC, agent.address).close()


def test_more_calls_than_a_node_has_threads_for_are_refused_with_a_reason(tmp_path):
    with running_agent(tmp_path) as agent, NodeClient.connect(agent.address) as node:
        hold = threading.Event()
        with grpc.insecure_channel(agent.address) as channel:
            puts = [agent_pb2_grpc.NodeStub(channel).PutBlob.future(held_chunks(hold)) for _ in range(2 * N_FLOOD)]
            wait_for_refusals(puts)
            with pytest.raises(RequestRejectedError, match=r"oncurrent RPC.*try again when others have ended"):
                node.status()
            hold.set()
            for put in puts:
                put.exception(timeout=20)
        assert node.status().n_stages == 0


def held_chunks(hold):
    yield agent_pb2.BlobChunk(blob=agent_pb2.BlobRef(sha256="0" * 64, n_bytes=10))
    hold.wait(60)


def wait_for_refusals(puts, seconds=20):
    deadline = time.monotonic() + seconds
    while not any(put.done() for put in puts):
        assert time.monotonic() < deadline
        time.sleep(0.01)
