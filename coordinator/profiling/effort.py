"""How much is spent on a node's profile, and who is told how far it is."""

from collections.abc import Callable
from dataclasses import dataclass

from coordinator.profiling.power import SPAN_SECONDS

OnProgress = Callable[[str, int, int, str], None]
"""Called with node, done, total and what is being done; from several threads."""

TOLERANCE = 0.02
N_ROUNDS = 200


def ignore_progress(_node: str, _done: int, _total: int, _what: str) -> None:
    """Takes progress and shows nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileEffort:
    """What may be spent on one node."""

    n_rounds: int = N_ROUNDS
    """At most so often each span is timed."""
    budget_seconds: float = 60.0
    """For all spans together; three rounds are made in any case."""
    tolerance: float = TOLERANCE
    """A span is no longer timed once half the 95 % interval of its median, over the median, is at most this."""
    seed: int = 0
    """Of the order in each round."""
    power_span_seconds: float = SPAN_SECONDS
    """Of quiet, and between readings, on a node with an energy meter."""
