"""Devices that compute on the same cores."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from partitioner.media import repeated_names


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedProcessor:
    """Cores of one machine that several devices compute on, so that their busy times add up."""

    name: str
    shares: tuple[tuple[str, float], ...]
    """(device, weight): the part of the cores, above 0 and up to 1, that the device keeps busy while it is busy."""


def processor_faults(processors: Sequence[SharedProcessor]) -> Iterator[str]:
    """What is wrong with processors: names, weights, and devices that stand twice on one."""
    yield from repeated_names(processors, "processors")
    for processor in processors:
        for device, weight in processor.shares:
            if not 0 < weight <= 1:
                yield f"processor {processor.name!r} gives {device!r} the weight {weight}, wanted above 0 and up to 1"
        for device in _repeated(device for device, _ in processor.shares):
            yield f"processor {processor.name!r} names {device!r} twice"


def devices_of_two(processors: Sequence[SharedProcessor]) -> Iterator[str]:
    """A fault for each device that is on two processors, for those who know one processor a device."""
    for device in _repeated(device for processor in processors for device in dict(processor.shares)):
        yield f"device {device!r} is on two processors"


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, n_times in Counter(names).items() if n_times > 1)
