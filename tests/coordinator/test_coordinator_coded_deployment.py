"""Plans with codecs and with replicas on real agents: separate processes, real sockets, answers compared."""

import os
import signal
import time
from concurrent.futures import wait
from dataclasses import dataclass, replace
from itertools import pairwise, permutations

import numpy as np
import psutil
import pytest

from coordinator.coding import profile_codecs
from coordinator.config import parse_cluster
from coordinator.deployment import deploy_plan, verify_deployment
from coordinator.errors import DeploymentError, OutputMismatchError
from coordinator.fleet import Fleet, connect_fleet
from coordinator.loadgen import make_workload
from coordinator.measuring import Effort, measure_plan
from coordinator.profiling import profile_fleet
from node_agent.dataplane.plane import open_sender
from node_agent.errors import NodeError
from node_agent.messages import CodedTensor, TensorFrame
from partitioner.cluster import CLIENT, Cluster, Link
from partitioner.cost import CostModel
from partitioner.onnx_io import Model, load_model
from partitioner.plan import Stage

CODECS = ("float16", "int8", "zstd", "lz4")
LATE = 0.02
"""Seconds by which results of `c` come later than those of the others."""


def cluster_of(*names):
    nodes = [{"name": name, "local": True, "threads": 1, "emulate": {"slowdown": 2.0}} for name in names]
    late = [{"from": "c", "to": "client", "delay": f"{LATE * 1e3:g}ms", "both": False}] if "c" in names else []
    return parse_cluster({"name": "replicas", "nodes": nodes, "links": {"between": late}}, source="test")


@dataclass(frozen=True)
class Rig:
    """Three agents, a model, and what plans of it cost there."""

    fleet: Fleet
    model: Model
    cost_model: CostModel

    def candidate(self, words, codec="none"):
        """`a b+c`: who bears the stages; all boundaries in one codec."""
        return self.cost_model.candidate(stages_of(words, self.model.graph.n_units, codec))

    def client(self, name):
        return self.fleet.node_of[name].client

    @property
    def statuses(self):
        return {(status.stage, node.name): status for node in self.fleet.nodes for status in node.client.list_stages()}


@pytest.fixture(scope="module")
def rig(toy_model, tmp_path_factory):
    model = load_model(str(toy_model))
    with connect_fleet(cluster_of("a", "b", "c"), run_dir=tmp_path_factory.mktemp("fleet")) as fleet:
        whole = {node.name: [(0, model.graph.n_units)] for node in fleet.nodes}
        profile = profile_fleet(fleet, model, whole, n_rounds=3, budget_seconds=1)
        codecs = profile_codecs(fleet, model, CODECS)
        links = tuple(
            Link(source=one, target=other, fixed_seconds=1e-4, bytes_per_second=1e9)
            for one, other in permutations((CLIENT, "a", "b", "c"), 2)
        )
        cluster = Cluster(name="replicas", devices=tuple(node.device for node in fleet.nodes), links=links)
        yield Rig(fleet, model, CostModel(model.graph, cluster, profile, codecs=codecs))


def stages_of(words, n_units, codec):
    """Stages of about as many units each."""
    crews = [part.split("+") for part in words.split()]
    positions = [round(n_units * number / len(crews)) for number in range(len(crews) + 1)]
    return tuple(
        Stage(device=crew[0], replicas=tuple(crew[1:]), start=start, stop=stop, codec="none" if is_last else codec)
        for crew, (start, stop), is_last in zip(
            crews, pairwise(positions), [False] * (len(crews) - 1) + [True], strict=True
        )
    )


def paced(candidate, seconds):
    """The same plan whose stages take so many seconds of an emulated device."""
    stages = tuple(replace(stage, compute_seconds=seconds) for stage in candidate.cost.stages)
    return replace(candidate, cost=replace(candidate.cost, stages=stages))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("words", ["a b", "a b c"])
