"""How long a service waits for what."""

from dataclasses import dataclass

from coordinator.serving.lessons import AVOIDED_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for what; seconds."""

    for_nodes: float = 30.0
    """To come back, where no plan can be run without them."""
    for_answers: float = 10.0
    """While requests are in flight and all nodes live; at least ten times the latency that is predicted under load."""
    for_drain: float = 10.0
    """For a plan that was switched off to answer what it has."""
    for_settling: float = 5.0
    """For a node that is back to stay, before a plan is switched to use it; doubled by each loss within a minute."""
    for_another_try: float = AVOIDED_SECONDS
    """Of a plan or a link that failed; doubled where it fails again soon."""
