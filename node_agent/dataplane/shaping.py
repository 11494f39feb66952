"""Emulation of a link by its sender: when a message would have left it, and when it would arrive.

Model. A link sends one message after the other: one of n bytes keeps it busy for n / rate. It arrives a delay later;
delays overlap, so that a long link is a pipe and not a queue. The delay of each message is drawn from a normal
distribution (mean `delay_seconds`, deviation `jitter_seconds`, never negative); order is kept, as on a TCP connection.
Each packet of 1,500 bytes is lost with probability `loss`; it is then sent again, which keeps the link busy for
1500 / rate more, and its message, with all that follow, arrives one round trip (twice the delay, at least 1 ms) later.
Packets sent again may be lost again. Losses of one message are repaired one after the other, which is the worst case:
real connections repair several losses of a window in one round trip.

A link that changes goes through its steps from the first message on, again and again. What is being sent while the rate
changes goes on at the new one; the delay is that of the moment when the link has sent the message.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from node_agent.dataplane.limits import MAX_STEPS
from node_agent.dataplane.trace import LinkTrace
from node_agent.errors import RequestRejectedError
from node_agent.messages import LinkEmulation, LinkStep

PACKET_BYTES = 1500
MAX_DELAY_SECONDS = 60.0
MIN_BYTES_PER_SECOND = 100.0
MAX_LOSS = 0.99
MIN_STEP_SECONDS = 0.001
_SHORTEST_ROUND_TRIP_SECONDS = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """The way of one message over an emulated link; moments on the caller's clock."""

    start_at: float
    """When the link began to send it."""
    free_at: float
    """When the link can send the next one."""
    arrive_at: float

    @property
    def busy_seconds(self) -> float:
        """For how long the message kept the link."""
        return self.free_at - self.start_at


class ShapedLink:
    """Plans the messages of one emulated link, in the order of the calls. Pure: reads no clock, never waits.

    Not thread-safe: its user calls it under the lock that orders the messages.
    """

    def __init__(self, emulation: LinkEmulation) -> None:
        self._emulation = emulation
        self._random = np.random.default_rng(emulation.seed)
        self._trace = LinkTrace(emulation.steps) if emulation.steps else None
        self._began_at: float | None = None
        self._free_at = -math.inf
        self._last_arrival = -math.inf

    def schedule(self, now: float, n_bytes: int) -> Passage:
        """Way of a message of `n_bytes` that is given to the link at `now`."""
        self._began_at = now if self._began_at is None else self._began_at
        start_at = max(now, self._free_at)
        n_lost = self._draw_losses(n_bytes)
        self._free_at = start_at + self._sending_seconds(start_at, n_bytes + n_lost * PACKET_BYTES)
        mean_delay = self._delay_seconds(self._free_at)
        round_trip = max(2 * mean_delay, _SHORTEST_ROUND_TRIP_SECONDS)
        arrive_at = self._free_at + self._draw_delay(mean_delay) + n_lost * round_trip
        self._last_arrival = max(self._last_arrival, arrive_at)
        return Passage(start_at=start_at, free_at=self._free_at, arrive_at=self._last_arrival)

    def _sending_seconds(self, start_at: float, n_bytes: int) -> float:
        if self._trace is not None:
            return self._trace.sending_seconds(self._since(start_at), n_bytes)
        rate = self._emulation.bytes_per_second
        return n_bytes / rate if rate else 0.0

    def _draw_losses(self, n_bytes: int) -> int:
        if not self._emulation.loss:
            return 0
        n_packets = max(1, math.ceil(n_bytes / PACKET_BYTES))
        return int(self._random.negative_binomial(n_packets, 1 - self._emulation.loss))

    def _delay_seconds(self, moment: float) -> float:
        return self._trace.delay_seconds(self._since(moment)) if self._trace else self._emulation.delay_seconds

    def _since(self, moment: float) -> float:
        return moment - (self._began_at or 0.0)

    def _draw_delay(self, mean: float) -> float:
        deviation = self._emulation.jitter_seconds
        return max(0.0, float(self._random.normal(mean, deviation))) if deviation else mean


def is_emulated(emulation: LinkEmulation | None) -> bool:
    """Whether `emulation` changes anything."""
    if emulation is None:
        return False
    return any(
        (
            emulation.delay_seconds,
            emulation.jitter_seconds,
            emulation.bytes_per_second,
            emulation.loss,
            emulation.steps,
        ),
    )


def faults_of(emulation: LinkEmulation) -> tuple[str, ...]:
    """What is out of range in `emulation`; empty when nothing is."""
    faults = []
    for name in ("delay_seconds", "jitter_seconds"):
        value = getattr(emulation, name)
        if not 0 <= value <= MAX_DELAY_SECONDS:
            faults.append(f"{name} of a link must be 0 to {MAX_DELAY_SECONDS:g}, got {value:g}")
    rate = emulation.bytes_per_second
    if rate != 0 and not MIN_BYTES_PER_SECOND <= rate < math.inf:
        faults.append(f"bytes_per_second of a link must be 0 (unlimited) or {MIN_BYTES_PER_SECOND:g}, got {rate:g}")
    if not 0 <= emulation.loss <= MAX_LOSS:
        faults.append(f"loss of a link must be 0 to {MAX_LOSS:g}, got {emulation.loss:g}")
    faults += [f"a step of a link {fault}" for fault in sorted({fault for s in emulation.steps for fault in _wrong(s)})]
    if len(emulation.steps) > MAX_STEPS:
        faults.append(f"a link has {MAX_STEPS} steps at most, got {len(emulation.steps)}")
    return tuple(faults)


def _wrong(step: LinkStep) -> Iterator[str]:
    if not MIN_STEP_SECONDS <= step.seconds < math.inf:
        yield f"must last {MIN_STEP_SECONDS:g} s or more, got {step.seconds:g}"
    if not MIN_BYTES_PER_SECOND <= step.bytes_per_second < math.inf:
        yield f"must carry {MIN_BYTES_PER_SECOND:g} bytes per second or more, got {step.bytes_per_second:g}"
    if not 0 <= step.delay_seconds <= MAX_DELAY_SECONDS:
        yield f"must have a delay of 0 to {MAX_DELAY_SECONDS:g}, got {step.delay_seconds:g}"


def check_emulation(emulation: LinkEmulation | None) -> None:
    """Does nothing where a link can be emulated so.

    Raises:
        RequestRejectedError: It cannot, with all faults.
    """
    if emulation and (faults := faults_of(emulation)):
        raise RequestRejectedError("A link cannot be emulated: " + "; ".join(faults) + ".")
