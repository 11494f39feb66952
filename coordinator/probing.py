"""Links as the data plane finds them: `seconds(bytes) = fixed + bytes / rate`, in both directions."""

from collections.abc import Callable, Sequence

from coordinator.statistics import fit_line
from node_agent.messages import ProbeSample

SIZES_BYTES = (0, 4 << 10, 32 << 10, 128 << 10, 512 << 10, 2 << 20)
"""Payloads tried, in rising order."""
LONGEST_SECONDS = 0.4
"""A larger payload is not tried when it would take longer than this."""

Probe = Callable[[Sequence[int], int], Sequence[ProbeSample]]
"""Times messages of the given sizes for a number of rounds."""


def probe_adaptively(probe: Probe, *, n_rounds: int = 7) -> tuple[ProbeSample, ...]:
    """Samples from sizes that the link carries in reasonable time: slow links are not asked for megabytes."""
    samples: list[ProbeSample] = list(probe(SIZES_BYTES[:2], n_rounds))
    for size in SIZES_BYTES[2:]:
        fixed, rate = fit_link(samples)
        if 2 * fixed + size / rate > LONGEST_SECONDS:
            break
        samples.extend(probe((size,), n_rounds))
    return tuple(samples)


def fit_link(samples: Sequence[ProbeSample]) -> tuple[float, float]:
    """(fixed_seconds, bytes_per_second) of one direction, from round trips with an empty answer.

    The medians per size are fitted by relative least squares. With one clock only the sum of both directions'
    fixed part is seen; half of it is given to each.

    Raises:
        MeasurementError: Fewer than two sizes.
    """
    round_trip, seconds_per_byte = fit_line([(sample.n_bytes, sample.round_trip_seconds) for sample in samples])
    return round_trip / 2, 1 / max(seconds_per_byte, 1e-11)
