"""Links as the data plane finds them, in both directions.

A lone message takes `fixed + bytes / rate`; many in a row keep the link busy for `bytes / busy_rate` each: less where
copying at one end goes on while the other end, or the wire, is at work.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from coordinator.statistics import fit_line
from node_agent.messages import ProbeRequest, ProbeSample
from partitioner.decisions.outliers import MAD_TO_DEVIATION

SIZES_BYTES = (0, 4 << 10, 32 << 10, 128 << 10, 512 << 10, 2 << 20)
"""Payloads tried, in rising order."""
LONGEST_SECONDS = 0.12
"""A larger payload is not tried when it would take longer than this."""
ROUND_SECONDS = 0.15
"""About so long are messages of one size sent, one by one and in a row alike."""
ROUNDS = (5, 25)
"""Samples of each size: at least, and at most."""
MESSAGES = (3, 8)
"""Messages in a row: at least, and at most."""
FASTEST = 1e11
"""Bytes per second: no rate that is found exceeds it."""

Probe = Callable[[Sequence[int], int, int], Sequence[ProbeSample]]
"""Times `n_messages` in a row of each of the given sizes for a number of rounds: (sizes, n_rounds, n_messages)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFit:
    """One direction of a link."""

    fixed_seconds: float
    bytes_per_second: float
    """Of a lone message."""
    busy_bytes_per_second: float
    """Of many in a row."""
    jitter_seconds: float
    """Deviation of one way's time, as far as the middle half of the small messages tells."""

    def seconds(self, n_bytes: int) -> float:
        """Of a lone message."""
        return self.fixed_seconds + n_bytes / self.bytes_per_second


def find_link(ask: Callable[[ProbeRequest], Sequence[ProbeSample]], request: ProbeRequest) -> LinkFit:
    """The link of a request, whose sizes, rounds and messages are chosen here.

    Raises:
        NodeError: What `ask` raises.
    """

    def probe(sizes_bytes: Sequence[int], n_rounds: int, n_messages: int) -> Sequence[ProbeSample]:
        return ask(replace(request, sizes_bytes=tuple(sizes_bytes), n_rounds=n_rounds, n_messages=n_messages))

    return fit_link(probe_adaptively(probe))


def probe_adaptively(probe: Probe) -> tuple[ProbeSample, ...]:
    """Samples from sizes that the link carries in reasonable time: slow links are not asked for megabytes.

    The first round of each call is not counted: over a long link, a new connection needs several round trips for what
    one in use sends at once (TCP's slow start).
    """

    def settled(sizes_bytes: Sequence[int], n_rounds: int, n_messages: int) -> Sequence[ProbeSample]:
        return probe(sizes_bytes, n_rounds + 1, n_messages)[len(sizes_bytes) :]

    samples = list(settled(SIZES_BYTES[:2], ROUNDS[0], 1))
    for size in SIZES_BYTES[2:]:
        seconds = _lone_seconds(samples, size)
        if seconds > LONGEST_SECONDS:
            break
        samples.extend(settled((size,), _within(ROUNDS, ROUND_SECONDS / seconds), 1))
    samples.extend(settled(SIZES_BYTES[:2], _within(ROUNDS, ROUND_SECONDS / _lone_seconds(samples, 0)), 1))
    size = max(sample.n_bytes for sample in samples)
    sending_seconds = size / fit_link(samples).bytes_per_second
    n_messages = _within(MESSAGES, LONGEST_SECONDS / sending_seconds)
    samples.extend(settled((size,), ROUNDS[0], n_messages))
    return tuple(samples)


def _lone_seconds(samples: Sequence[ProbeSample], n_bytes: int) -> float:
    """Round trip with a message of a size that may not have been tried."""
    fit = fit_link(samples)
    return 2 * fit.fixed_seconds + n_bytes / fit.bytes_per_second


def fit_link(samples: Sequence[ProbeSample]) -> LinkFit:
    """One direction, from round trips with an empty answer.

    The medians per size of lone messages are fitted by relative least squares. With one clock only the sum of both
    directions' fixed part is seen; half of it is given to each. What each further message of a row adds is the time for
    which it keeps the link busy; never more than it takes alone.

    Raises:
        MeasurementError: Fewer than two sizes.
    """
    lone = [sample for sample in samples if sample.n_messages == 1]
    round_trip, seconds_per_byte = fit_line([(sample.n_bytes, sample.round_trip_seconds) for sample in lone])
    rate = 1 / max(seconds_per_byte, 1 / FASTEST)
    return LinkFit(
        fixed_seconds=round_trip / 2,
        bytes_per_second=rate,
        busy_bytes_per_second=min(max([rate, *_busy_rates(samples)]), FASTEST),
        jitter_seconds=_jitter(lone),
    )


def _busy_rates(samples: Sequence[ProbeSample]) -> list[float]:
    """Bytes per second that a row of messages adds, of each row's size and length."""
    rows = sorted({(sample.n_bytes, sample.n_messages) for sample in samples if sample.n_messages > 1})
    added = [(n, (_median(samples, n, k) - _median(samples, n, 1)) / (k - 1)) for n, k in rows]
    return [n_bytes / max(seconds, n_bytes / FASTEST) for n_bytes, seconds in added if n_bytes]


def _median(samples: Sequence[ProbeSample], n_bytes: int, n_messages: int) -> float:
    return statistics.median(
        sample.round_trip_seconds for sample in samples if (sample.n_bytes, sample.n_messages) == (n_bytes, n_messages)
    )


def _jitter(lone: Sequence[ProbeSample]) -> float:
    """The smallest messages' deviation by the median absolute one; a round trip adds the variances of two ways."""
    least = min(sample.n_bytes for sample in lone)
    middle = _median(lone, least, 1)
    spread = statistics.median(abs(sample.round_trip_seconds - middle) for sample in lone if sample.n_bytes == least)
    return MAD_TO_DEVIATION * spread / 2**0.5


def _within(limits: tuple[int, int], wanted: float) -> int:
    return max(limits[0], min(limits[1], int(wanted)))
