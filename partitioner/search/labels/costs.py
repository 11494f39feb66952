"""A problem as the engine `labels` wants it: figures of stages and hops by type, peaks rounded up to a grid."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.encoding import EncodedPlan, EncodedPlans, evaluate
from partitioner.search.exact.tables import ExactTables, build_tables, link_ends
from partitioner.search.labels.arrays import Costs
from partitioner.search.problem import BOTTLENECK, LATENCY, Quantity, SearchProblem

LEVEL_STEP = 1.02
"""Ratio of caps where the sum of a shared resource is above every single stage and hop."""
LEAST_LEVEL = 1e-12
"""Seconds: below what any hop keeps a medium busy, or a stage a processor."""
GRID_MARGIN = 1e-6
"""The grid of peaks is by this share of the accuracy finer than the accuracy, for rounding."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelProblem:
    """A problem, numbered."""

    problem: SearchProblem
    tables: ExactTables
    costs: Costs
    names: tuple[str, ...]
    """(n_figures,) quantities: sums that are objectives, other bounded sums, shared resources, peaks that are
    objectives."""
    n_objective_sums: int
    n_shared: int
    """Shared media and processors, whose sums are part of the bottleneck; 0 where it is neither objective nor
    bounded."""
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
    def shared(self) -> slice:
        """The figures of shared media and processors."""
        return slice(self.costs.n_sums - self.n_shared, self.costs.n_sums)

    @property
    def bottleneck(self) -> int:
        """The figure of the bottleneck, without what is shared adds up to; -1 where it is no objective."""
        return self.names.index(BOTTLENECK) if BOTTLENECK in self.names else -1

    @property
    def sweeps_shared(self) -> bool:
        """Whether the bottleneck is swept, and may be the sum of a shared resource."""
        return self.n_shared > 0 and self.swept == self.bottleneck

    def bounds(self, cap: float = np.inf) -> FloatArray:
        """(n_figures,) the most of each under a cap of the swept peak.

        Bounds of peaks are kept by what stages and hops are possible.
        """
        bounds = self.problem.bounds
        most = np.array([bounds.get(name, np.inf) for name in self.names])
        most[self.shared] = min(bounds.get(BOTTLENECK, np.inf), cap if self.sweeps_shared else np.inf)
        most[self.costs.n_sums :] = np.inf
        return most

    def whole(self, figures: FloatArray) -> FloatArray:
        """(n_plans, n_figures) of whole plans, in which the bottleneck is no less than the sum of what is shared."""
        if not self.n_shared or self.bottleneck < 0:
            return figures
        found = figures.copy()
        found[:, self.bottleneck] = np.maximum(found[:, self.bottleneck], found[:, self.shared].max(axis=1))
        return found

    @cached_property
    def levels(self) -> FloatArray:
        """(n_levels,) ascending: all that the swept peak of a plan can be; one infinity where none is swept.

        With shared resources they are caps that lie close: their sums can be anything.
        """
        if self.swept < 0:
            return np.array([np.inf])
        found = np.concatenate([self.costs.stage[..., self.swept].ravel(), self.costs.hop[..., self.swept].ravel()])
        levels = np.unique(found[np.isfinite(found)])
        return np.append(levels, self._levels_above(levels)) if self.sweeps_shared and len(levels) else levels

    def _levels_above(self, levels: FloatArray) -> FloatArray:
        """Caps between the largest single stage or hop and the most that a shared resource may sum up to."""
        parts = self.costs.hop[..., self.shared], self.costs.stage[..., self.shared]
        largest = max(float(np.max(part, initial=0.0, where=np.isfinite(part))) for part in parts)
        most = (self.problem.max_stages + 1) * largest
        most, least = 2 * most, max(float(levels[-1]), LEAST_LEVEL)
        if most <= least:
            return np.empty(0)
        n_steps = int(np.ceil(np.log(most / least) / np.log(LEVEL_STEP)))
        return np.asarray(least * LEVEL_STEP ** np.arange(1, n_steps + 1), dtype=np.float64)

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
    shared = [*_media_by_type(problem, tables), *_processors_by_type(problem, tables)]
    parts[len(sums) : len(sums)] = shared
    names = [quantity.name for quantity in chosen]
    names[len(sums) : len(sums)] = [f"shared {index}" for index in range(len(shared))]
    chain = tables.chain
    return LabelProblem(
        problem=problem,
        tables=tables,
        costs=Costs(
            stage=np.ascontiguousarray(np.stack([stage for stage, _ in parts], axis=-1)),
            hop=np.ascontiguousarray(np.stack([hop for _, hop in parts], axis=-1)),
            n_sums=len(sums) + len(shared),
            type_of=chain.type_of,
            next_row=chain.next_row,
            first_row=chain.first_row,
            edges=chain.edges,
        ),
        names=tuple(names),
        n_objective_sums=sum(quantity.name in problem.objectives for quantity in sums),
        n_shared=len(shared),
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


def _media_by_type(problem: SearchProblem, tables: ExactTables) -> list[tuple[FloatArray, FloatArray]]:
    """Stages and hops of each shared medium, as `_by_type`; none where no quantity of the problem counts them."""
    if problem.media_seconds is None or not problem.shares_resources:
        return []
    chain, ends = tables.chain, link_ends(problem, tables.types.members)
    stage = np.where(np.isfinite(chain.seconds), 0.0, np.inf)
    hops = (medium[ends][:, :, problem.positions] for medium in problem.media_seconds)
    return [(stage, np.where(np.isfinite(chain.hops), hop, np.inf)) for hop in hops]


def _processors_by_type(problem: SearchProblem, tables: ExactTables) -> list[tuple[FloatArray, FloatArray]]:
    """Stages and hops of each shared processor, as `_media_by_type`."""
    if problem.processor_weights is None or not problem.shares_resources:
        return []
    chain, kinds = tables.chain, [members[0] for members in tables.types.members]
    is_stage, hop = np.isfinite(chain.seconds), np.where(np.isfinite(chain.hops), 0.0, np.inf)
    work = np.where(is_stage, chain.work, 0.0)
    stages = (weights[kinds][:, None, None] * work for weights in problem.processor_weights)
    return [(np.where(is_stage, stage, np.inf), hop) for stage in stages]