def test_coded_pipelines_answer_as_predicted(rig, codec, words):
    candidate = rig.candidate(words, codec)
    is_lossy = codec in ("float16", "int8")
    with deploy_plan(rig.fleet, rig.model, candidate) as deployment:
        errors = verify_deployment(deployment, rig.model, seed=11)
        trace = deployment.pipeline.infer(rig.model.sample_inputs(1)).trace
        statuses = rig.statuses
    assert (errors.l2 is not None) == is_lossy == (not deployment.gate.is_exact)
    assert (errors.relative > 1e-5) == is_lossy
    for stage, cost in zip(trace, candidate.cost.stages, strict=True):
        assert stage.decode_seconds >= cost.decode_seconds
        assert stage.encode_seconds >= cost.encode_seconds
    for (stage, _), status in statuses.items():
        predicted_bytes = candidate.cost.hops[stage + 1].n_bytes  # those of the last frame may not be counted yet
        assert 0.8 * predicted_bytes * (status.n_frames - 1) <= status.sent_bytes
        assert status.sent_bytes <= (1.2 * predicted_bytes + 500) * status.n_frames


@pytest.mark.parametrize("words", ["a+b", "a+b+c", "a b+c", "a+b c"])
@pytest.mark.parametrize("codec", ["none", "int8"])
def test_replicas_take_turns_and_results_keep_their_order(rig, words, codec):
    inputs = [rig.model.sample_inputs(seed) for seed in range(5)]
    expected = [rig.model.run_whole(one) for one in inputs]
    ended = []
    with deploy_plan(rig.fleet, rig.model, rig.candidate(words, codec), window=12) as deployment:
        futures = [deployment.pipeline.submit(inputs[number % 5]) for number in range(36)]
        for future in futures:
            future.add_done_callback(lambda done: ended.append(done.result().request))
        for number, future in enumerate(futures):
            deployment.gate.check(future.result(30).outputs, expected[number % 5])
        statuses = rig.statuses
    n_verified = deployment.n_ways
    assert ended == list(range(n_verified, n_verified + 36))
    for index, names in enumerate(words.split()):
        counts = [statuses[index, name].n_frames for name in names.split("+")]
        assert sum(counts) == n_verified + 36
        assert max(counts) - min(counts) <= 1
    assert not rig.statuses


def test_two_replicas_give_about_twice_the_throughput_as_predicted(rig):
    """A busy machine can only make a pipeline look slower than it is: the best of a few runs counts."""
    pace, rates = 0.04, {"a": [], "a+b": []}
    workload = make_workload(rig.model, seed=0, n_inputs=2)
    while len(rates["a"]) < 3 and not (rates["a"] and max(rates["a+b"]) > 1.5 * max(rates["a"])):
        for words, seen in rates.items():
            candidate = paced(rig.candidate(words), pace)
            measured = measure(rig, replace(candidate, plan=replace(candidate.plan, window=6)), workload, n_requests=24)
            seen.append(measured.throughput_per_second.value)
    assert max(rates["a"]) <= 1.05 / pace
    assert 1.5 * max(rates["a"]) < max(rates["a+b"]) <= 1.2 * 2 / pace
    (stage,) = measured.stages
    assert [(replica.device, replica.n_requests) for replica in stage.replicas] == [("a", 12), ("b", 12)]
    assert all(replica.compute_seconds >= pace - 1e-6 for replica in stage.replicas)
    assert measured.bottleneck.resource in ("device:a", "device:b")
    assert measured.bottleneck.busy_seconds == pytest.approx(max(one.compute_seconds for one in stage.replicas) / 2)


def measure(rig, candidate, workload, n_requests):
    effort = Effort(seconds=20.0, n_requests=n_requests)
    return measure_plan(
        rig.fleet, rig.model, candidate, workload, label="measured", effort=effort, on_step=lambda *_: None
    )


def test_a_measured_coded_plan_tells_error_and_bytes_beside_what_was_predicted(rig):
    candidate = rig.candidate("a b", "int8")
    measured = measure(rig, candidate, make_workload(rig.model, seed=0), n_requests=20)
    assert 0 < measured.output_error < 2 * measured.predicted.output_error
    first, last = measured.stages
    assert (first.codec, last.codec) == ("int8", "none")
    assert 0 <= first.sent_bytes - first.predicted_sent_bytes < 500
    assert first.predicted_encode_seconds == candidate.cost.stages[0].encode_seconds > 0
    assert first.encode_seconds >= first.predicted_encode_seconds
    assert last.decode_seconds >= last.predicted_decode_seconds > 0


