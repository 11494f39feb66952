"""`python -m deploy.health`: whether an agent is healthy, by the gRPC health protocol. Runs on the node.

It runs in the release itself: whatever is broken there, its transport included, shows here as well.
"""

import argparse
import sys
import time
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_CALL_SECONDS = 2.0
_PAUSE_SECONDS = 0.2


def main(words: list[str]) -> int:
    """Exit status: 0 where the agent became and stayed healthy in time."""
    given = _parser().parse_args(words)
    ends_at = time.monotonic() + given.within
    with _channel(given.address, given.tls, given.server_name) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while (problem := _problem(stub)) and time.monotonic() < ends_at:
            time.sleep(_PAUSE_SECONDS)
        if not problem:
            time.sleep(given.hold)
            problem = _problem(stub)
    if problem:
        sys.stderr.write(f"the agent at {given.address} is not healthy after {given.within:g} s: {problem}\n")
    return 1 if problem else 0


def _problem(stub: health_pb2_grpc.HealthStub) -> str:
    """What is wrong; empty where nothing is."""
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=_CALL_SECONDS)
    except grpc.RpcError as exc:
        return str(exc.details() or exc.code().name).splitlines()[0]
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return f"it says {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"


def _channel(address: str, tls: Path | None, server_name: str) -> grpc.Channel:
    options: list[tuple[str, object]] = [
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),
    ]
    if server_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    if tls is None:
        return grpc.insecure_channel(address, options=options)
    credentials = grpc.ssl_channel_credentials(
        (tls / "ca.pem").read_bytes(), (tls / "node.key").read_bytes(), (tls / "node.pem").read_bytes()
    )
    return grpc.secure_channel(address, credentials, options=options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.health", description=main.__doc__)
    parser.add_argument("--address", required=True, metavar="HOST:PORT", help="where the agent listens")
    parser.add_argument("--within", type=float, default=0.0, metavar="SECONDS", help="how long it may take")
    parser.add_argument("--hold", type=float, default=0.0, metavar="SECONDS", help="asks once more after this")
    parser.add_argument("--tls", type=Path, metavar="DIR", help="folder with ca.pem, node.pem and node.key")
    parser.add_argument("--server-name", default="", metavar="NAME", help="what its certificate calls it")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
