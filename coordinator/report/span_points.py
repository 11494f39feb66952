"""Measured spans of several units beside the sum of their units, which is more: each unit is a session of its own."""

from dataclasses import dataclass

from partitioner.profile import DeviceProfile, SegmentTiming

PREFIX, SUFFIX, WHOLE, SEGMENT = "prefix", "suffix", "whole model", "segment"
KINDS = (PREFIX, SUFFIX, SEGMENT, WHOLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanPoint:
    """One measured span of several units."""

    kind: str
    """One of `KINDS`."""
    sum_seconds: float
    """Of its units, each timed alone."""
    timing: SegmentTiming

    @property
    def share(self) -> float:
        """Measured time over the sum of the units."""
        return self.timing.seconds / self.sum_seconds


def span_points(device: DeviceProfile, n_units: int) -> tuple[SpanPoint, ...]:
    """Every measured span of several units all of which were timed alone, the shortest first."""
    alone = {timing.start: timing.seconds for timing in device.segments if timing.stop == timing.start + 1}
    points = [
        SpanPoint(
            kind=_kind(timing, n_units),
            sum_seconds=sum(alone[unit] for unit in range(*timing.span)),
            timing=timing,
        )
        for timing in device.segments
        if timing.stop - timing.start > 1 and all(unit in alone for unit in range(*timing.span))
    ]
    return tuple(sorted(points, key=lambda point: point.sum_seconds))


def _kind(timing: SegmentTiming, n_units: int) -> str:
    if timing.span == (0, n_units):
        return WHOLE
    if timing.start == 0:
        return PREFIX
    return SUFFIX if timing.stop == n_units else SEGMENT
