"""Both data planes against a bare socket loop, in clear and under mutual TLS, on loopback between two processes.

A message is one float32 tensor. Over a plane it is timed from the array here to the array there and back to a small
array here: the sender encodes a frame and writes it, the node's receiver reads and decodes it and hands it to a stage
that computes nothing, whose small answer is encoded, goes out through outbox and Results stream, and is decoded here.
The bare loop sends the same bytes with `sendall`, takes them with `recv_into` one buffer that is used again, and answers
with one byte: no lengths, no frames, no arrays.

*lone*: one message and its answer, then the next. *streamed*: messages in a row, of which the last is answered, per
message. In each round every way has a turn at every size, in an order drawn anew; a turn gives the median of its lone
messages, and ratios are of turns of one round. Intervals are those of the median over the rounds.
"""

import multiprocessing
import random
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks._certificates import make_authority
from benchmarks._figures import Figure, at_most, parse_arguments, publish
from benchmarks._transport_peer import serve
from benchmarks._transport_ways import Way, open_ways

SIZES = {"1kB": 1000, "10kB": 10_000, "150kB": 150_000, "800kB": 800_000, "3200kB": 3_200_000, "8000kB": 8_000_000}
PLANES = ("tcp", "grpc")
TURN_BYTES = 16_000_000
"""About so much is sent in a turn, lone and streamed each."""
LONE = (3, 20)
STREAMED = (4, 100)
"""Messages of a turn: at least, and at most."""
LARGE_BYTES = 150_000
MOST_TO_BARE = {True: 1.3, False: 1.6}
"""Of `tcp`, lone: from `LARGE_BYTES` on, and below."""
GRPC_BYTES = 800_000
LEAST_GRPC_SPEED = 1000.0
LEAST_GRPC_SHARE = 0.35
"""Of `grpc`, streamed at `GRPC_BYTES`: MB/s, or of the bare loop."""
LEAST_TLS_SHARE = 0.5
"""Of a plane's speed, under TLS."""
MEGABYTE = 1e6

Turns = dict[tuple[str, str, str], list[float]]
"""Seconds per message, round by round, of (way, size, lone or streamed)."""


def main() -> int:
    """Measures all and publishes the figures."""
    arguments = parse_arguments(__doc__)
    with tempfile.TemporaryDirectory() as folder:
        issue = make_authority(Path(folder), "authority")
        files, own = issue("peer"), issue("client")
        pipe, far_pipe = multiprocessing.Pipe()
        peer = multiprocessing.get_context("spawn").Process(target=serve, args=(far_pipe, files, Path(folder)))
        peer.start()
        far_pipe.close()
        ways = open_ways(pipe.recv(), own)
        turns = measure(ways, n_rounds=6 if arguments.quick else 40)
        for way in ways.values():
            way.close()
        pipe.close()
        peer.join()
    return publish([*plain_figures(turns), *tls_figures(turns)], arguments.json)


def measure(ways: Mapping[str, Way], n_rounds: int) -> Turns:
    """All turns of all rounds, after one round that does not count."""
    order = random.Random(0)
    turns: Turns = {(way, size, how): [] for way in ways for size in SIZES for how in ("lone", "streamed")}
    for number in range(n_rounds + 1):
        for size, n_bytes in SIZES.items():
            for name in order.sample(list(ways), len(ways)):
                lone = statistics.median(ways[name].rows(n_bytes, 1, _within(LONE, n_bytes)))
                n_messages = _within(STREAMED, n_bytes)
                (row,) = ways[name].rows(n_bytes, n_messages, 1)
                if number:
                    turns[name, size, "lone"].append(lone)
                    turns[name, size, "streamed"].append(row / n_messages)
    return turns


def _within(limits: tuple[int, int], n_bytes: int) -> int:
    return max(limits[0], min(limits[1], TURN_BYTES // n_bytes))


def plain_figures(turns: Turns) -> list[Figure]:
    """Times and speeds in clear, and the planes' ratios to the bare loop."""
    figures = []
    for size, n_bytes in SIZES.items():
        figures += [_figure(f"transport_{way}_{size}_lone", _median(turns, way, size)) for way in ("bare", *PLANES)]
        figures += [_speed(turns, way, size) for way in ("bare", *PLANES)]
        ratio = _ratio(turns, ("tcp", "bare"), size, "lone")
        bound = MOST_TO_BARE[n_bytes >= LARGE_BYTES]
        figures.append(_held(at_most, f"transport_tcp_{size}_lone_to_bare", ratio, bound))
        ratio = _ratio(turns, ("tcp", "bare"), size, "streamed")
        if n_bytes >= LARGE_BYTES:
            figures.append(_held(at_most, f"transport_tcp_{size}_streamed_to_bare", ratio, MOST_TO_BARE[True]))
        else:
            figures.append(_figure(f"transport_tcp_{size}_streamed_to_bare", ratio, "times"))
        figures.append(
            _figure(f"transport_grpc_{size}_lone_to_bare", _ratio(turns, ("grpc", "bare"), size, "lone"), "times")
        )
        figures.append(_grpc_share(turns, size))
    return figures
