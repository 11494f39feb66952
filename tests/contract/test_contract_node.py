"""What every node promises, whether it is here, behind a connection, or another process."""

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace

import grpc
import pytest
from node_processes import running_agent
from node_shards import blob_of, matmul_shard, spec

from node_agent.agent import Agent
from node_agent.api import PROTOCOL_MAX, PROTOCOL_MIN
from node_agent.client import NodeClient
from node_agent.config import AgentConfig
from node_agent.errors import (
    BlobCorruptError,
    BlobMissingError,
    CodecMissingError,
    NodeUnreachableError,
    ProtocolMismatchError,
    RequestRejectedError,
    ShardRejectedError,
    StoreFullError,
)
from node_agent.limits import Limits
from node_agent.messages import (
    BlobRef,
    CodecProfileRequest,
    NextHop,
    ProbeRequest,
    ProfileProgress,
    ProfileRequest,
    ProfileSegment,
    SegmentSamples,
    ShardRef,
)
from node_agent.server import AgentServer
from node_agent.service import negotiate
from node_agent.wire import agent_pb2, agent_pb2_grpc
from node_agent.wire_codec import to_wire
from node_agent.wire_errors import errors_to_status

QUOTA = 16 << 20


class Local:
    """The agent itself, and its address."""

    def __init__(self, folder, stack):
        agent = Agent(AgentConfig(name="n", store=folder, limits=Limits(disk_bytes=QUOTA)))
        server = AgentServer(agent)
        stack.callback(server.stop)
        self.node, self.address = agent, str(server.address)


class InProcess(Local):
    """A client of an agent in this process."""

    def __init__(self, folder, stack):
        super().__init__(folder, stack)
        self.node = stack.enter_context(NodeClient.connect(self.address))


class Process:
    """A client of an agent that is a process of its own."""

    def __init__(self, folder, stack):
        agent = stack.enter_context(running_agent(folder, "--name", "n", "--quota", "16MiB"))
        self.node, self.address = stack.enter_context(NodeClient.connect(agent.address)), agent.address


@pytest.fixture(scope="module", params=[Local, InProcess, Process], ids=lambda kind: kind.__name__)
def place(request, tmp_path_factory):
    with ExitStack() as stack:
        yield request.param(tmp_path_factory.mktemp("place"), stack)


@pytest.fixture
def node(place):
    yield place.node
    for stage in place.node.list_stages():
        place.node.unload_stage(stage.deployment)


