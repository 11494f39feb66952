"""Pipelines of real agents: separate processes, real sockets, outputs compared with onnxruntime run here."""

import os
import queue
import signal
import threading
import time
from contextlib import suppress

import grpc
import numpy as np
import onnxruntime
import psutil
import pytest
from node_processes import running_agent
from node_shards import build_shard, failing_shard, matmul_shard, spec
from onnx import helper

from node_agent.client import NodeClient
from node_agent.dataplane.frame import encode
from node_agent.dataplane.grpc_link import SERVICE
from node_agent.dataplane.plane import open_sender, subscribe
from node_agent.dataplane.planes import PLANES, data_address
from node_agent.errors import FrameError, NodeUnreachableError, StageFailedError, StageMissingError
from node_agent.messages import (
    ErrorFrame,
    LinkEmulation,
    ProbeFrame,
    ProbeRequest,
    StageTrace,
    SubscribeFrame,
    TensorFrame,
)

PACE = 0.02


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """Clients of three agents that emulate devices, so that paces are kept."""
    folder = tmp_path_factory.mktemp("nodes")
    with (
        running_agent(folder / "0", "--name", "pi-0", "--slowdown", "2") as first,
        running_agent(folder / "1", "--name", "pi-1", "--slowdown", "2") as second,
        running_agent(folder / "2", "--name", "pi-2", "--slowdown", "2") as third,
        NodeClient.connect(first.address) as one,
        NodeClient.connect(second.address) as two,
        NodeClient.connect(third.address) as three,
    ):
        yield one, two, three


@pytest.fixture(params=PLANES)
def plane(request):
    return request.param


def at(client, plane):
    """Where a node listens for a plane."""
    return data_address(client.address, client.describe(), plane)


class Pipeline:
    """Shards on nodes, one after the other, and the two streams of the client."""

    def __init__(
        self, plane, clients, shards, deployment, *, epoch=1, links=None, link_back=None, sends=None, **changes
    ):
        self.deployment, self.epoch, self.clients = deployment, epoch, clients
        for stage in reversed(range(len(shards))):
            shards[stage].put_into(clients[stage])
            is_last = stage == len(shards) - 1
            clients[stage].load_stage(
                shards[stage].load(
                    deployment=deployment,
                    epoch=epoch,
                    stage=stage,
                    n_stages=len(shards),
                    next_address="" if is_last else at(clients[stage + 1], plane),
                    next_plane=plane,
                    link=None if is_last or not links else links[stage],
                    **changes | ({} if sends is None else sends[stage]),
                )
            )
        self.results = subscribe(
            plane, at(clients[-1], plane), SubscribeFrame(deployment=deployment, epoch=epoch, link_back=link_back)
        )
        self.sender = open_sender(plane, at(clients[0], plane))

    def send(self, request, **tensors):
        frame = TensorFrame(
            deployment=self.deployment, epoch=self.epoch, request=request, stage=0, tensors=tuple(tensors.items())
        )
        self.sender.send(frame)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sender.close()
        self.results.close()
        for client in self.clients:
            try:
                client.unload_stage(self.deployment)
            except NodeUnreachableError:
                continue


def local_outputs(folder, shards, tensors):
    """Chained outputs of plain onnxruntime sessions."""
    for shard in shards:
        session = onnxruntime.InferenceSession(shard.write_into(folder))
        feeds = {argument.name: tensors[argument.name] for argument in session.get_inputs()}
        names = [argument.name for argument in session.get_outputs()]
        tensors = tensors | dict(zip(names, session.run(names, feeds), strict=True))
    return tensors


def chain(n_stages):
    """Stages that fit each other: x → t1 → … ."""
    names = ["x", *(f"t{index}" for index in range(1, n_stages + 1))]
    return [
        matmul_shard(seed=index, n_in=32, n_out=32, source=names[index], target=names[index + 1])
        for index in range(n_stages)
    ]


def x_of(request):
    return np.random.default_rng(request).standard_normal((2, 32), dtype=np.float32)


