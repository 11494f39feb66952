"""Both data planes against a bare socket loop, in clear and under mutual TLS, on loopback between two processes.

A message is one float32 tensor. Over a plane it is timed from the array here to the array there and back to a small
array here: the sender encodes a frame and writes it, the node's receiver reads and decodes it and hands it to a stage
that computes nothing, whose small answer is encoded, goes out through outbox and Results stream, and is decoded here.
The bare loop, in Python as well, sends a length and the same bytes, takes them with `recv_into` one buffer that is used
again, and answers with one byte: no frames, no arrays. Under TLS it is an `SSLSocket`.

*lone*: one message and its answer, then the next. *streamed*: messages in a row, of which the last is answered, per
message. In each round every way has a turn at every size, in an order drawn anew; a turn gives the median of its lone
messages, and ratios are of turns of one round. Intervals are those of the median over the rounds. Each process has a
core of its own: with both on one, a bare message takes a fifth of the time, which no two machines could.

Cores are kept awake. *rested*: lone messages in clear once more, on cores that rest while they wait. What Python does
then takes two to four times as long on a virtual machine, whose host takes resting cores away, and the bare loop has
least of it; nothing is asked of these figures.

OpenSSL 3.0, Debian 12's, encrypts and decrypts at some 4 GB/s each (a newer one at 6 to 9), and a bare message in
the caches moves at 8: what TLS leaves of the bare loop's speed (`transport_bare_SIZE_HOW_tls_share`) bounds what it can
leave of a plane's. A plane that is slower in clear keeps more of it.
"""

import multiprocessing
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks._awake_cores import awake
from benchmarks._certificates import make_authority
from benchmarks._figures import Figure, at_least, at_most, parse_arguments, publish
from benchmarks._transport_peer import serve
from benchmarks._transport_ways import Way, open_ways
from coordinator.statistics import Estimate, quantile_estimate

SIZES = {"1kB": 1000, "10kB": 10_000, "150kB": 150_000, "800kB": 800_000, "3200kB": 3_200_000, "8000kB": 8_000_000}
PLANES = ("tcp", "grpc")
WAYS = ("bare", *PLANES)
TURN_BYTES = 16_000_000
"""About so much is sent in a turn, lone and streamed each."""
MESSAGES = {"lone": (3, 20), "streamed": (4, 100), "rested": (3, 20)}
"""Of a turn: at least, and at most."""
HOWS = ("lone", "streamed")
"""On cores that are awake."""
LARGE_BYTES = 150_000
MOST_TO_BARE = {True: 1.3, False: 1.6}
"""Of `tcp`: from `LARGE_BYTES` on, and below."""
GRPC_SIZE = "800kB"
LEAST_GRPC_SPEED = 1000.0
LEAST_GRPC_SHARE = 0.35
"""Of `grpc`, streamed, at `GRPC_SIZE`: MB/s, or else of the bare loop."""
LEAST_TLS_SHARE = 0.5
"""Of a plane's speed, under TLS."""
MEGABYTE = 1e6

Turns = dict[tuple[str, str, str], list[float]]
"""Seconds per message, round by round, of (way, size, how)."""


def main() -> int:
    """Measures all and publishes the figures."""
    arguments = parse_arguments(__doc__)
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        issue = make_authority(Path(folder), "authority")
        pipe, far_pipe = multiprocessing.Pipe()
        order = (far_pipe, issue("peer"), Path(folder), cores[1] if len(cores) > 1 else None)
        peer = multiprocessing.get_context("spawn").Process(target=serve, args=order)
        peer.start()
        far_pipe.close()
        os.sched_setaffinity(0, cores[:1])
        ways = open_ways(pipe.recv(), issue("client"))
        n_rounds = 6 if arguments.quick else 30
        with awake(cores[:2]):
            turns = measure(ways, HOWS, n_rounds)
        turns |= measure({name: ways[name] for name in WAYS}, ("rested",), n_rounds)
        for way in ways.values():
            way.close()
        pipe.close()
        peer.join()
    return publish([*times(turns), *ratios(turns)], arguments.json)


def measure(ways: Mapping[str, Way], hows: Sequence[str], n_rounds: int) -> Turns:
    """All turns of all rounds, after one round that does not count."""
    order = random.Random(0)
    turns: Turns = {(way, size, how): [] for way in ways for size in SIZES for how in hows}
    for number in range(n_rounds + 1):
        for size, n_bytes in SIZES.items():
            for name in order.sample(list(ways), len(ways)):
                for how in hows:
                    seconds = _turn(ways[name], how, n_bytes)
                    turns[name, size, how] += [seconds] if number else []
    return turns


