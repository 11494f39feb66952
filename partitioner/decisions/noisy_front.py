"""How sure a front is: plans and hypervolume, given the noise of what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partitioner.comparison import beyond
from partitioner.decisions.resampling import N_DRAWS, Runs, Statistic, figure_of, interval_of, joint_draws
from partitioner.front import FloatArray, front_indices, is_dominated
from partitioner.hypervolume import hypervolume

SURE = 0.9
"""Plans at least so probably on the front are called sure members of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoisyFront:
    """A measured front and how firm it is."""

    points: tuple[tuple[float, ...], ...]
    """Figures of each plan, all minimised."""
    front: tuple[int, ...]
    """Plans on the front of these figures, least in the first objective first."""
    probabilities: tuple[float, ...]
    """Of each plan: share of the draws in which no other plan dominates it."""
    reference: tuple[float, ...]
    hypervolume: float
    """Against `reference`."""
    low_hypervolume: float
    """95 % interval."""
    high_hypervolume: float
    n_draws: int

    @property
    def sure(self) -> tuple[int, ...]:
        """Plans that are on the front with a probability of `SURE` at least."""
        return tuple(index for index, share in enumerate(self.probabilities) if share >= SURE)


def noisy_front(
    plans: Sequence[Sequence[Runs]],
    statistics: Sequence[Statistic],
    *,
    reference: Sequence[float] | None = None,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> NoisyFront:
    """The front of measured plans.

    Args:
        plans: Of each plan the runs of each figure, as for `resampling.joint_draws`; all figures are minimised.
        statistics: One for each figure.
        reference: Of hypervolumes; a little worse than the worst figures where None.
        n_draws: How often the measurement is drawn anew.
        seed: Of the draws.

    Raises:
        ValueError: There are no plans, or see `resampling.joint_draws`.
    """
    if not plans:
        raise ValueError("A front wants at least one plan; got none.")
    draws = joint_draws(plans, statistics, n_draws=n_draws, seed=seed)
    points = np.array([[figure_of(runs, how) for runs, how in zip(plan, statistics, strict=True)] for plan in plans])
    corner = tuple(float(figure) for figure in (beyond(points) if reference is None else reference))
    volume = hypervolume(points, corner)
    volumes = np.array([hypervolume(draw, corner) for draw in draws])
    low, high = interval_of(volume, volumes, min(len(plan[0]) for plan in plans))
    return NoisyFront(
        points=tuple(tuple(point) for point in points.tolist()),
        front=tuple(front_indices(points).tolist()),
        probabilities=tuple(front_probabilities(draws).tolist()),
        reference=corner,
        hypervolume=volume,
        low_hypervolume=max(low, 0.0),
        high_hypervolume=high,
        n_draws=n_draws,
    )


def front_probabilities(draws: npt.ArrayLike) -> FloatArray:
    """(n_plans,) share of the draws (n_draws, n_plans, n_objectives) in which no plan dominates each."""
    array = np.asarray(draws, dtype=np.float64)
    shares: FloatArray = np.mean([~is_dominated(draw) for draw in array], axis=0)
    return shares


def jaccard(one: Sequence[object], other: Sequence[object]) -> float:
    """What two sets have in common, over what either has; 1 of two empty ones."""
    first, second = set(one), set(other)
    return len(first & second) / len(first | second) if first | second else 1.0
