"""Malformed, truncated, oversized and reordered frames: a node refuses them, tells why, and goes on with the others."""

import re
import socket
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from data_planes import PLANES
from garbage import DEPLOYMENT, MAX_MESSAGE_BYTES, healthy_frame, streams
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from node_processes import running_agent
from node_shards import matmul_shard

from node_agent.client import NodeClient
from node_agent.dataplane.plane import open_sender, subscribe
from node_agent.dataplane.planes import data_address
from node_agent.messages import SubscribeFrame, TensorFrame

CLEAR = {"", "FrameError", "RequestRejectedError", "StageMissingError"}
"""What may end a stream of garbage: nothing, where it was none, or our errors that blame the sender."""
MOST_GROWTH_BYTES = 24 << 20
"""What allocators of many threads keep; a leak of one message in a hundred would be more."""
HEALTH_EVERY = 25


class Victim:
    """An agent with one healthy stage, and a client that uses it."""

    def __init__(self, stack, folder, plane):
        agent = stack.enter_context(running_agent(folder, "--name", "victim", "--max-message", str(MAX_MESSAGE_BYTES)))
        self.process = psutil.Process(agent.process.pid)
        self.log = agent.log
        self.node = stack.enter_context(NodeClient.connect(agent.address))
        shard = matmul_shard()
        shard.put_into(self.node)
        self.node.load_stage(shard.load(deployment=DEPLOYMENT))
        address = data_address(agent.address, self.node.describe(), plane)
        self.results = subscribe(plane, address, SubscribeFrame(deployment=DEPLOYMENT, epoch=1))
        stack.callback(self.results.close)
        self.sender = open_sender(plane, address)
        stack.callback(self.sender.close)
        self.plane = stack.enter_context(PLANES[plane](address))
        self.address = address
        self.n_asked = 0
        self.n_streams = 0

    def answers(self):
        """Whether a request on the healthy stream is answered; what garbage left in the stage comes before it."""
        self.n_asked += 1
        values = np.full((2, 32), self.n_asked, np.float32)
        frame = TensorFrame(deployment=DEPLOYMENT, epoch=1, request=self.n_asked, stage=0, tensors=(("x", values),))
        self.sender.send(frame)
        for found in self.results:
            if found.request == self.n_asked and isinstance(found, TensorFrame):
                return np.isfinite(found.tensors[0][1]).all()
        return False

    def peak_bytes(self):
        """Most memory that the agent ever had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])

    def push(self, frames, call):
        ended = self.plane.push(frames, call)
        self.n_streams += 1
        if self.n_streams % HEALTH_EVERY == 0:
            assert self.answers()
        return ended


@pytest.fixture(scope="module", params=PLANES)
def victim(request, tmp_path_factory):
    with ExitStack() as stack:
        yield Victim(stack, tmp_path_factory.mktemp("victim"), request.param)


def bombard(victim, n_streams):
    """Streams of garbage: errors that ended them, and how many frames there were."""
    ended_by, n_frames = set(), 0

    @settings(
        max_examples=n_streams,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],  # a failure here is not made smaller by sending it a thousand times
        suppress_health_check=list(HealthCheck),
    )
    @given(streams, st.sampled_from(("Push", "Push", "Push", "Results")))
    def send(frames, call):
        nonlocal n_frames
        n_frames += len(frames)
        ended = victim.push(frames, call)
        assert ended.error in CLEAR | {victim.plane.too_large}, ended
        assert not ended.error or len(ended.message) > 20, ended
        ended_by.add(ended.error)

    send()
    assert victim.answers()
    assert "Traceback" not in victim.log.read_text()
    return ended_by, n_frames


def test_garbage_is_refused_with_a_reason_and_leaves_nothing(victim):
    bombard(victim, 60)
    peak, resident = victim.peak_bytes(), victim.process.memory_info().rss
    ended_by, n_frames = bombard(victim, 160)
    assert n_frames > 300
    assert ended_by == CLEAR | {victim.plane.too_large}, "the garbage is not as varied as it was meant to be"
    assert victim.peak_bytes() - peak < MOST_GROWTH_BYTES
    assert victim.process.memory_info().rss - resident < MOST_GROWTH_BYTES


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_thousand_malformed_frames_leave_nothing(victim):
    bombard(victim, 1_000)
    peak, resident = victim.peak_bytes(), victim.process.memory_info().rss
    n_threads, n_files = victim.process.num_threads(), victim.process.num_fds()
    ended_by, n_frames = bombard(victim, 8_000)
    assert n_frames >= 20_000
    assert ended_by == CLEAR | {victim.plane.too_large}
    assert victim.peak_bytes() - peak < MOST_GROWTH_BYTES
    assert victim.process.memory_info().rss - resident < MOST_GROWTH_BYTES
    assert victim.process.num_threads() <= n_threads + 4
    assert victim.process.num_fds() <= n_files + 4


def test_bytes_that_are_not_even_the_protocol_are_shed(victim):
    host, port = victim.address.rsplit(":", 1)
    for said in (b"GET / HTTP/1.1\r\n\r\n", bytes(100_000), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000):
        with socket.create_connection((host, int(port)), timeout=10) as connection, suppress(ConnectionError):
            connection.sendall(said)
            while connection.recv(1 << 16):
                pass
    assert victim.answers()


def test_a_healthy_frame_is_what_the_stage_takes(victim):
    assert victim.plane.push([healthy_frame(2**40)]).error == ""
    assert victim.answers()