def _turn(way: Way, how: str, n_bytes: int) -> float:
    """Seconds per message."""
    least, most = MESSAGES[how]
    n_messages = max(least, min(most, TURN_BYTES // n_bytes))
    if how == "streamed":
        (row,) = way.rows(n_bytes, n_messages, 1)
        return row / n_messages
    return statistics.median(way.rows(n_bytes, 1, n_messages))


def times(turns: Turns) -> list[Figure]:
    """Microseconds of lone messages and MB/s of streamed ones, in clear and under TLS."""
    figures = []
    for (way, size, how), seconds in turns.items():
        name = f"transport_{way}_{size}_{how}"
        if how == "streamed":
            speeds = [SIZES[size] / each / MEGABYTE for each in seconds]
            figures.append(_plain(name, quantile_estimate(speeds, 0.5), "MB/s"))
        else:
            figures.append(_plain(name, quantile_estimate([each * 1e6 for each in seconds], 0.5), "µs"))
    return figures


def ratios(turns: Turns) -> list[Figure]:
    """Times of the planes over the bare loop's, and speeds under TLS over those in clear."""
    figures = []
    for how in HOWS:
        for size, n_bytes in SIZES.items():
            bound = MOST_TO_BARE[n_bytes >= LARGE_BYTES]
            ratio = _ratio(turns, "tcp", "bare", size, how)
            figures.append(_held(at_most, f"transport_tcp_{size}_{how}_to_bare", ratio, bound))
            ratio = _ratio(turns, "grpc", "bare", size, how)
            figures.append(_plain(f"transport_grpc_{size}_{how}_to_bare", ratio, "ratio"))
    for plane in PLANES:
        for size in SIZES:
            ratio = _ratio(turns, plane, "bare", size, "rested")
            figures.append(_plain(f"transport_{plane}_{size}_rested_to_bare", ratio, "ratio"))
    figures.append(_grpc_speed(turns))
    for plane in PLANES:
        for how in HOWS:
            for size in SIZES:
                share = _ratio(turns, plane, f"{plane}_tls", size, how)
                figures.append(_held(at_least, f"transport_{plane}_{size}_{how}_tls_share", share, LEAST_TLS_SHARE))
    for how in HOWS:
        for size in SIZES:
            share = _ratio(turns, "bare", "bare_tls", size, how)
            figures.append(_plain(f"transport_bare_{size}_{how}_tls_share", share, "ratio"))
            ratio = _ratio(turns, "tcp_tls", "bare_tls", size, how)
            figures.append(_plain(f"transport_tcp_tls_{size}_{how}_to_bare_tls", ratio, "ratio"))
    return figures


def _grpc_speed(turns: Turns) -> Figure:
    """Held by its speed, or else, on a slow machine, by its share of the bare loop's."""
    speeds = [SIZES[GRPC_SIZE] / seconds / MEGABYTE for seconds in turns["grpc", GRPC_SIZE, "streamed"]]
    speed = quantile_estimate(speeds, 0.5)
    if speed.value >= LEAST_GRPC_SPEED:
        return _held(at_least, "transport_grpc_speed", speed, LEAST_GRPC_SPEED, "MB/s")
    share = _ratio(turns, "bare", "grpc", GRPC_SIZE, "streamed")
    return _held(at_least, "transport_grpc_share_of_bare", share, LEAST_GRPC_SHARE)


def _ratio(turns: Turns, way: str, other: str, size: str, how: str) -> Estimate:
    """Times of one way over those of another, round by round."""
    pairs = zip(turns[way, size, how], turns[other, size, how], strict=True)
    return quantile_estimate([mine / theirs for mine, theirs in pairs], 0.5)


def _plain(name: str, estimate: Estimate, unit: str) -> Figure:
    return Figure(name=name, value=estimate.value, interval=(estimate.low, estimate.high), unit=unit)


def _held(
    bounded: Callable[[str, float, tuple[float, float], str, float], Figure],
    name: str,
    estimate: Estimate,
    bound: float,
    unit: str = "ratio",
) -> Figure:
    return bounded(name, estimate.value, (estimate.low, estimate.high), unit, bound)


if __name__ == "__main__":
    sys.exit(main())
