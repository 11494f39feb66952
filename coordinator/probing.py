"""Links as the data plane finds them: `seconds(bytes) = fixed + bytes / rate`, in both directions."""

from collections.abc import Callable, Sequence

import numpy as np

from coordinator.errors import MeasurementError
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

    With one clock only the sum of both directions' fixed part is seen; half of it is given to each.

    Raises:
        MeasurementError: Fewer than two sizes.
    """
    round_trip, rate = fit_line([(sample.n_bytes, sample.round_trip_seconds) for sample in samples])
    return round_trip / 2, rate


def fit_line(samples: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """(fixed_seconds, bytes_per_second) of what takes so many seconds for so many bytes.

    The medians per size are fitted by relative least squares.

    Raises:
        MeasurementError: Fewer than two sizes.
    """
    sizes = np.array(sorted({n_bytes for n_bytes, _ in samples}), dtype=np.float64)
    if len(sizes) < 2:
        raise MeasurementError(f"A rate is fitted from at least two sizes, got {len(sizes)}: measure again.")
    medians = np.array([np.median([seconds for n_bytes, seconds in samples if n_bytes == size]) for size in sizes])
    weights = 1 / np.maximum(medians, 1e-6)
    columns = np.stack([np.ones_like(sizes), sizes], axis=1) * weights[:, None]
    (fixed, seconds_per_byte), *_ = np.linalg.lstsq(columns, medians * weights, rcond=None)
    return float(np.clip(fixed, 0.0, medians.min())), 1 / max(float(seconds_per_byte), 1e-11)