@pytest.mark.parametrize("n_stages", [1, 2, 3])
def test_outputs_equal_those_of_plain_onnxruntime(nodes, tmp_path, n_stages, plane):
    shards = chain(n_stages)
    with Pipeline(plane, nodes[:n_stages], shards, f"equal{n_stages}") as pipeline:
        for request in range(20):
            pipeline.send(request, x=x_of(request))
        for request in range(20):
            frame = next(pipeline.results)
            assert (frame.request, frame.stage, frame.epoch) == (request, n_stages, 1)
            want = local_outputs(tmp_path, shards, {"x": x_of(request)})[f"t{n_stages}"]
            ((name, values),) = frame.tensors
            assert name == f"t{n_stages}"
            np.testing.assert_array_equal(values, want)
            assert [trace.stage for trace in frame.trace] == list(range(n_stages))
            assert all(trace.compute_seconds > 0 and trace.encode_seconds > 0 for trace in frame.trace)
        for client in nodes[:n_stages]:
            (status,) = client.list_stages()
            assert (status.n_frames, status.n_errors, status.n_queued) == (20, 0, 0)
            assert status.sent_bytes > 20 * 256
            assert status.send_seconds > 0


def test_tensors_that_a_later_stage_needs_are_relayed(nodes, tmp_path, plane):
    first, middle = matmul_shard(1, 32, 32, "x", "h"), matmul_shard(2, 32, 32, "h", "g")
    add = build_shard(
        [helper.make_node("Add", ["g", "skip"], ["y"])],
        (spec("g", (2, 32)), spec("skip", (2, 32))),
        (spec("y", (2, 32)),),
    )
    skip = spec("skip", (2, 32))
    sends = (
        {"receives": (*first.receives, skip), "sends": (*first.sends, skip)},
        {"receives": (*middle.receives, skip), "sends": (skip, *middle.sends)},
        {"receives": (skip, *middle.sends)},
    )
    with Pipeline(plane, nodes, [first, middle, add], "relay", sends=sends) as pipeline:
        x, other = x_of(0), x_of(1)
        pipeline.send(0, x=x, skip=other)
        ((_, found),) = next(pipeline.results).tensors
    want = local_outputs(tmp_path, [first, middle, add], {"x": x, "skip": other})["y"]
    np.testing.assert_array_equal(found, want)


def test_two_stages_may_lie_on_one_node(nodes, tmp_path, plane):
    shards = chain(3)
    with Pipeline(plane, (nodes[0], nodes[1], nodes[0]), shards, "there and back") as pipeline:
        pipeline.send(0, x=x_of(0))
        ((_, found),) = next(pipeline.results).tensors
        assert [stage.stage for stage in nodes[0].list_stages()] == [2, 0]
        assert nodes[0].unload_stage("there and back") == 2
    np.testing.assert_array_equal(found, local_outputs(tmp_path, shards, {"x": x_of(0)})["t3"])


def test_large_frames_pass(nodes, plane):
    n_values = 4 << 20
    copy = build_shard([helper.make_node("Neg", ["x"], ["y"])], (spec("x", (n_values,)),), (spec("y", (n_values,)),))
    with Pipeline(plane, nodes[:1], [copy], "large") as pipeline:
        x = np.arange(n_values, dtype=np.float32)
        for request in range(3):
            pipeline.send(request, x=x)
        for _ in range(3):
            np.testing.assert_array_equal(next(pipeline.results).tensors[0][1], -x)


def run_window(pipeline, n_requests, window):
    """Results per second between the first and the last one, with `window` requests in flight."""
    times = []
    for request in range(window):
        pipeline.send(request, x=x_of(0))
    for request in range(n_requests):
        frame = next(pipeline.results)
        assert frame.request == request
        times.append(time.perf_counter())
        if request + window < n_requests:
            pipeline.send(request + window, x=x_of(0))
    return (n_requests - 1) / (times[-1] - times[0])


def best_of_three(measure, is_enough):
    """The best of up to three measurements: a busy machine can only make a pipeline look slower than it is."""
    found = []
    while len(found) < 3 and not (found and is_enough(max(found))):
        found.append(measure())
    return max(found)