class TestNode:
    """The contract of `node_agent.api.Node`."""

    def test_describe_says_what_the_node_is(self, node):
        described = node.describe()
        assert described.name == "n"
        assert described.protocol == PROTOCOL_MAX
        assert described.runtime.startswith("onnxruntime ")
        assert described.providers == ("CPUExecutionProvider",)
        assert described.n_threads == 1
        assert described.slowdown == 0
        assert 0 < described.resident_bytes < described.memory_bytes
        assert described.n_cores >= 1
        assert described.cpu
        assert described.machine
        assert described.python.startswith("3.")
        assert len(described.host_id) == 16
        assert described.optimisation == "all"
        assert described.cores
        assert len(described.cores) == described.n_cores
        assert described.cpu_limit >= 0
        assert described.temperature_class in ("", "cool", "warm", "hot")
        assert described.energy_meter in ("", "rapl")
        assert described.trials.startswith("limited")
        assert described.codecs == ("none", "float16", "int8", "zstd", "lz4")

    def test_status_follows_what_happens(self, node):
        before = node.status()
        shard = matmul_shard(seed=100)
        shard.put_into(node)
        node.load_stage(shard.load())
        after = node.status()
        assert after.uptime_seconds > before.uptime_seconds
        assert after.store_bytes == before.store_bytes + sum(map(len, shard.contents.values()))
        assert after.store_quota_bytes == QUOTA
        assert (before.n_stages, after.n_stages) == (0, 1)
        assert after.temperature_celsius >= 0
        assert after.joules >= before.joules >= 0
        assert all(warning.endswith(".") for warning in after.warnings)

    def test_blobs_are_asked_for_and_put_once(self, node):
        content = b"some content" * 1000
        blob = blob_of(content)
        other = blob_of(b"never put")
        assert node.missing_blobs((blob, other)) == (blob, other)
        node.put_blob(blob, (content[:5], content[5:]))
        node.put_blob(blob, (content,))
        assert node.missing_blobs((blob, other)) == (other,)
        assert node.missing_blobs(()) == ()

    def test_an_empty_blob_is_a_blob(self, node):
        node.put_blob(blob_of(b""), ())
        assert node.missing_blobs((blob_of(b""),)) == ()

    def test_a_blob_of_several_messages_arrives(self, node):
        content = bytes(range(256)) * (9 << 10)
        node.put_blob(blob_of(content), (content,))
        assert node.missing_blobs((blob_of(content),)) == ()

    @pytest.mark.parametrize("content", [b"Another", b"announce", b"announced!"])
    def test_wrong_content_is_refused_and_not_kept(self, node, content):
        blob = BlobRef(sha256=hashlib.sha256(b"announced").hexdigest(), n_bytes=9)
        with pytest.raises(BlobCorruptError, match=blob.sha256):
            node.put_blob(blob, (content,))
        assert node.missing_blobs((blob,)) == (blob,)

    @pytest.mark.parametrize("place_of_byte", [0.0, 0.5, 1.0])
    def test_a_shard_with_one_flipped_byte_is_refused_and_nothing_of_it_kept(self, node, place_of_byte):
        shard = matmul_shard(seed=104)
        for sha256, content in shard.contents.items():
            blob, flipped = BlobRef(sha256=sha256, n_bytes=len(content)), bytearray(content)
            flipped[round(place_of_byte * (len(content) - 1))] ^= 0xFF
            with pytest.raises(BlobCorruptError, match=f"Blob {sha256} has content of digest .*: send it again"):
                node.put_blob(blob, (bytes(flipped),))
            assert node.missing_blobs((blob,)) == (blob,)
        with pytest.raises(BlobMissingError):
            node.load_stage(shard.load())

    def test_blobs_come_one_after_another_and_known_ones_are_skipped(self, node):
        contents = [bytes([number]) * n_bytes for number, n_bytes in enumerate((0, 5, 3 << 20, 1000, 2 << 20))]
        blobs = [blob_of(content) for content in contents]
        node.put_blob(blobs[3], (contents[3],))
        node.put_blobs((blob, (content,)) for blob, content in zip(blobs, contents, strict=True))
        assert node.missing_blobs(blobs) == ()
        node.put_blobs(())

    def test_blobs_before_one_that_is_refused_are_stored(self, node):
        contents = [b"first " * 20, b"second " * 20, b"third " * 20]
        first, second, third = map(blob_of, contents)
        with pytest.raises(BlobCorruptError, match=second.sha256):
            node.put_blobs(((first, contents[:1]), (second, (b"S" + contents[1][1:],)), (third, contents[2:])))
        assert node.missing_blobs((first, second, third)) == (second, third)

    def test_content_that_is_to_follow_what_is_not_there_is_refused(self, node):
        blob = blob_of(b"announced " * 9)
        with pytest.raises(BlobCorruptError, match="goes on at 9 bytes, which are not there"):
            node.put_blob(replace(blob, n_have=9), (b" nounced" * 8,))
        assert node.missing_blobs((blob,)) == (blob,)

    def test_what_breaks_the_chunks_is_the_callers(self, node):
        content = bytes(2 << 20)
        blob = blob_of(content)

        def broken():
            yield content[: 1 << 20]
            raise KeyError("the sender breaks")

        with pytest.raises(KeyError, match="the sender breaks"):
            node.put_blob(blob, broken())
        (missing,) = node.missing_blobs((blob,))
        node.put_blob(missing, (content[missing.n_have :],))

    def test_a_blob_that_is_too_big_is_refused(self, node):
        blob = BlobRef(sha256="0" * 64, n_bytes=QUOTA + 1)
        with pytest.raises(StoreFullError, match=str(QUOTA)):
            node.put_blob(blob, (b"",))

    @pytest.mark.parametrize("sha256", ["", "../../etc/passwd", "F" * 64])
    def test_a_digest_that_is_none_is_rejected(self, node, sha256):
        blob = BlobRef(sha256=sha256, n_bytes=1)
        with pytest.raises(RequestRejectedError, match="no sha256"):
            node.missing_blobs((blob,))
        with pytest.raises(RequestRejectedError, match="no sha256"):
            node.put_blob(blob, (b"a",))

    def test_a_stage_is_loaded_listed_replaced_and_unloaded(self, node):
        shard = matmul_shard(seed=101)
        shard.put_into(node)
        loaded = node.load_stage(shard.load(epoch=3))
        assert loaded.session_seconds > 0
        assert loaded.memory_bytes >= 0
        node.load_stage(shard.load(epoch=3))
        (stage,) = node.list_stages()
        assert (stage.deployment, stage.epoch, stage.stage, stage.n_frames, stage.n_queued) == ("d", 3, 0, 0, 0)
        assert (stage.shard_sha256, stage.failure) == (shard.ref.graph.sha256, "")
        node.load_stage(shard.load(deployment="other"))
        assert len(node.list_stages()) == 2
        assert node.unload_stage("d") == 1
        assert node.unload_stage("d") == 0
        assert [stage.deployment for stage in node.list_stages()] == ["other"]

    def test_two_epochs_live_side_by_side_until_one_is_unloaded(self, node):
        shard = matmul_shard(seed=101)
        shard.put_into(node)
        for epoch in (3, 4, 5):
            node.load_stage(shard.load(epoch=epoch))
        assert sorted(stage.epoch for stage in node.list_stages()) == [3, 4, 5]
        assert node.unload_stage("d", last_epoch=3) == 1
        assert node.unload_stage("d", first_epoch=5) == 1
        assert [stage.epoch for stage in node.list_stages()] == [4]
        assert node.unload_stage("d", first_epoch=5, last_epoch=9) == 0
        assert node.unload_stage("d", last_epoch=0) == 0

    def test_stages_are_freed_when_nobody_renews_their_lease(self, node):
        shard = matmul_shard(seed=101)
        shard.put_into(node)
        node.load_stage(shard.load(deployment="kept"))
        node.load_stage(shard.load(deployment="renewed", lease_seconds=1.0))
        node.load_stage(shard.load(deployment="orphan", lease_seconds=0.2))
        ends_at = time.monotonic() + 20
        while len(node.list_stages()) == 3 and time.monotonic() < ends_at:
            node.status(renew=("renewed", "unknown"))
            time.sleep(0.05)
        assert sorted(stage.deployment for stage in node.list_stages()) == ["kept", "renewed"]

    def test_a_node_says_which_process_it_is(self, node):
        assert node.status().instance == node.status().instance != ""

    def test_an_epoch_that_is_replayed_comes_too_late(self, node):
        shard = matmul_shard(seed=101)
        shard.put_into(node)
        for epoch in (2, 3):
            node.load_stage(shard.load(epoch=epoch))
        node.unload_stage("d", last_epoch=2)
        with pytest.raises(RequestRejectedError, match=r"is at epoch 3: an order of epoch 2 comes too late"):
            node.load_stage(shard.load(epoch=2))
        assert [stage.epoch for stage in node.list_stages()] == [3]

    def test_a_stage_without_its_blobs_is_refused(self, node):
        shard = matmul_shard(seed=102)
        with pytest.raises(BlobMissingError, match=shard.ref.graph.sha256):
            node.load_stage(shard.load())
        assert node.list_stages() == ()

    def test_what_is_no_graph_is_rejected_and_the_former_stage_stays(self, node):
        shard = matmul_shard(seed=103)
        shard.put_into(node)
        node.load_stage(shard.load())
        content = b"no graph"
        node.put_blob(blob_of(content), (content,))
        with pytest.raises(ShardRejectedError, match=blob_of(content).sha256):
            node.load_stage(replace(shard.load(epoch=2), shard=ShardRef(graph=blob_of(content))))
        assert [stage.epoch for stage in node.list_stages()] == [1]

    def test_tensors_that_nobody_has_are_rejected(self, node):
        shard = matmul_shard(seed=103)
        shard.put_into(node)
        with pytest.raises(ShardRejectedError, match="'skip' is neither made nor received"):
            node.load_stage(shard.load(sends=(spec("skip", (1,)),)))

    def test_an_order_that_makes_no_sense_is_rejected_with_all_its_faults(self, node):
        with pytest.raises(RequestRejectedError, match=r"stage 2 is none of 2.*queue_limit"):
            node.load_stage(matmul_shard().load(stage=2, n_stages=2, queue_limit=0, next_address="a:1"))

    def test_a_next_node_that_is_not_there_is_named(self, node):
        shard = matmul_shard(seed=103)
        shard.put_into(node)
        with pytest.raises(NodeUnreachableError, match=r"127\.0\.0\.1:1"):
            node.load_stage(shard.load(n_stages=2, next_address="127.0.0.1:1"))

    def test_every_node_after_a_stage_must_be_there(self, node):
        shard = matmul_shard(seed=103)
        shard.put_into(node)
        hops = tuple(NextHop(address=f"127.0.0.1:{port}") for port in (1, 2))
        with pytest.raises(NodeUnreachableError, match=r"127\.0\.0\.1:1"):
            node.load_stage(shard.load(n_stages=2, next_hops=hops))

    def test_a_codec_that_the_node_lacks_is_named(self, node):
        shard = matmul_shard(seed=103)
        shard.put_into(node)
        with pytest.raises(CodecMissingError, match=r"'rot13'.*none, float16, int8"):
            node.load_stage(shard.load(n_stages=2, next_address="127.0.0.1:1", codec="rot13"))

    def test_a_profile_gives_each_sample_of_each_segment_once(self, node):
        shards = [matmul_shard(seed) for seed in (104, 105)]
        for shard in shards:
            shard.put_into(node)
        segments = tuple(ProfileSegment(name=f"s{index}", shard=shard.ref) for index, shard in enumerate(shards))
        events = list(node.profile(ProfileRequest(segments=segments, n_rounds=2000, budget_seconds=60, seed=1)))
        assert isinstance(events[-1], ProfileProgress)
        assert events[-1].n_done == events[-1].n_total == 2 * 2001
        for name in ("s0", "s1"):
            samples = [event for event in events if isinstance(event, SegmentSamples) and event.name == name]
            assert len(samples) > 1, "they come while it works"
            assert all(sample.seconds for sample in samples)
            seconds = [second for sample in samples for second in sample.seconds]
            assert len(seconds) == 2000
            assert min(seconds) > 0
            assert len({(sample.session_seconds, sample.memory_bytes) for sample in samples}) == 1

    def test_a_profile_ends_early_where_the_times_are_clear(self, node):
        shard = matmul_shard(seed=104)
        shard.put_into(node)
        segments = (ProfileSegment(name="s", shard=shard.ref),)
        request = ProfileRequest(segments=segments, n_rounds=100_000, budget_seconds=60, seed=1, tolerance=0.5)
        *_, samples, progress = node.profile(request)
        assert 6 <= len(samples.seconds) < 1000
        assert progress.what == "1 of 1 segments are tight"
        assert progress.n_done == progress.n_total

    def test_what_came_of_a_profile_that_is_broken_off_is_measured(self, node):
        shard = matmul_shard(seed=104)
        shard.put_into(node)
        segments = (ProfileSegment(name="s", shard=shard.ref),)
        events = node.profile(ProfileRequest(segments=segments, n_rounds=100_000, budget_seconds=600, seed=1))
        samples = next(event for event in events if isinstance(event, SegmentSamples))
        events.close()
        assert samples.seconds
        assert min(samples.seconds) > 0

    def test_a_profile_can_be_broken_off(self, node):
        shard = matmul_shard(seed=104)
        shard.put_into(node)
        segments = (ProfileSegment(name="s", shard=shard.ref),)
        for _ in range(3):
            events = node.profile(ProfileRequest(segments=segments, n_rounds=100_000, budget_seconds=600, seed=1))
            assert isinstance(next(events), ProfileProgress)
            events.close()

    def test_a_profile_of_nothing_is_rejected(self, node):
        with pytest.raises(RequestRejectedError, match="no segments"):
            list(node.profile(ProfileRequest(segments=(), n_rounds=1, budget_seconds=1, seed=1)))

    @pytest.mark.parametrize("tolerance", [-0.1, 1.0, float("nan")])
    def test_a_tolerance_that_is_none_is_rejected(self, node, tolerance):
        segments = (ProfileSegment(name="s", shard=matmul_shard(seed=104).ref),)
        with pytest.raises(RequestRejectedError, match="tolerance must be 0 or more and below 1"):
            list(
                node.profile(
                    ProfileRequest(segments=segments, n_rounds=1, budget_seconds=1, seed=1, tolerance=tolerance)
                )
            )

    def test_a_profile_without_its_blobs_is_refused(self, node):
        segments = (ProfileSegment(name="s", shard=matmul_shard(seed=106).ref),)
        with pytest.raises(BlobMissingError):
            list(node.profile(ProfileRequest(segments=segments, n_rounds=1, budget_seconds=1, seed=1)))

    def test_a_link_is_probed(self, node, place):
        request = ProbeRequest(
            target_address=place.address, link=None, link_back=None, sizes_bytes=(10, 1000), n_rounds=3
        )
        samples = node.probe_link(request)
        assert sorted(sample.n_bytes for sample in samples) == [10] * 3 + [1000] * 3
        assert all(sample.round_trip_seconds > 0 for sample in samples)
        with pytest.raises(NodeUnreachableError, match=r"127\.0\.0\.1:1"):
            node.probe_link(replace(request, target_address="127.0.0.1:1"))
        with pytest.raises(RequestRejectedError, match="rounds × sizes"):
            node.probe_link(replace(request, n_rounds=0))

    def test_codecs_are_timed(self, node):
        request = CodecProfileRequest(codecs=("int8", "zstd"), dtype="float32", sizes_bytes=(400, 40_000), n_rounds=3)
        samples = node.profile_codecs(request)
        assert sorted((sample.codec, sample.n_bytes) for sample in samples) == sorted(
            (codec, size) for codec in ("int8", "zstd") for size in (400, 40_000) for _ in range(3)
        )
        assert all(sample.encode_seconds > 0 and sample.decode_seconds > 0 for sample in samples)
        assert {sample.wire_bytes for sample in samples if sample.codec == "int8"} == {116, 10_016}

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"sizes_bytes": ()}, "rounds × sizes × codecs"),
            ({"n_rounds": 10_000}, "rounds × sizes × codecs"),
            ({"sizes_bytes": (8,)}, "8 bytes is outside"),
            ({"sizes_bytes": (1 << 40,)}, "is outside"),
            ({"dtype": "object", "n_rounds": 0}, "'object' cannot travel; rounds"),
            ({"sizes_bytes": (1 << 28,), "n_rounds": 100}, "all tensors together"),
        ],
        ids=lambda value: value if isinstance(value, str) else ",".join(value),
    )
    def test_a_codec_profile_that_makes_no_sense_is_rejected(self, node, changes, words):
        request = CodecProfileRequest(codecs=("int8", "zstd"), dtype="float32", sizes_bytes=(400,), n_rounds=3)
        with pytest.raises(RequestRejectedError, match=words):
            node.profile_codecs(replace(request, **changes))

    def test_a_codec_that_nobody_has_is_refused_with_those_of_the_node(self, node):
        request = CodecProfileRequest(codecs=("gzip",), dtype="float32", sizes_bytes=(400,), n_rounds=1)
        with pytest.raises(CodecMissingError, match=r"'gzip'.*float16, int8"):
            node.profile_codecs(request)


