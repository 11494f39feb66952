"""A problem as the engine `labels` wants it: figures of stages and hops by type, peaks rounded up to a grid."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.encoding import EncodedPlan, EncodedPlans, evaluate
from partitioner.search.exact.tables import ExactTables, build_tables
from partitioner.search.labels.arrays import Costs
from partitioner.search.problem import BOTTLENECK, LATENCY, Quantity, SearchProblem

GRID_MARGIN = 1e-6
"""The grid of peaks is by this share of the accuracy finer than the accuracy, for rounding."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelProblem:
    """A problem, numbered."""

    problem: SearchProblem
    tables: ExactTables
    costs: Costs
    names: tuple[str, ...]
    """(n_figures,) quantities: sums that are objectives, other bounded sums, peaks that are objectives."""
    n_objective_sums: int
    accuracy: float

    @property
    def swept(self) -> int:
        """The figure whose range is searched part by part: the last peak; -1 where there is none."""
        return len(self.names) - 1 if len(self.names) > self.costs.n_sums else -1

    @property
    def covered(self) -> IntArray:
        """(n,) the figures in which known plans cover others: objectives but the swept one."""
        peaks = range(self.costs.n_sums, len(self.names) - (self.swept >= 0))
        return np.array([*range(self.n_objective_sums), *peaks], dtype=np.int64)

    @property
    def bounds(self) -> FloatArray:
        """(n_figures,) the most of each; bounds of peaks are kept by what stages and hops are possible."""
        bounds = self.problem.bounds
        most = [bounds.get(name, np.inf) for name in self.names[: self.costs.n_sums]]
        return np.array([*most, *[np.inf] * (len(self.names) - self.costs.n_sums)])

    @cached_property
    def levels(self) -> FloatArray:
        """(n_levels,) all that the swept peak of a plan can be, ascending; one infinity where none is swept."""
        if self.swept < 0:
            return np.array([np.inf])
        found = np.concatenate([self.costs.stage[..., self.swept].ravel(), self.costs.hop[..., self.swept].ravel()])
        return np.unique(found[np.isfinite(found)])

    def points(self, plans: EncodedPlans) -> FloatArray:
        """(n_plans, n_figures) of plans, peaks rounded up; infinity where not allowed, 0 for what is only bounded."""
        objectives = evaluate(self.problem, plans)
        found = np.zeros((len(plans), len(self.names)))
        for figure, name in enumerate(self.names):
            if name in self.problem.objectives:
                column = objectives[:, self.problem.objectives.index(name)]
                found[:, figure] = column if figure < self.costs.n_sums else round_up(column, self.accuracy)
        return found

    def decoded(self, kinds: list[int], stops: list[int]) -> EncodedPlan:
        """The plan of stages on devices of some types that stop at some indices of allowed positions."""
        positions = self.problem.positions[stops].tolist()
        return list(zip(self.tables.types.take(kinds), positions, strict=True))


def label_problem(problem: SearchProblem, accuracy: float) -> LabelProblem:
    """Numbers a problem.

    Raises:
        PlanError: It has too many states.
    """
    tables = build_tables(problem)
    wanted = [quantity for quantity in problem.quantities if quantity.name in {*problem.objectives, *problem.bounds}]
    sums = [quantity for quantity in wanted if not quantity.is_peak]
    peaks = [quantity for quantity in wanted if quantity.is_peak and quantity.name in problem.objectives]
    chosen = sorted(sums, key=lambda quantity: quantity.name not in problem.objectives)
    chosen += sorted(peaks, key=lambda quantity: quantity.name != BOTTLENECK)
    parts = [_by_type(problem, tables, quantity, accuracy) for quantity in chosen]
    chain = tables.chain
    return LabelProblem(
        problem=problem,
        tables=tables,
        costs=Costs(
            stage=np.ascontiguousarray(np.stack([stage for stage, _ in parts], axis=-1)),
            hop=np.ascontiguousarray(np.stack([hop for _, hop in parts], axis=-1)),
            n_sums=len(sums),
            type_of=chain.type_of,
            next_row=chain.next_row,
            first_row=chain.first_row,
            edges=chain.edges,
        ),
        names=tuple(quantity.name for quantity in chosen),
        n_objective_sums=sum(quantity.name in problem.objectives for quantity in sums),
        accuracy=accuracy,
    )


def round_up(peaks: FloatArray, accuracy: float) -> FloatArray:
    """The least of a geometric grid that is no less than each; itself where the accuracy is 0, or the peak is."""
    if not accuracy:
        return peaks
    step = np.log1p(accuracy * (1 - GRID_MARGIN))
    is_round = (peaks > 0) & np.isfinite(peaks)
    numbers = np.ceil(np.log(np.where(is_round, peaks, 1.0)) / step)
    grid = np.exp(numbers * step)
    grid = np.where(grid < peaks, np.exp((numbers + 1) * step), grid)
    return np.where(is_round, grid, peaks)


def _by_type(
    problem: SearchProblem, tables: ExactTables, quantity: Quantity, accuracy: float
) -> tuple[FloatArray, FloatArray]:
    """Stages and hops of one quantity between types at the allowed positions; infinity where there can be none."""
    chain, members = tables.chain, tables.types.members
    if quantity.name in (LATENCY, BOTTLENECK):
        stage, hop = (chain.seconds, chain.hops) if quantity.name == LATENCY else (chain.work, chain.busy)
    else:
        sources = np.array([found[0] for found in members])
        stage = quantity.stage[sources[:, None, None], problem.positions[:, None], problem.positions]
        ends = np.append(sources, problem.n_devices)
        hop = quantity.hop[ends[:, None, None], ends[:, None], problem.positions]
    stage = np.where(np.isfinite(chain.seconds), stage, np.inf)
    hop = np.where(np.isfinite(chain.hops), hop, np.inf)
    return (round_up(stage, accuracy), round_up(hop, accuracy)) if quantity.is_peak else (stage, hop)