def test_a_plan_with_more_error_than_its_codecs_are_predicted_to_bring_is_refused(rig):
    candidate = rig.candidate("a b", "int8")
    hops = tuple(replace(hop, output_error=hop.output_error / 20) for hop in candidate.cost.hops)
    candidate = replace(candidate, cost=replace(candidate.cost, hops=hops))
    with pytest.raises(OutputMismatchError, match="relative L2"), deploy_plan(rig.fleet, rig.model, candidate):
        pytest.fail("a plan with wrong outputs was served")
    assert not rig.statuses


def test_a_node_that_lacks_a_codec_is_named_before_anything_is_loaded(rig):
    node = rig.fleet.node_of["b"]
    lacking = replace(node, description=replace(node.description, codecs=("none", "int8")))
    fleet = replace(rig.fleet, nodes=tuple(lacking if one is node else one for one in rig.fleet.nodes))
    words = r"'b' lacks zstd\. Install splitfront\[compression\]"
    with pytest.raises(DeploymentError, match=words), deploy_plan(fleet, rig.model, rig.candidate("a b", "zstd")):
        pytest.fail("a node decodes what it has no codec for")


def test_coded_garbage_from_the_wire_ends_nothing_but_itself(rig):
    """A stranger's frames: damaged, bombs, in codecs that nobody has. None is for a request of ours."""
    candidate = rig.candidate("a b", "zstd")
    agent = agent_of(rig.fleet, "b")
    with deploy_plan(rig.fleet, rig.model, candidate) as deployment:
        stranger = open_sender("grpc", rig.fleet.node_of["b"].address)
        resident = agent.memory_info().rss
        for frame in garbage(deployment, rig.model.cut(0, candidate.plan.stages[0].stop).sends[0], 60):
            stranger.send(frame)
        deadline = time.monotonic() + 20
        while rig.statuses[1, "b"].n_errors < 60 and time.monotonic() < deadline:
            verify_deployment(deployment, rig.model)
        assert rig.statuses[1, "b"].n_errors == 60
        assert agent.memory_info().rss - resident < 64 << 20
        stranger.close()


def garbage(deployment, spec, n_frames):
    draw = np.random.default_rng(0)
    for number in range(n_frames):
        tensor = CodedTensor(
            codec=("zstd", "lz4", "int8", "float16", "rot13")[number % 5],
            dtype=spec.dtype,
            shape=spec.shape if number % 2 else (1 << 29,),
            content=memoryview(draw.bytes(200)),
        )
        yield TensorFrame(
            deployment=deployment.name,
            epoch=deployment.epoch,
            request=1_000_000 + number,
            stage=1,
            tensors=((spec.name, tensor),),
        )


@pytest.mark.parametrize(("words", "victim"), [("a+b", "b"), ("a b+c", "c")])
def test_a_killed_replica_ends_every_open_request_exactly_once(rig, tmp_path, words, victim):
    candidate = rig.candidate(words)
    names = sorted({name for stage in candidate.plan.stages for name in stage.devices})
    with connect_fleet(cluster_of(*names), run_dir=tmp_path) as fleet:
        process = agent_of(fleet, victim)
        with deploy_plan(fleet, rig.model, candidate, window=8) as deployment:
            futures = []
            with pytest.raises(NodeError):  # noqa: PT012 - it may break at any request
                for index in range(100_000):
                    futures.append(deployment.pipeline.submit(rig.model.sample_inputs(0), timeout_seconds=10))
                    if index == 50:
                        process.send_signal(signal.SIGKILL)
            done, pending = wait(futures, timeout=10)
            assert not pending
            errors = [future.exception() for future in done]
            assert any(error is None for error in errors)
            assert all(error is None or isinstance(error, NodeError) for error in errors)


def agent_of(fleet, name):
    """Process of a local agent."""
    port = fleet.node_of[name].address.rpartition(":")[2]
    return next(
        child
        for child in psutil.Process(os.getpid()).children(recursive=True)
        if any(str(one.laddr.port) == port and one.status == "LISTEN" for one in child.net_connections())
    )
