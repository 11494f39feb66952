"""Whether a node lives, from what its heartbeat brought. Pure: moments are given by the caller."""

import math
from dataclasses import dataclass
from enum import Enum

BEAT_SECONDS = 0.5
"""From beat to beat."""
ANSWER_SECONDS = 1.0
"""A beat is missed when it is not answered for so long."""
SILENCE_SECONDS = 3.0
"""A node that says nothing for so long is lost; one more beat may pass until that is noticed."""
RETRY_SECONDS = 0.1
"""Pause after a beat that was refused."""
MOST_REFUSALS = 2
"""Beats refused in a row that mean that nobody is there; a single one may be a connection that was reset."""


class Turn(Enum):
    """What a beat changed."""

    LOST = "lost"
    BACK = "back"
    RESTARTED = "restarted"
    """Another process answers, without a beat having been missed: it holds no stages."""


@dataclass(slots=True)
class Pulse:
    """What is known of one node. It lives until the contrary is known."""

    last_heard_at: float
    """When it was first looked at, or last answered."""
    asked_at: float = -math.inf
    """When the beat began that it answered last."""
    instance: str = ""
    """Of the process that answered last; empty until one has."""
    is_alive: bool = True
    answering_since: float = 0.0
    """When it began to answer every beat; infinite while it misses them."""
    reason: str = ""
    """Why it is lost."""
    n_refused: int = 0

    def hear(self, began: float, at: float, instance: str) -> Turn | None:
        """A beat that began at `began` was answered at `at`."""
        is_other = self.is_other(instance)
        was_alive = self.is_alive
        self.asked_at, self.last_heard_at, self.instance = began, at, instance
        self.n_refused = 0
        if not self.is_answering or is_other:
            self.answering_since = at
        if was_alive and not is_other:
            return None
        self.is_alive, self.reason = True, ""
        return Turn.RESTARTED if was_alive else Turn.BACK

    def miss(self, began: float, at: float, error: str) -> Turn | None:
        """A beat that began at `began` failed at `at`."""
        is_refused = at - began < ANSWER_SECONDS / 2
        self.n_refused = self.n_refused + 1 if is_refused else 0
        self.answering_since = math.inf
        if not self.is_alive or (self.n_refused < MOST_REFUSALS and self.silence(at) < SILENCE_SECONDS):
            return None
        why = "refuses connections" if self.n_refused >= MOST_REFUSALS else "does not answer"
        self.is_alive = False
        self.reason = f"{why} (last heard {self.silence(at):.1f} s ago): {error}"
        return Turn.LOST

    @property
    def is_answering(self) -> bool:
        """Whether the last beat was answered."""
        return self.answering_since < math.inf

    def is_other(self, instance: str) -> bool:
        """Whether it is another process than the one that answered before."""
        return bool(self.instance) and instance != self.instance

    def silence(self, now: float) -> float:
        """Seconds since it was last heard."""
        return now - self.last_heard_at

    @property
    def pause_seconds(self) -> float:
        """Until the next beat: short while it is not clear what is going on."""
        if self.is_answering or not self.is_alive:
            return BEAT_SECONDS
        return RETRY_SECONDS if self.n_refused else 0.0
