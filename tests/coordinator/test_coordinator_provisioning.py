"""Shards on their way to a node: one stream, and what happens when it is cut."""

import contextlib
import hashlib
import signal
import threading
import time

import numpy as np
import pytest
from node_processes import running_agent

from benchmarks._cutting_proxy import CuttingProxy
from coordinator import provisioning
from coordinator.provisioning import send_shards, sending_lane
from node_agent.agent import Agent
from node_agent.client import NodeClient
from node_agent.config import AgentConfig
from node_agent.errors import BlobCorruptError, NodeUnreachableError
from node_agent.messages import BlobRef
from partitioner.shard import Blob, Shard

MEBIBYTE = 1 << 20


class Weights:
    """A model of which only weights are wanted."""

    def __init__(self, *sizes):
        draw = np.random.default_rng(len(sizes))
        self.contents = {hashlib.sha256(content).hexdigest(): content for content in map(draw.bytes, sizes)}
        graph = draw.bytes(2000)
        self.shard = Shard(
            start=0,
            stop=1,
            graph=graph,
            sha256=hashlib.sha256(graph).hexdigest(),
            blobs=tuple(Blob(sha256=sha256, n_bytes=len(content)) for sha256, content in self.contents.items()),
            receives=(),
            sends=(),
        )
        self.n_bytes = len(graph) + sum(sizes)

    def read_blob(self, sha256):
        return self.contents[sha256]

    @property
    def refs(self):
        return [BlobRef(sha256=sha256, n_bytes=len(content)) for sha256, content in self.contents.items()]


class Faulty:
    """A node that counts calls and is cut off after some bytes, as often as it is told to."""

    def __init__(self, node, cuts=()):
        self._node = node
        self._cuts = list(cuts)
        self.n_put_calls = 0
        self.n_calls = 0

    def missing_blobs(self, blobs):
        self.n_calls += 1
        return self._node.missing_blobs(blobs)

    def put_blobs(self, transfers):
        self.n_put_calls += 1
        left = self._cuts.pop(0) if self._cuts else None

        def passed(chunks):
            nonlocal left
            for chunk in chunks:
                if left is not None and left < len(chunk):
                    raise NodeUnreachableError("cut")
                left = None if left is None else left - len(chunk)
                yield chunk

        self._node.put_blobs((blob, passed(chunks)) for blob, chunks in transfers)


@pytest.fixture
def agent(tmp_path):
    opened = Agent(AgentConfig(name="n", store=tmp_path / "store"))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(provisioning, "RETRY_SECONDS", (0.0, 0.0, 0.0))


def test_many_small_blobs_take_one_call(agent):
    model, node = Weights(*range(1, 300)), Faulty(agent)
    assert send_shards(node, model, [model.shard, model.shard]) == model.n_bytes
    assert (node.n_calls, node.n_put_calls) == (1, 1)
    assert send_shards(node, model, [model.shard]) == 0
    assert node.n_put_calls == 1


def test_a_cut_transfer_goes_on_where_it_was(agent):
    model = Weights(5 * MEBIBYTE, 5 * MEBIBYTE)
    node = Faulty(agent, cuts=[8 * MEBIBYTE, MEBIBYTE])
    assert send_shards(node, model, [model.shard]) == model.n_bytes
    assert node.n_put_calls == 3
    assert agent.missing_blobs(model.refs) == ()


def test_a_transfer_that_gets_nowhere_is_given_up(agent):
    model = Weights(5 * MEBIBYTE)
    node = Faulty(agent, cuts=[0] * 100)
    with pytest.raises(NodeUnreachableError, match="cut"):
        send_shards(node, model, [model.shard])
    assert node.n_put_calls == 1 + len(provisioning.RETRY_SECONDS)


def test_as_many_cuts_as_there_is_progress_are_borne(agent):
    model = Weights(12 * MEBIBYTE)
    node = Faulty(agent, cuts=[0, 0, *[MEBIBYTE + 2000] * 11])
    assert send_shards(node, model, [model.shard]) == model.n_bytes


def test_a_beginning_that_was_altered_is_sent_anew(agent, tmp_path):
    model = Weights(5 * MEBIBYTE)
    (ref,) = model.refs
    with pytest.raises(NodeUnreachableError):
        send_shards(Faulty(agent, cuts=[3 * MEBIBYTE + 2000, 0, 0, 0, 0]), model, [model.shard])
    partial = tmp_path / "store" / f".partial-{ref.sha256}"
    content = bytearray(partial.read_bytes())
    content[77] ^= 1
    partial.write_bytes(content)
    assert send_shards(agent, model, [model.shard]) == 2 * MEBIBYTE + 5 * MEBIBYTE
    assert agent.missing_blobs(model.refs) == ()


def test_a_weight_that_is_not_what_its_digest_says_is_not_tried_again(agent):
    model = Weights(MEBIBYTE)
    (sha256,) = model.contents
    model.contents[sha256] = bytes(MEBIBYTE)
    node = Faulty(agent)
    with pytest.raises(BlobCorruptError, match=sha256):
        send_shards(node, model, [model.shard])
    assert node.n_put_calls == 1


