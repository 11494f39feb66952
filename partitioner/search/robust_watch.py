"""The budget and the progress of a search in several parts."""

from partitioner.search.outcome import Effort


class Watch:
    """How much is left of a budget. Not for several threads."""

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._began = effort.clock()

    def is_over(self, share: float = 1.0) -> bool:
        """Whether this share of the budget is spent."""
        left = self._left(share)
        return left is not None and left <= 0

    def effort(self, share: float = 1.0) -> Effort:
        """For an engine that may use what is left of this share of the budget; it tells nobody."""
        return Effort(budget_seconds=self._left(share), clock=self._effort.clock)

    def tell(self, fraction: float, message: str) -> None:
        """Tells how far the whole is."""
        self._effort.on_progress(fraction, message)

    def _left(self, share: float) -> float | None:
        budget = self._effort.budget_seconds
        return None if budget is None else share * budget - (self._effort.clock() - self._began)
