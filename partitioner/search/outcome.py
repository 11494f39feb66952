"""What an engine is given beside the problem, and what it gives back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from partitioner.search.encoding import EncodedPlans

Progress = Callable[[float, str], None]
"""Takes the fraction done, 0 … 1, and what is being done, in words."""
Clock = Callable[[], float]
"""Seconds from some fixed moment, never going back."""


def no_progress(fraction: float, message: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long an engine may work, from which seed, and whom it tells."""

    seed: int = 0
    budget_seconds: float | None = None
    """None: until done; an engine that never is has a limit of its own."""
    accuracy: float = 0.0
    """For engine `labels`: plans within this share of another in every objective may be dropped; 0 keeps all."""
    n_evaluations: int | None = None
    """Plans after which an evolutionary engine ends, with the generation in which they are reached."""
    checkpoint: Path | None = None
    """Where an evolutionary engine keeps its state, and goes on from where the file exists."""
    on_progress: Progress = no_progress
    clock: Clock = time.monotonic


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class EngineOutcome:
    """What an engine found."""

    plans: EncodedPlans
    """None dominates another and no two have equal objectives; least latency first; empty where none was found."""
    n_evaluated: int
    """Plans whose objectives were computed one by one."""
    is_exact: bool
    statement: str
    """Why it is exact, or how far it may be from that. One sentence."""
    gap: float | None = None
    """See `Certificate.gap`; an exact outcome has 0 whatever is said here."""
