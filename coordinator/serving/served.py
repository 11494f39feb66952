"""What serves, as it is kept on disk: enough for another coordinator to find it."""

from dataclasses import dataclass

from partitioner.plan import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A plan that serves."""

    name: str
    """Of the deployment."""
    epoch: int
    candidate: Candidate
    folder: int | None = None
    """Inode of the run folder that it was recorded in, by which a copied folder is told from it; None where it was not
    recorded, or by an older version."""