def test_a_client_of_another_protocol_is_refused_with_both_ranges(place):
    wanted = agent_pb2.DescribeRequest(protocol_min=7, protocol_max=9)
    with grpc.insecure_channel(place.address) as channel:
        stub = agent_pb2_grpc.NodeStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Describe(wanted, timeout=10)
    assert "the node is older" in refused.value.details()
    assert "7 to 9" in refused.value.details()
    assert ("splitfront-error", "ProtocolMismatchError") in refused.value.trailing_metadata()


class NewerNode(agent_pb2_grpc.NodeServicer):
    """Answers with a protocol that nobody asked for."""

    def Describe(self, request, context):  # noqa: N802 - gRPC's name
        return agent_pb2.NodeDescription(name="newer", protocol=PROTOCOL_MAX + 1)


def test_a_node_of_another_protocol_is_refused_by_the_client():
    server = grpc.server(ThreadPoolExecutor(2))
    agent_pb2_grpc.add_NodeServicer_to_server(NewerNode(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(ProtocolMismatchError, match=rf"protocol {PROTOCOL_MAX + 1}, this client .*client is older"):
        NodeClient.connect(f"127.0.0.1:{port}")
    server.stop(0).wait()


class OlderNode(agent_pb2_grpc.NodeServicer):
    """Refuses as a node does whose newest protocol is older than ours."""

    def Describe(self, request, context):  # noqa: N802 - gRPC's name
        with errors_to_status(context, "Describe"):
            negotiate(request.protocol_min, request.protocol_max, (0, PROTOCOL_MIN - 1))


def test_a_node_that_is_older_is_refused_with_what_to_do():
    server = grpc.server(ThreadPoolExecutor(2))
    agent_pb2_grpc.add_NodeServicer_to_server(OlderNode(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(ProtocolMismatchError, match="the node 0 to 0: the node is older, upgrade splitfront there"):
        NodeClient.connect(f"127.0.0.1:{port}")
    server.stop(0).wait()


def test_what_is_no_node_is_told_so():
    server = grpc.server(ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.raises(ProtocolMismatchError, match="is no node"):
        NodeClient.connect(f"127.0.0.1:{port}")
    server.stop(0).wait()


def test_an_address_that_is_none_is_rejected():
    with pytest.raises(RequestRejectedError, match="want HOST:PORT"):
        NodeClient.connect("nowhere")


def test_a_transfer_that_is_cancelled_goes_on_where_it_was(tmp_path):
    content = bytes(3 << 20)
    blob = blob_of(content)
    half_is_sent, go_on = threading.Event(), threading.Event()

    def messages():
        yield agent_pb2.BlobChunk(blob=to_wire(blob), content=content[: 1 << 20])
        half_is_sent.set()
        go_on.wait(10)

    with ExitStack() as stack:
        place = Process(tmp_path, stack)
        store = tmp_path / "store"
        with grpc.insecure_channel(place.address) as channel:
            call = agent_pb2_grpc.NodeStub(channel).PutBlob.future(messages())
            assert half_is_sent.wait(10)
            wait_for(lambda: sum(path.stat().st_size for path in store.iterdir()) == 1 << 20)
            call.cancel()
            go_on.set()
        wait_for(lambda: {path.name for path in store.iterdir()} == {".lock", f".partial-{blob.sha256}"})
        (missing,) = place.node.missing_blobs((blob,))
        assert missing.n_have == 1 << 20
        place.node.put_blob(missing, (content[missing.n_have :],))
        assert {path.name for path in store.iterdir()} == {".lock", blob.sha256}


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
