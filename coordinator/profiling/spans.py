"""Which spans of a network are timed."""

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile

from partitioner.profile import Profile

Span = tuple[int, int]
"""Units [start, stop)."""

N_RANDOM_SEGMENTS = 12


def spans_to_profile(n_units: int, seed: int) -> tuple[Span, ...]:
    """Every unit, the whole, log-spaced prefixes and suffixes, and random segments."""
    units = [(position, position + 1) for position in range(n_units)]
    lengths = sorted({round(n_units ** (step / 6)) for step in range(1, 6)} | {n_units // 2, 3 * n_units // 4})
    lengths = [length for length in lengths if 1 < length < n_units]
    prefixes = [(0, length) for length in lengths]
    suffixes = [(n_units - length, n_units) for length in lengths]
    return tuple(dict.fromkeys([*units, (0, n_units), *prefixes, *suffixes, *_random_spans(n_units, seed)]))


def _random_spans(n_units: int, seed: int) -> list[Span]:
    if n_units < 4:
        return []
    rng = random.Random(seed)  # noqa: S311 - a choice of segments is no secret
    ends = [sorted(rng.sample(range(n_units + 1), 2)) for _ in range(N_RANDOM_SEGMENTS)]
    return [(start, stop) for start, stop in ends]


def fit_spans(
    spans: Sequence[Span], n_units: int, weight_bytes: Callable[[int, int], int], memory_bytes: int
) -> tuple[Span, ...]:
    """The spans, each that is too large for a device replaced by the longest ones in it that fit.

    A prefix keeps its start, a suffix its stop; the whole model and a segment give one of each kind. A unit that is too
    large alone leaves nothing.

    Args:
        spans: Of a network.
        n_units: Of that network.
        weight_bytes: Of units [start, stop).
        memory_bytes: Of the device. Weights must stay below it.
    """

    def fits(start: int, stop: int) -> bool:
        return weight_bytes(start, stop) < memory_bytes

    def shrunk(start: int, stop: int) -> Iterable[Span]:
        if fits(start, stop):
            yield start, stop
            return
        is_suffix = stop == n_units and start > 0
        is_prefix = start == 0 and stop < n_units
        stops = list(takewhile(lambda end: fits(start, end), range(start + 1, stop)))
        starts = list(takewhile(lambda first: fits(first, stop), range(stop - 1, start, -1)))
        if stops and not is_suffix:
            yield start, stops[-1]
        if starts and not is_prefix:
            yield starts[-1], stop

    return tuple(dict.fromkeys(found for span in spans for found in shrunk(*span)))


def unmeasured_spans(profile: Profile, stages: Iterable[tuple[str, int, int]]) -> dict[str, tuple[Span, ...]]:
    """Those of the stages (device, start, stop) that the profile has no direct time for, by device."""
    known = {(device.device, timing.start, timing.stop) for device in profile.devices for timing in device.segments}
    wanted = dict.fromkeys(stage for stage in stages if stage not in known)
    return {
        device: tuple((start, stop) for name, start, stop in wanted if name == device)
        for device in dict.fromkeys(name for name, _, _ in wanted)
    }
