"""What an emulated link may be at any moment, and is on average; of one that changes, over all of its steps. Pure."""

from dataclasses import dataclass
from typing import Self

from node_agent.messages import LinkEmulation


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Delays one way in seconds, rates in bytes per second; rates of 0 are unlimited."""

    least_delay: float
    mean_delay: float
    most_delay: float
    least_rate: float
    mean_rate: float
    most_rate: float

    @classmethod
    def of(cls, emulation: LinkEmulation) -> Self:
        """The extent of a link."""
        steps = emulation.steps
        if not steps:
            delay, rate = emulation.delay_seconds, emulation.bytes_per_second
            return cls(
                least_delay=delay, mean_delay=delay, most_delay=delay, least_rate=rate, mean_rate=rate, most_rate=rate
            )
        total = sum(step.seconds for step in steps)
        return cls(
            least_delay=min(step.delay_seconds for step in steps),
            mean_delay=sum(step.seconds * step.delay_seconds for step in steps) / total,
            most_delay=max(step.delay_seconds for step in steps),
            least_rate=min(step.bytes_per_second for step in steps),
            mean_rate=sum(step.seconds * step.bytes_per_second for step in steps) / total,
            most_rate=max(step.bytes_per_second for step in steps),
        )
