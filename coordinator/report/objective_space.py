"""Plans in the space of several objectives, as plain numbers in the units in which they are shown."""

from dataclasses import dataclass

import numpy as np

from coordinator.report.names import printable
from coordinator.report.text import power_words
from partitioner.front import BoolArray, FloatArray, is_dominated
from partitioner.plan import Candidate
from partitioner.search.result import SearchResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One axis."""

    name: str
    unit: str
    """As it is shown; empty for a plain number."""
    is_maximised: bool = False

    @property
    def title(self) -> str:
        """`latency (ms)`."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveSpace:
    """A front of two or more objectives.

    Raises:
        ValueError: The lengths do not fit, a figure is not finite, or `chosen` is no index.
    """

    objectives: tuple[Objective, ...]
    points: tuple[tuple[float, ...], ...]
    """One for each plan, one figure for each objective."""
    labels: tuple[str, ...]
    """One for each plan."""
    chosen: int | None = None
    """Index of the plan that is marked."""

    def __post_init__(self) -> None:
        n_plans, n_objectives = len(self.points), len(self.objectives)
        if n_objectives < 2 or not n_plans or {len(point) for point in self.points} != {n_objectives}:
            raise ValueError(f"Points want one figure for each of two or more objectives, got {n_objectives} of them.")
        if len(self.labels) != n_plans or not (self.chosen is None or 0 <= self.chosen < n_plans):
            raise ValueError(f"{n_plans} points want as many labels and a chosen one among them, or None.")
        if not np.all(np.isfinite(self.points)):
            raise ValueError("Points want finite figures.")

    @property
    def minimised(self) -> FloatArray:
        """(n_plans, n_objectives) float64, those that are maximised negated."""
        signs = [-1.0 if objective.is_maximised else 1.0 for objective in self.objectives]
        return np.asarray(self.points, dtype=np.float64) * signs

    @property
    def goodness(self) -> FloatArray:
        """(n_plans, n_objectives) float64 from 0, the worst of the front, to 1, its best; 1 where all are alike."""
        costs = self.minimised
        worst, span = costs.max(axis=0), np.ptp(costs, axis=0)
        goodness: FloatArray = np.where(span > 0, (worst - costs) / np.where(span > 0, span, 1.0), 1.0)
        return goodness

    def column(self, objective: int) -> list[float]:
        """Figures of all plans in one objective."""
        return [point[objective] for point in self.points]

    def is_on_front_of(self, one: int, other: int) -> BoolArray:
        """(n_plans,) whether no plan is better in this pair of objectives alone."""
        mask: BoolArray = ~is_dominated(self.minimised[:, [one, other]])
        return mask


_SHOWN = {
    "latency_seconds": (Objective(name="latency", unit="ms"), 1e3),
    "bottleneck_seconds": (Objective(name="bottleneck", unit="ms"), 1e3),
    "sample_seconds": (Objective(name="time per sample", unit="ms"), 1e3),
    "memory_bytes": (Objective(name="memory", unit="MiB"), 2.0**-20),
    "energy_joules": (Objective(name="energy", unit="J"), 1.0),
    "wire_bytes": (Objective(name="sent", unit="MB"), 1e-6),
    "output_error": (Objective(name="output error", unit="%"), 1e2),
}
"""Fields of a `CostEstimate` as they are drawn, and what they are multiplied by."""


def objective_words(result: SearchResult) -> tuple[str, ...]:
    """The objectives of a search, in words."""
    return tuple(_SHOWN[name][0].name for name in result.objectives)


def objective_space(result: SearchResult, chosen: Candidate | None = None) -> ObjectiveSpace:
    """The front of a search as it is drawn."""
    shown = [_SHOWN[name] for name in result.objectives]
    power = power_words(candidate.cost for candidate in result.front)
    if "energy_joules" in result.objectives and power:
        index = result.objectives.index("energy_joules")
        shown[index] = (Objective(name=f"energy, {power}", unit="J"), 1.0)
    plans = [candidate.plan for candidate in result.front]
    return ObjectiveSpace(
        objectives=tuple(objective for objective, _ in shown),
        points=tuple(
            tuple(
                getattr(candidate.cost, name) * scale for name, (_, scale) in zip(result.objectives, shown, strict=True)
            )
            for candidate in result.front
        ),
        labels=tuple(printable(plan.describe()) for plan in plans),
        chosen=plans.index(chosen.plan) if chosen is not None and chosen.plan in plans else None,
    )