def test_stages_overlap(nodes, plane):
    """Two stages of 20 ms give a result every 20 ms, not every 40."""
    with Pipeline(plane, nodes[:2], chain(2), "overlap", pace_seconds=PACE) as pipeline:
        per_second = best_of_three(lambda: run_window(pipeline, 60, window=4), lambda best: best >= 0.9 / PACE)
        assert 0.9 / PACE <= per_second <= 1.001 / PACE


def test_sending_overlaps_computing(nodes, plane):
    """A stage of 20 ms and a link that is busy for 20 ms give a result every 20 ms."""
    trace = StageTrace(stage=0, queue_seconds=1, decode_seconds=1, compute_seconds=1, encode_seconds=1)
    frame = TensorFrame(deployment="sending", epoch=1, request=9, stage=1, tensors=(("t1", x_of(0)),), trace=(trace,))
    n_bytes = encode(frame).n_bytes
    link = LinkEmulation(delay_seconds=0.03, bytes_per_second=n_bytes / (PACE * 0.95))
    with Pipeline(plane, nodes[:2], chain(2), "sending", pace_seconds=PACE, links=(link,)) as pipeline:
        per_second = best_of_three(lambda: run_window(pipeline, 40, window=8), lambda best: best >= 0.9 / PACE)
        assert per_second >= 0.9 / PACE
        (status,) = nodes[0].list_stages()
        assert status.send_seconds / status.n_frames == pytest.approx(0.95 * PACE, rel=0.1)


def test_an_emulated_way_delays_each_request_on_every_hop(nodes, plane):
    link = LinkEmulation(delay_seconds=0.03)
    with Pipeline(
        plane, nodes[:2], chain(2), "delay", links=(link,), link_back=LinkEmulation(delay_seconds=0.05)
    ) as pipeline:
        seconds = []
        for request in range(5):
            started = time.perf_counter()
            pipeline.send(request, x=x_of(request))
            next(pipeline.results)
            seconds.append(time.perf_counter() - started)
    assert min(seconds) >= 0.08
    assert min(seconds) < 0.11


def test_a_failing_request_ends_in_an_error_that_names_stage_and_node(nodes, plane):
    after = build_shard([helper.make_node("Neg", ["y"], ["z"])], (spec("y", (1, 8)),), (spec("z", (1, 8)),))
    with Pipeline(plane, nodes[:2], [failing_shard(), after], "failing") as pipeline:
        pipeline.send(0, i=np.array([1]))
        pipeline.send(1, i=np.array([77]))
        pipeline.send(2, wrong=np.array([1]))
        pipeline.send(3, i=np.array([2]))
        frames = [next(pipeline.results) for _ in range(4)]
        assert [type(frame) for frame in frames] == [TensorFrame, ErrorFrame, ErrorFrame, TensorFrame]
        assert [frame.request for frame in frames] == [0, 1, 2, 3]
        assert [frame.stage for frame in frames] == [2] * 4
        assert frames[1].error == StageFailedError.__name__
        assert "Stage 0 of 'failing' on node 'pi-0' failed on request 1" in frames[1].message
        assert frames[2].error == FrameError.__name__
        assert [client.list_stages()[0].n_errors for client in nodes[:2]] == [2, 0]


def test_frames_of_another_epoch_are_dropped(nodes, plane):
    with Pipeline(plane, nodes[:1], chain(1), "epochs", epoch=2) as pipeline:
        old = TensorFrame(deployment="epochs", epoch=1, request=0, stage=0, tensors=(("x", x_of(0)),))
        pipeline.sender.send(old)
        pipeline.send(1, x=x_of(1))
        assert next(pipeline.results).request == 1


