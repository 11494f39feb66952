"""Starts a node from an installed wheel and asks for its health. Run by `make wheel-test`, outside the repository.

Needs nothing but what the extra `node` installs, which is the point.
"""

# ruff: noqa: T201 - a program of its own

import json
import os
import signal
import subprocess
import sys
import threading
from importlib import metadata, resources
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

FORBIDDEN = {"torch", "torchvision", "onnx", "pymoo", "scipy", "matplotlib", "plotly", "pydantic", "paramiko", "rich"}
START_SECONDS = 60.0
RESIDENT_LIMIT_BYTES = 160 * 2**20


def main() -> int:
    installed = {distribution.metadata["Name"].lower() for distribution in metadata.distributions()}
    check(not installed & FORBIDDEN, f"installs {sorted(installed & FORBIDDEN)}")
    files = {str(file) for file in metadata.files("splitfront") or ()}
    check("coordinator/examples/cluster.yaml" in files, "lacks the example of cluster.yaml")
    check("node_agent/wire/agent_pb2.py" in files, "lacks the generated code")
    check(not any(file.startswith(("tests/", "benchmarks/", "proto/")) for file in files), "holds more than packages")
    origin = Path(str(resources.files("node_agent")))
    check("site-packages" in origin.parts, f"is not what is imported, but {origin}")

    command = [sys.executable, "-m", "node_agent", "--listen", "127.0.0.1:0", "--name", "wheel", "--store", "store"]
    with subprocess.Popen([*command, "--exit-with-stdin"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        timer = threading.Timer(START_SECONDS, agent.kill)
        timer.start()
        try:
            said = agent.stdout.readline()
            check(bool(said), f"has an agent that does not listen within {START_SECONDS:g} s")
            address = json.loads(said)["address"]
            with grpc.insecure_channel(address) as channel:
                answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
            check(answer.status == health_pb2.HealthCheckResponse.SERVING, f"has an agent in state {answer.status}")
            resident = resident_bytes(agent.pid)
            check(resident < RESIDENT_LIMIT_BYTES, f"has an agent of {resident / 2**20:.0f} MiB when idle")
            agent.send_signal(signal.SIGTERM)
            status = agent.wait(10)
            check(status == 0, f"has an agent that ends with status {status} on SIGTERM")
        finally:
            timer.cancel()
            agent.kill()
    print(f"wheel-test: {len(installed)} distributions, agent SERVING with {resident / 2**20:.0f} MiB resident")
    return 0


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def check(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"wheel-test: the wheel {what}")


if __name__ == "__main__":
    sys.exit(main())
