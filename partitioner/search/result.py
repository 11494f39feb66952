"""What a search returns."""

from dataclasses import dataclass

from partitioner.plan import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """How far the front may be from the true one, under the cost model."""

    is_exact: bool
    statement: str
    """One sentence for people."""
    hypervolume: float
    """Of this front, against `reference`."""
    exact_hypervolume: float | None
    """Of the exact front against the same reference, where it was computed."""
    reference: tuple[float, float]
    """(latency_seconds, bottleneck_seconds), worse than every point."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The front, sorted by latency, and how it was found."""

    engine: str
    front: tuple[Candidate, ...]
    """No candidate dominates another in (latency, bottleneck); least latency first."""
    dominated: tuple[Candidate, ...]
    """Other candidates that were looked at, for the picture: a sample, never all."""
    certificate: Certificate
    seed: int
    seconds: float
    n_evaluated: int
