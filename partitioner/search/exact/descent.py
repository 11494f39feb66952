"""The exact engine's way down: from the fastest plan to the least bottleneck, interval by interval."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from partitioner.search.encoding import EncodedPlan
from partitioner.search.exact.arrays import Labels
from partitioner.search.exact.interval import Found, Limit, doubled, find_limit, find_plans, make_labels
from partitioner.search.exact.tables import ExactTables, build_tables
from partitioner.search.problem import SearchProblem

LEAST_ROOM = 2_000
"""Labels for which there always is room."""
CELLS_PER_LABEL = 40
"""There is room for so many times fewer labels than the tables have cells: filling either takes about as long."""
NARROW = 1e-6
"""Relative distance of bounds below which none is laid between; the labels get more room instead."""
KEPT_LIMITS = 4
"""Limits that keep their tables while they wait; those of the others are made again when their turn comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A step down the front."""

    found: tuple[Found, ...]
    """Every plan of the front between the bound of the part before and this one's; others may be among them."""
    bound: float
    """All of the front with a bottleneck above this is found."""


def front_parts(problem: SearchProblem) -> Iterator[Part]:
    """The front, part by part, least latency first; what is behind one table may give several parts, or empty ones."""
    tables = build_tables(problem)
    labels = _room(tables)
    upper = find_limit(tables, np.inf)
    fastest, labels = _fastest(problem, tables, upper, labels)
    if not fastest:
        return
    upper = replace(upper, bound=float(np.nextafter(fastest[-1].bottleneck, -np.inf)))
    yield Part(found=tuple(fastest), bound=upper.bound)
    waiting = [Limit(bound=float(np.nextafter(0.0, -np.inf)), latency=np.inf, rest=None)]
    while waiting:
        lower = waiting[-1]
        found = find_plans(problem, tables, upper, lower.latency, labels)
        if found is not None:
            waiting.pop()
            yield Part(found=tuple(found), bound=lower.bound)
            if waiting:
                upper = lower if lower.rest else find_limit(tables, lower.bound)
        elif upper.bound - lower.bound > NARROW * upper.bound:
            waiting = _halved(tables, upper, waiting)
            yield Part(found=(), bound=upper.bound)
        else:
            labels = doubled(labels)


def fastest_plan(problem: SearchProblem, bound: float) -> EncodedPlan | None:
    """The plan of least latency with no resource busier than `bound` seconds; None where there is none."""
    tables = build_tables(problem)
    fastest, _ = _fastest(problem, tables, find_limit(tables, bound), _room(tables))
    return fastest[0].plan if fastest else None


def _room(tables: ExactTables) -> Labels:
    n_rows, n_positions = tables.shape
    return make_labels(tables, max(LEAST_ROOM, n_rows * n_positions // CELLS_PER_LABEL))


def _fastest(problem: SearchProblem, tables: ExactTables, limit: Limit, labels: Labels) -> tuple[list[Found], Labels]:
    """The plans of least latency, to rounding, and the labels with the room that this took."""
    while (found := find_plans(problem, tables, limit, limit.latency, labels)) is None:
        labels = doubled(labels)
    return found, labels


def _halved(tables: ExactTables, upper: Limit, waiting: list[Limit]) -> list[Limit]:
    """Another limit half way between `upper` and the next below, in place of that one where no plan keeps it."""
    middle = find_limit(tables, (upper.bound + waiting[-1].bound) / 2)
    if not np.isfinite(middle.latency):
        return [replace(middle, rest=None)]
    return [*(replace(limit, rest=None) for limit in waiting[:-KEPT_LIMITS]), *waiting[-KEPT_LIMITS:], middle]