def test_progress_tells_bytes_and_rate(agent):
    model, seen = Weights(3 * MEBIBYTE, 2 * MEBIBYTE), []
    show = sending_lane(lambda *shown: seen.append(shown), "pi-3")
    send_shards(agent, model, [model.shard], show)
    assert [done for _, done, _, _ in seen] == sorted(done for _, done, _, _ in seen)
    assert seen[-1][:3] == ("pi-3", 5, 5)
    assert seen[-1][3].startswith("MiB of weights, ")
    assert seen[-1][3].endswith(" MB/s")


def test_after_a_reset_only_the_rest_is_sent(tmp_path):
    model = Weights(24 * MEBIBYTE)
    (ref,) = model.refs
    content = model.read_blob(ref.sha256)
    with running_agent(tmp_path) as agent, CuttingProxy(agent.address) as proxy:

        def chunks():
            yield content[: 12 * MEBIBYTE]
            wait_for_bytes(tmp_path / "store", 8 * MEBIBYTE)  # what the kernel holds at a reset is lost
            proxy.cut_after(MEBIBYTE)
            yield content[12 * MEBIBYTE :]

        with NodeClient.connect(proxy.address) as client, pytest.raises(NodeUnreachableError):
            client.put_blob(ref, chunks())
        with NodeClient.connect(agent.address) as client:
            n_have = await_beginning(client, model.refs)
        assert 8 * MEBIBYTE <= n_have < 16 * MEBIBYTE
        with NodeClient.connect(proxy.address) as client:
            before = proxy.n_forwarded
            assert send_shards(client, model, [model.shard]) == model.n_bytes - n_have
            assert proxy.n_forwarded - before < 1.02 * (model.n_bytes - n_have) + 10_000
            assert client.missing_blobs(model.refs) == ()


def await_beginning(client, refs, seconds=10):
    """Bytes that the node has of the one blob that is missing, once it has noticed the cut."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        (missing,) = client.missing_blobs(refs)
        if missing.n_have:
            return missing.n_have
        time.sleep(0.01)
    raise AssertionError("nothing was kept")


def test_cuts_on_the_way_are_not_the_callers_affair(tmp_path, monkeypatch):
    monkeypatch.setattr(provisioning, "RETRY_SECONDS", (0.2, 0.4, 0.8))
    model = Weights(*[6 * MEBIBYTE] * 4)
    with (
        running_agent(tmp_path) as agent,
        CuttingProxy(agent.address) as proxy,
        NodeClient.connect(proxy.address) as client,
    ):

        def keep_in_step(progress):
            """Until the cut, hands over no more than the node keeps up with: what is under way then is lost."""
            wait_for_bytes(tmp_path / "store", progress.sent_bytes - 4 * MEBIBYTE, unless=lambda: proxy.n_cuts)

        proxy.cut_after(10 * MEBIBYTE)
        sent = send_shards(client, model, [model.shard], keep_in_step)
        assert proxy.n_cuts == 1
        assert model.n_bytes <= sent < model.n_bytes + 8 * MEBIBYTE
        assert client.missing_blobs(model.refs) == ()


def test_what_a_killed_agent_had_is_not_sent_again(tmp_path):
    model = Weights(24 * MEBIBYTE)
    (ref,) = model.refs
    content = model.read_blob(ref.sha256)
    half_is_sent, is_killed = threading.Event(), threading.Event()

    def chunks():
        yield content[: 12 * MEBIBYTE]
        half_is_sent.set()
        is_killed.wait(20)
        yield content[12 * MEBIBYTE :]

    with running_agent(tmp_path) as agent, NodeClient.connect(agent.address) as client:
        errors = []

        def put():
            try:
                client.put_blob(ref, chunks())
            except NodeUnreachableError as exc:
                errors.append(exc)

        thread = threading.Thread(target=put)
        thread.start()
        assert half_is_sent.wait(20)
        wait_for_bytes(tmp_path / "store", 8 * MEBIBYTE)
        agent.process.send_signal(signal.SIGKILL)
        is_killed.set()
        thread.join(20)
        assert errors
    with running_agent(tmp_path) as agent, NodeClient.connect(agent.address) as client:
        (missing,) = client.missing_blobs((ref,))
        assert missing.n_have >= 8 * MEBIBYTE
        assert send_shards(client, model, [model.shard]) == model.n_bytes - missing.n_have


def wait_for_bytes(folder, n_bytes, seconds=10, unless=lambda: False):
    deadline = time.monotonic() + seconds
    while not unless() and bytes_in(folder) < n_bytes:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def bytes_in(folder):
    """Files come and go while an agent works."""
    n_bytes = 0
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            n_bytes += path.stat().st_size
    return n_bytes


@pytest.mark.slow
def test_after_a_silent_cut_only_the_rest_is_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(provisioning, "RETRY_SECONDS", (0.2, 0.4, 0.8))
    model = Weights(48 * MEBIBYTE)
    with (
        running_agent(tmp_path) as agent,
        CuttingProxy(agent.address) as proxy,
        NodeClient.connect(proxy.address) as client,
    ):
        proxy.fall_silent_after(40 * MEBIBYTE)
        sent = send_shards(client, model, [model.shard])
        assert proxy.n_cuts == 1
        assert sent < model.n_bytes + 30 * MEBIBYTE  # what was under way is lost, not what had come
        assert client.missing_blobs(model.refs) == ()
