"""Whoever may push shards may push rubbish: an agent refuses it, keeps within its limits, and goes on."""

import threading
import time
from contextlib import suppress

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hostile_models import hostile_models, is_one_line, truncations
from node_processes import running_agent
from node_shards import blob_of, matmul_shard

from node_agent.client import NodeClient
from node_agent.errors import NodeError, ShardRejectedError
from node_agent.messages import ShardRef, StageLoad

MEMORY_LIMIT = 512 << 20
HELPER_BYTES = 192 << 20
"""Of the helper and a trial with nothing in it, whose pages count twice here, and what grows between two looks."""
SECONDS = 5.0
"""In which each model is refused, or taken without harm."""
MODELS = hostile_models()
SLOW = pytest.mark.slow


class TreeWatch(threading.Thread):
    """Most memory that an agent, its helper and a trial had resident together, while it is watched."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._agent = psutil.Process(pid)
        self._ended = threading.Event()
        self.peak = 0

    def run(self):
        while not self._ended.wait(0.005):
            total = 0
            for process in (self._agent, *self._agent.children(recursive=True)):
                with suppress(psutil.Error):
                    total += process.memory_info().rss
            self.peak = max(self.peak, total)

    def stop(self):
        self._ended.set()
        self.join()
        return self.peak


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    words = ("--max-memory", str(MEMORY_LIMIT), "--trial-seconds", "1")
    with running_agent(tmp_path_factory.mktemp("victim"), "--name", "victim", *words) as started:
        yield started


@pytest.fixture(scope="module")
def client(agent):
    with NodeClient.connect(agent.address) as connected:
        good = matmul_shard()
        good.put_into(connected)
        connected.load_stage(good.load(deployment="first"))
        connected.unload_stage("first")
        yield connected


def push(client, content, blobs=()):
    for part in (content, *blobs):
        client.put_blob(blob_of(part), (part,))
    shard = ShardRef(graph=blob_of(content), blobs=tuple(map(blob_of, blobs)))
    good = matmul_shard()
    client.load_stage(
        StageLoad(deployment="bad", epoch=1, stage=0, n_stages=1, shard=shard, receives=good.receives, sends=good.sends)
    )


def check_well(agent, client):
    """The same process answers a health check and takes a good shard that it has not seen."""
    assert agent.process.poll() is None
    with grpc.insecure_channel(agent.address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=""), timeout=5)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    good = matmul_shard(seed=time.monotonic_ns() % 2**31)
    good.put_into(client)
    client.load_stage(good.load(deployment="good"))
    assert [stage.deployment for stage in client.list_stages() if stage.deployment == "good"] == ["good"]
    client.unload_stage("good")
    client.unload_stage("bad")


@pytest.mark.parametrize(
    "model", [pytest.param(model, id=model.name, marks=() if model.is_quick else (SLOW,)) for model in MODELS]
)
def test_a_hostile_model_is_refused_or_does_no_harm(agent, client, model):
    watch = TreeWatch(agent.process.pid)
    watch.start()
    started = time.monotonic()
    try:
        push(client, model.content, model.blobs)
        said = ""
    except NodeError as exc:
        said = exc
    seconds, peak = time.monotonic() - started, watch.stop()
    if model.words:
        with pytest.raises(ShardRejectedError, match=model.words):
            raise said or AssertionError("it was taken")
    assert is_one_line(str(said))
    assert seconds <= SECONDS
    assert peak <= MEMORY_LIMIT + HELPER_BYTES
    check_well(agent, client)


def test_there_are_enough_of_them():
    assert len({model.content for model in MODELS}) >= 40
    assert sum(model.is_quick for model in MODELS) >= 12


@pytest.mark.parametrize("n", [12, pytest.param(100, marks=SLOW)])
def test_a_graph_that_is_cut_off_anywhere_is_refused(agent, client, n):
    for content in truncations(n):
        with pytest.raises(ShardRejectedError) as refused:
            push(client, content)
        assert is_one_line(str(refused.value))
    check_well(agent, client)
