"""What came of measuring and correcting a front."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """How a predicted front was corrected by running its own stages."""

    n_searches: int
    n_stages: int
    """That were run."""
    n_untried: int
    """Stages of the last front that were not: 0 where the front stands still."""
    seconds: float
    budget_seconds: float

    @property
    def is_settled(self) -> bool:
        """Whether all stages of the front were run as such."""
        return self.n_untried == 0

    def describe(self) -> str:
        """One sentence for people."""
        done = f"Ran {self.n_stages} stages of the front on the nodes in {self.seconds:.0f} s"
        if self.is_settled:
            return f"{done}; after {self.n_searches} searches it stands still."
        return (
            f"{done}, all that the budget of {self.budget_seconds:g} s allowed; {self.n_untried} stages of the front "
            "are predicted from the profile. Give more with --correct-seconds."
        )