def test_a_higher_epoch_takes_over_while_the_old_one_drains(nodes, plane):
    with (
        Pipeline(plane, nodes[:2], chain(2), "takeover", epoch=1) as old,
        Pipeline(plane, nodes[:2], chain(2), "takeover", epoch=2) as new,
    ):
        old.send(0, x=x_of(0))
        new.send(1, x=x_of(1))
        assert next(new.results).request == 1
        assert next(old.results).request == 0
        for node in nodes[:2]:
            assert node.unload_stage("takeover", last_epoch=1) == 1
        assert list(old.results) == []
        new.send(2, x=x_of(2))
        assert next(new.results).request == 2
        with pytest.raises(StageMissingError, match="epoch 2, not 1"):
            subscribe(plane, at(nodes[1], plane), SubscribeFrame(deployment="takeover", epoch=1))


def test_results_wait_for_a_subscriber_and_go_to_the_newest(nodes, plane):
    with Pipeline(plane, nodes[:1], chain(1), "waiting") as pipeline:
        pipeline.results.close()
        for request in range(3):
            pipeline.send(request, x=x_of(request))
        first = subscribe(plane, at(nodes[0], plane), SubscribeFrame(deployment="waiting", epoch=1))
        assert [next(first).request for _ in range(3)] == [0, 1, 2]
        second = subscribe(plane, at(nodes[0], plane), SubscribeFrame(deployment="waiting", epoch=1))
        assert list(first) == []
        pipeline.send(3, x=x_of(3))
        assert next(second).request == 3
        first.close()
        second.close()


def test_a_slow_pipeline_makes_its_sender_wait(nodes, plane):
    """Bounded everywhere: a sender that outruns the pipeline is stopped, whatever is behind it."""
    big = build_shard([helper.make_node("Neg", ["x"], ["y"])], (spec("x", (1 << 20,)),), (spec("y", (1 << 20,)),))
    with Pipeline(plane, nodes[:1], [big], "pressure", pace_seconds=5.0, queue_limit=1) as pipeline:
        sent = []

        def send_all():
            with suppress(NodeUnreachableError):  # when the test closes the stream
                for request in range(60):
                    pipeline.send(request, x=np.zeros(1 << 20, np.float32))
                    sent.append(request)

        sender = threading.Thread(target=send_all, daemon=True)
        sender.start()
        sender.join(1.0)
        assert sender.is_alive()
        assert len(sent) < 30  # queues of one, and what gRPC and the kernel hold


def test_an_unknown_deployment_ends_the_stream_with_a_reason(nodes, plane):
    sender = open_sender(plane, at(nodes[0], plane))
    frame = TensorFrame(deployment="nobody", epoch=1, request=0, stage=4, tensors=())
    assert error_of(sender, frame) == (StageMissingError, "Node 'pi-0' has no stage 4 of 'nobody': load it first.")


def error_of(sender, frame):
    """What ends `sender` after it has sent `frame`."""
    failed = queue.SimpleQueue()
    sender.failure.listen(failed.put)
    sender.send(frame)
    error = failed.get(timeout=20)
    with pytest.raises(type(error)):
        sender.send(frame)
    sender.close()
    return type(error), str(error)


