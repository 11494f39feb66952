"""What a search returns."""

from dataclasses import dataclass

from partitioner.plan import Candidate
from partitioner.search.problem import TWO_OBJECTIVES


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
    reference: tuple[float, ...]
    """One figure for each objective, worse than every point."""
    gap: float | None = None
    """For every plan there is one on the front that exceeds it by no more than this share in any objective: 0 for an
    exact front, None where no bound is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The front, sorted by its objectives, and how it was found."""

    engine: str
    front: tuple[Candidate, ...]
    """No candidate dominates another in the objectives; least in the first objective first."""
    dominated: tuple[Candidate, ...]
    """Other candidates that were looked at, for the picture: a sample, never all."""
    certificate: Certificate
    seed: int
    seconds: float
    n_evaluated: int
    objectives: tuple[str, ...] = TWO_OBJECTIVES
    """Fields of a `CostEstimate`, all minimised."""
