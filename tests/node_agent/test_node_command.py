import json
import os
import signal
import socket
import subprocess
import sys
import time

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from node_processes import ROOT, agent_command, running_agent
from node_shards import matmul_shard

from node_agent.client import NodeClient
from node_agent.dataplane.plane import subscribe
from node_agent.dataplane.planes import GRPC
from node_agent.host.processors import existing_cores
from node_agent.messages import SubscribeFrame


def run(*words: str, folder) -> subprocess.CompletedProcess[str]:
    command = [*agent_command(folder), *words]
    return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, timeout=30, input="", check=False)


def test_a_node_is_light_and_starts_quickly():
    """The modules that the command loads, and the processor time that takes, in a fresh interpreter."""
    code = (
        "import sys, time, json; started = time.process_time(); import node_agent.__main__, node_agent.client;"
        "print(json.dumps([time.process_time() - started, sorted(sys.modules)]))"
    )
    output = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    seconds, modules = json.loads(output)
    heavy = (
        "torch torchvision onnx onnxruntime pymoo scipy matplotlib plotly pydantic paramiko click rich yaml partitioner"
    )
    assert not set(heavy.split()) & set(modules)
    assert seconds < 1.5


def test_an_idle_agent_is_small_and_says_where_it_listens(tmp_path):
    started = time.monotonic()
    with running_agent(tmp_path, "--name", "pi-1") as agent:
        assert time.monotonic() - started < 5
        with NodeClient.connect(agent.address) as client:
            described = client.describe()
        assert described.name == "pi-1"
        assert described.runtime.startswith("onnxruntime 1.")
        assert psutil.Process(agent.process.pid).memory_info().rss < 80 << 20
        assert described.resident_bytes < 80 << 20


def test_stdout_has_one_line_and_the_log_is_json(tmp_path):
    ended = run("--name", "n", "--log-format", "json", folder=tmp_path)
    assert ended.returncode == 0
    (line,) = ended.stdout.splitlines()
    said = json.loads(line)
    assert (said["event"], said["name"]) == ("listening", "n")
    assert said["address"].startswith("127.0.0.1:")
    assert not said["address"].endswith(":0")
    assert said["pid"] > 0
    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert [event["event"] for event in events] == ["agent listens", "agent stops"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_agent_cleanly_even_under_load(tmp_path, number):
    with running_agent(tmp_path, "--slowdown", "2") as agent:
        with NodeClient.connect(agent.address) as client:
            shard = matmul_shard()
            shard.put_into(client)
            client.load_stage(shard.load())
            results = subscribe(GRPC, agent.address, SubscribeFrame(deployment="d", epoch=1))
            started = time.monotonic()
            os.kill(agent.process.pid, number)
            assert list(results) == []
            assert agent.process.wait(10) == 0
            assert time.monotonic() - started < 3
        results.close()
        assert "Traceback" not in agent.log.read_text()


def test_an_agent_keeps_to_its_cores_and_says_so(tmp_path):
    core = existing_cores()[-1]
    words = ("--cores", str(core), "--optimisation", "basic", "--threads", "2")
    with running_agent(tmp_path, *words) as agent, NodeClient.connect(agent.address) as client:
        shard = matmul_shard()
        shard.put_into(client)
        client.load_stage(shard.load())
        described = client.describe()
        threads = [thread.id for thread in psutil.Process(agent.process.pid).threads()]
        assert len(threads) > 2
        assert all(os.sched_getaffinity(thread) == {core} for thread in threads)
    assert (described.cores, described.n_cores, described.n_threads) == ((core,), 1, 2)
    assert (described.optimisation, described.slowdown) == ("basic", 0.0)


def test_the_agent_ends_with_its_stdin(tmp_path):
    with running_agent(tmp_path) as agent:
        agent.process.stdin.close()
        assert agent.process.wait(10) == 0


def test_a_port_in_use_is_told_in_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = run("--listen", address, folder=tmp_path)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == f"node_agent: Cannot listen on {address}: address already in use.\n"


def test_a_second_agent_on_the_same_port_is_refused(tmp_path):
    with running_agent(tmp_path / "first") as first:
        ended = run("--listen", first.address, folder=tmp_path / "second")
    assert ended.returncode == 1
    assert "address already in use" in ended.stderr


def test_a_data_plane_on_the_same_port_is_refused(tmp_path):
    with running_agent(tmp_path / "first") as first:
        ended = run("--tcp-port", str(first.tcp_port), folder=tmp_path / "second")
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert f"Cannot listen on 127.0.0.1:{first.tcp_port} for the data plane tcp: address already in use" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--listen", "0.0.0.0:0"), "0.0.0.0:0 can be reached by other machines"),
        (("--provider", "NoSuchProvider"), "onnxruntime lacks NoSuchProvider: this build has"),
        (("--tls-cert", "a", "--tls-key", "b", "--tls-ca", "c"), "Cannot read the TLS file"),
        (("--cores", "0,3333"), ", but not 3333: choose among those."),
        (("--slowdown", "0.5"), "slowdown must be 0 (off) or at least 1"),
        (("--listen", "203.0.113.1:0", "--allow-plaintext"), "annot assign requested address"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(tmp_path, words, said):
    ended = run(*words, folder=tmp_path)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_a_store_has_one_agent(tmp_path):
    with running_agent(tmp_path) as agent:
        ended = run(folder=tmp_path)
        assert ended.returncode == 1
        assert "Another agent uses the store" in ended.stderr
        agent.kill()
    with running_agent(tmp_path):
        pass


def test_plaintext_is_served_to_others_when_that_is_wanted(tmp_path):
    with running_agent(tmp_path, "--listen", "0.0.0.0:0", "--allow-plaintext") as agent:
        port = agent.address.rpartition(":")[2]
        with NodeClient.connect(f"127.0.0.1:{port}") as client:
            assert client.status().n_stages == 0


def test_help_gives_examples():
    command = [sys.executable, "-m", "node_agent", "--help"]
    helped = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "examples:" in helped
    assert "--tls-ca" in helped


def test_health_and_reflection_answer_any_grpc_client(tmp_path):
    with running_agent(tmp_path) as agent, grpc.insecure_channel(agent.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "splitfront.node.v1.Node", "splitfront.node.v1.DataPlane"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        (answer,) = reflection.ServerReflectionInfo(asked, timeout=5)
        names = {service.name for service in answer.list_services_response.service}
        assert {"splitfront.node.v1.Node", "splitfront.node.v1.DataPlane", "grpc.health.v1.Health"} <= names


def test_health_says_not_serving_while_the_agent_stops(tmp_path):
    with running_agent(tmp_path) as agent, grpc.insecure_channel(agent.address) as channel:
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=""))
        assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
        os.kill(agent.process.pid, signal.SIGTERM)
        assert next(watched).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watched.cancel()