@pytest.mark.parametrize("garbage", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x0a\x03abc", bytes(100_000)])
def test_garbage_on_a_stream_is_refused_and_the_node_lives(nodes, garbage):
    for call in ("Push", "Results"):
        with grpc.insecure_channel(nodes[0].address) as channel:
            stream = channel.stream_stream(f"/{SERVICE}/{call}", None, None)(iter((garbage,)), timeout=20)
            with pytest.raises(grpc.RpcError) as ended:
                list(stream)
            assert ended.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "frame" in ended.value.details()
    assert nodes[0].status().uptime_seconds > 0


def test_refused_streams_are_refused_each_time_and_leave_no_threads(tmp_path, plane):
    with running_agent(tmp_path) as agent:
        process = psutil.Process(agent.process.pid)

        def refuse():
            with pytest.raises(StageMissingError):
                subscribe(plane, agent.at(plane), SubscribeFrame(deployment="nobody", epoch=1))
            sender = open_sender(plane, agent.at(plane))
            frame = TensorFrame(deployment="nobody", epoch=1, request=0, stage=0, tensors=())
            assert error_of(sender, frame)[0] is StageMissingError

        for _ in range(10):
            refuse()
        n_threads, n_own = process.num_threads(), threading.active_count()
        for _ in range(40):
            refuse()
        deadline = time.monotonic() + 10
        while process.num_threads() > n_threads + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.num_threads() <= n_threads + 2
        assert threading.active_count() <= n_own + 2


def test_a_frame_on_the_wrong_stream_is_refused(nodes, plane):
    sender = open_sender(plane, at(nodes[0], plane))
    kind, words = error_of(sender, SubscribeFrame(deployment="d", epoch=1))
    assert kind is FrameError
    assert "belongs on Results" in words


def test_a_message_above_the_limit_is_refused_with_a_reason(tmp_path, plane):
    with running_agent(tmp_path, "--max-message", "1MiB") as agent:
        sender = open_sender(plane, agent.at(plane))
        _kind, words = error_of(sender, ProbeFrame(request=1, payload=bytes(2 << 20)))
        assert "--max-message" in words
        assert agent.process.poll() is None


def test_nobody_listening_is_told_at_once_with_the_address(plane):
    started = time.monotonic()
    with pytest.raises(NodeUnreachableError, match=r"127\.0\.0\.1:1"):
        open_sender(plane, "127.0.0.1:1")
    with pytest.raises(NodeUnreachableError, match=r"127\.0\.0\.1:1"):
        subscribe(plane, "127.0.0.1:1", SubscribeFrame(deployment="d", epoch=1))
    with pytest.raises(NodeUnreachableError, match=r"127\.0\.0\.1:1"):
        NodeClient.connect("127.0.0.1:1")
    assert time.monotonic() - started < 10


def test_a_next_node_that_is_not_there_fails_the_load(nodes):
    shard = matmul_shard()
    shard.put_into(nodes[0])
    with pytest.raises(NodeUnreachableError, match=r"From node .pi-0.*127\.0\.0\.1:1"):
        nodes[0].load_stage(shard.load(deployment="lost", n_stages=2, next_address="127.0.0.1:1"))
    assert nodes[0].list_stages() == ()


def test_a_killed_node_is_told_to_the_client_and_named(nodes, tmp_path, plane):
    with running_agent(tmp_path, "--name", "victim") as victim, NodeClient.connect(victim.address) as last:
        at_victim = victim.at(plane)
        pipeline = Pipeline(plane, (*nodes[:2], last), chain(3), "killed")
        pipeline.send(0, x=x_of(0))
        assert next(pipeline.results).request == 0
        failed = queue.SimpleQueue()
        pipeline.sender.failure.listen(failed.put)
        victim.kill()
        with pytest.raises(NodeUnreachableError, match=at_victim):
            next(pipeline.results)
        error = failed.get(timeout=20)
        assert isinstance(error, NodeUnreachableError)
        assert at_victim in str(error)
        with pytest.raises(NodeUnreachableError, match=at_victim):
            pipeline.send(1, x=x_of(1))
        assert [client.list_stages()[0].n_errors for client in nodes[:2]] == [1, 1]
        pipeline.__exit__()
    with Pipeline(plane, nodes[:2], chain(2), "killed", epoch=2) as survivors:
        survivors.send(0, x=x_of(0))
        assert next(survivors.results).epoch == 2


def test_a_client_that_vanishes_leaves_the_node_usable(nodes, plane):
    pipeline = Pipeline(plane, nodes[:1], chain(1), "vanish")
    pipeline.send(0, x=x_of(0))
    pipeline.sender._stream.close()
    pipeline.results.close()
    with Pipeline(plane, nodes[:1], chain(1), "vanish", epoch=2) as again:
        again.send(1, x=x_of(1))
        assert next(again.results).request == 1


def test_probes_follow_the_emulated_link(nodes, plane):
    request = ProbeRequest(
        target_address=at(nodes[1], plane),
        plane=plane,
        link=LinkEmulation(delay_seconds=0.02, bytes_per_second=1e6),
        link_back=LinkEmulation(delay_seconds=0.01),
        sizes_bytes=(100, 20_000),
        n_rounds=5,
    )
    samples = nodes[0].probe_link(request)
    assert sorted(sample.n_bytes for sample in samples) == [100] * 5 + [20_000] * 5
    for n_bytes in request.sizes_bytes:
        seconds = [sample.round_trip_seconds for sample in samples if sample.n_bytes == n_bytes]
        floor = 0.03 + n_bytes / 1e6
        assert min(seconds) >= floor
        assert min(seconds) < floor + 0.02


@pytest.mark.parametrize("is_download", [False, True])
def test_a_row_of_probes_keeps_the_link_busy_and_waits_for_its_delay_once(nodes, is_download, plane):
    rate, delay, n_bytes = 2e6, 0.03, 20_000
    there, back = LinkEmulation(delay_seconds=delay, bytes_per_second=rate), LinkEmulation(delay_seconds=delay / 2)
    request = ProbeRequest(
        target_address=at(nodes[1], plane),
        plane=plane,
        link=back if is_download else there,
        link_back=there if is_download else back,
        sizes_bytes=(n_bytes,),
        n_rounds=3,
        n_messages=6,
        is_download=is_download,
    )
    samples = nodes[0].probe_link(request)
    assert [sample.n_messages for sample in samples] == [6] * 3
    floor = 1.5 * delay + 6 * n_bytes / rate
    assert floor <= min(sample.round_trip_seconds for sample in samples) < floor + 0.02


def test_a_probe_that_asks_for_too_many_answers_is_refused(nodes, plane):
    _kind, words = error_of(
        open_sender(plane, at(nodes[0], plane)), ProbeFrame(request=1, payload=b"", n_answers=1_000_000)
    )
    assert "1000000 answers" in words


def test_probes_of_a_plain_link_are_quick_and_of_a_missing_node_fail(nodes, plane):
    request = ProbeRequest(
        target_address=at(nodes[1], plane),
        plane=plane,
        link=None,
        link_back=None,
        sizes_bytes=(0, 1 << 20),
        n_rounds=10,
    )
    samples = nodes[0].probe_link(request)
    assert len(samples) == 20
    assert min(sample.round_trip_seconds for sample in samples) < 0.02
    with pytest.raises(NodeUnreachableError, match=r"127\.0\.0\.1:1"):
        nodes[0].probe_link(
            ProbeRequest(
                plane=plane, target_address="127.0.0.1:1", link=None, link_back=None, sizes_bytes=(1,), n_rounds=1
            )
        )


def test_fifty_deployments_leave_no_threads_and_no_memory(nodes, tmp_path, plane):
    with running_agent(tmp_path) as agent, NodeClient.connect(agent.address) as client:
        process = psutil.Process(agent.process.pid)
        shard = matmul_shard(n_in=512, n_out=512)
        shard.put_into(client)

        def cycle():
            load = shard.load(n_stages=2, next_address=at(nodes[0], plane), next_plane=plane)
            client.load_stage(load)
            client.load_stage(load)
            assert client.unload_stage("d") == 1

        for _ in range(10):
            cycle()
        n_threads, n_files = process.num_threads(), process.num_fds()
        resident = process.memory_info().rss
        for _ in range(50):
            cycle()
        deadline = time.monotonic() + 10
        while process.num_threads() > n_threads + 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.num_threads() <= n_threads + 2
        assert process.num_fds() <= n_files + 2
        assert process.memory_info().rss - resident < 30 << 20


@pytest.mark.slow
def test_a_frozen_node_is_noticed(tmp_path, plane):
    with running_agent(tmp_path) as agent:
        failed = queue.SimpleQueue()
        sender = open_sender(plane, agent.at(plane))
        sender.failure.listen(failed.put)
        os.kill(agent.process.pid, signal.SIGSTOP)
        try:
            error = failed.get(timeout=30)
        finally:
            os.kill(agent.process.pid, signal.SIGCONT)
        assert isinstance(error, NodeUnreachableError)
        assert agent.at(plane) in str(error)
        sender.close()
