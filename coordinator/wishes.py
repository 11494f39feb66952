"""What a search is asked for, in the words of the command line."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from partitioner.alike import find_kinds, level_kinds
from partitioner.bounds import FIELDS, THROUGHPUT, Bound, parse_bound
from partitioner.codec import CodecTable
from partitioner.cost import CostModel
from partitioner.errors import PlanError
from partitioner.search.building import build_problem, check_objectives, device_index
from partitioner.search.problem import BOTTLENECK, LATENCY, SearchProblem
from partitioner.search.registry import check_engine

QUANTITY_OF = {word: BOTTLENECK if word == THROUGHPUT else name for word, (name, _) in FIELDS.items()}
"""What each word minimises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchWish:
    """What to search, and how."""

    engine: str | None = None
    """None: the one that is exact for what is asked."""
    seed: int = 0
    budget_seconds: float | None = None
    accuracy: float = 0.0
    checkpoint: Path | None = None
    pinned_first: str | None = None
    pinned_last: str | None = None
    max_stages: int | None = None
    objectives: tuple[str, ...] = ("latency", THROUGHPUT)
    """Of `QUANTITY_OF`."""
    within: tuple[str, ...] = ()
    """Bounds in words."""
    codecs: tuple[str, ...] = ()
    """That boundaries may be sent in; `all` stands for all that were measured."""
    max_replicas: int = 1
    windows: tuple[int, ...] = ()
    """Most requests in flight, to be compared; none: what suits each plan."""

    def check(self, device_names: Sequence[str]) -> None:
        """Does nothing where all of it can be read and names what there is, as far as that shows before profiling.

        Raises:
            PlanError: A word or name is unknown, or the engine cannot take what is asked.
            ChoiceError: A bound cannot be read.
        """
        objectives = _quantities(self.objectives)
        bounded = [QUANTITY_OF[parse_bound(text).word] for text in self.within]
        check_objectives(objectives, bounded, self.codecs)
        engine = self.engine or "labels"  # which takes all that the engine by default could be asked
        check_engine(engine, objectives, bounded, has_checkpoint=self.checkpoint is not None)
        for pinned in (self.pinned_first, self.pinned_last):
            device_index(device_names, pinned)

    def models(self, cost_model: CostModel) -> tuple[CostModel, ...]:
        """One cost model for each window."""
        return tuple(replace(cost_model, window=window) for window in self.windows) or (cost_model,)

    def problem(self, cost_model: CostModel) -> SearchProblem:
        """The problem that is asked for; with replicas, devices of one kind count as the slowest of them.

        Raises:
            PlanError: A wish names what is not there.
            ChoiceError: A bound cannot be read.
        """
        if self.max_replicas > 1:
            cost_model = level_kinds(cost_model, find_kinds(cost_model))
        return build_problem(
            cost_model,
            pinned_first=self.pinned_first,
            pinned_last=self.pinned_last,
            max_stages=self.max_stages,
            objectives=_quantities(self.objectives),
            bounds=_bounds(tuple(map(parse_bound, self.within)), cost_model),
            codecs=_codecs(self.codecs, cost_model.codecs),
            max_replicas=self.max_replicas,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the plan of a run was searched and chosen by, so that another one can be found by the same."""

    search: SearchWish
    choose: str = "knee"
    """See `partitioner.choice`."""


def _quantities(words: Sequence[str]) -> tuple[str, ...]:
    unknown = [word for word in words if word not in QUANTITY_OF]
    if unknown:
        raise PlanError(
            f"Objectives {', '.join(map(repr, unknown))} are unknown: choose among {', '.join(QUANTITY_OF)}."
        )
    return tuple(QUANTITY_OF[word] for word in words)


def _bounds(bounds: Sequence[Bound], cost_model: CostModel) -> dict[str, float]:
    """The most of each quantity. A throughput with a window also bounds the latency: W / latency must reach it."""
    most: dict[str, float] = {}
    for bound in bounds:
        figures = {QUANTITY_OF[bound.word]: bound.figure}
        if bound.word == THROUGHPUT:
            period = cost_model.graph.batch / bound.figure if bound.figure > 0 else float("inf")
            figures = {BOTTLENECK: period}
            if cost_model.window is not None:
                figures[LATENCY] = cost_model.window * period
        for name, figure in figures.items():
            most[name] = min(figure, most.get(name, figure))
    return most


def _codecs(wanted: Sequence[str], table: CodecTable | None) -> tuple[str, ...]:
    return tuple(table.coding_of) if "all" in wanted and table is not None else tuple(wanted)
