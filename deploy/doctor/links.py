"""Round trip and rate between machines, by a small Python program at each end. No agent is needed."""

from dataclasses import dataclass
from shlex import quote

PROBE_SECONDS = 1.0
WAIT_SECONDS = 10

_SINK = f"""
import socket, sys
is_dual = sys.argv[1] == "" and socket.has_dualstack_ipv6()
family = socket.AF_INET6 if is_dual else socket.AF_INET
sink = socket.create_server((sys.argv[1], 0), family=family, dualstack_ipv6=is_dual)
sink.settimeout({WAIT_SECONDS})
print("port", sink.getsockname()[1], flush=True)
try:
    there, _ = sink.accept()
except TimeoutError:
    sys.exit(0)
there.settimeout({WAIT_SECONDS})
there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for _ in range(20):
    there.sendall(there.recv(1))
n = 0
while data := there.recv(1 << 18):
    n += len(data)
there.close()
"""

_SOURCE = f"""
import socket, sys, time
there = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout={WAIT_SECONDS})
there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
trips = []
for _ in range(20):
    began = time.perf_counter()
    there.sendall(b".")
    there.recv(1)
    trips.append(time.perf_counter() - began)
print("trip", sorted(trips)[10])
block, n, began = bytes(1 << 16), 0, time.perf_counter()
while time.perf_counter() - began < {PROBE_SECONDS}:
    there.sendall(block)
    n += len(block)
there.shutdown(socket.SHUT_WR)
there.recv(1)
print("rate", n / (time.perf_counter() - began))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFigures:
    """What a link showed."""

    round_trip_seconds: float
    bytes_per_second: float


def sink_command(*, is_loopback: bool) -> str:
    """Listens on a free port, which it prints, and ends by itself."""
    return f"python3 -ESsc {quote(_SINK)} {quote('127.0.0.1' if is_loopback else '')}"


def source_command(address: str, port: int) -> str:
    """Measures the way to a sink."""
    return f"python3 -ESsc {quote(_SOURCE)} {quote(address)} {port}"


def parse_link(text: str) -> LinkFigures | None:
    """What the source printed; None where it measured nothing."""
    words = dict(line.split() for line in text.splitlines() if len(line.split()) == 2)
    try:
        return LinkFigures(round_trip_seconds=float(words["trip"]), bytes_per_second=float(words["rate"]))
    except (KeyError, ValueError):
        return None
