"""Devices that compute on the same cores."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from partitioner.media import repeated_names


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedProcessor:
    """Cores of one machine that several devices compute on, so that their busy times add up."""

    name: str
    shares: tuple[tuple[str, float], ...]
    """(device, weight): the part of the cores, above 0 and up to 1, that the device keeps busy while it is busy."""


def processor_faults(processors: Sequence[SharedProcessor]) -> Iterator[str]:
    """What is wrong with processors; a device computes on one of them at most."""
    yield from repeated_names(processors, "processors")
    for processor in processors:
        for device, weight in processor.shares:
            if not 0 < weight <= 1:
                yield f"processor {processor.name!r} gives {device!r} the weight {weight}, wanted above 0 and up to 1"
    counts = Counter(device for processor in processors for device, _ in processor.shares)
    for device in sorted(device for device, n_times in counts.items() if n_times > 1):
        yield f"device {device!r} is on {counts[device]} shared processors, wanted 1"
