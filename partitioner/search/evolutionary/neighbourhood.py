"""The plans one step away from a plan: the step of Pareto local search.

Source: Paquete, Chiarandini and Stützle, "Pareto local optimum sets in the biobjective traveling salesman problem: an
experimental study", Metaheuristics for Multiobjective Optimisation, 2004.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.encoding import EncodedPlan, EncodedPlans, encode_plans, join_plans
from partitioner.search.evolutionary.refilling import refill
from partitioner.search.evolutionary.settling import compact
from partitioner.search.evolutionary.variation import inserted
from partitioner.search.problem import SearchProblem

BOUNDS = (0.85, 0.95, 1.0, 1.05, 1.15)
"""Bounds, in bottlenecks of the plan, under which changed orders of devices are filled."""
MOST_INSERTIONS = 60
"""Positions at which a device is inserted; evenly spaced where there are more."""


def neighbours(problem: SearchProblem, plan: EncodedPlan, bottleneck_seconds: float) -> EncodedPlans:
    """Plans with one cut elsewhere, an unused device inserted, or one change of the order of devices.

    A changed order is filled anew under several bounds near the plan's own bottleneck. Neighbours use each device once
    and split at allowed positions; those that break pins or the most stages are left to the evaluation to refuse.
    """
    code = encode_plans(problem, [plan])
    return join_plans(
        _with_moved_cuts(problem, code), _with_insertions(problem, code), _reordered(problem, plan, bottleneck_seconds)
    )


def _with_moved_cuts(problem: SearchProblem, code: EncodedPlans) -> EncodedPlans:
    """Each cut at every allowed position between its neighbours."""
    columns, positions = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for column in range(int(np.sum(code.devices >= 0)) - 1):
        low = int(code.stops[0, column - 1]) if column else 0
        between = inside(problem, low, int(code.stops[0, column + 1]))
        columns.append(np.full(len(between), column))
        positions.append(between)
    moved = _repeated(code, sum(map(len, columns)))
    moved.stops[np.arange(len(moved)), np.concatenate(columns)] = np.concatenate(positions)
    return moved


def _with_insertions(problem: SearchProblem, code: EncodedPlans) -> EncodedPlans:
    """Each unused device at many positions, before and after the stage's own device."""
    inner = np.setdiff1d(problem.positions[1:-1], code.stops[0])
    if len(inner) > MOST_INSERTIONS:
        inner = inner[np.linspace(0, len(inner) - 1, MOST_INSERTIONS).astype(np.int64)]
    unused = np.setdiff1d(np.arange(problem.n_devices), code.devices[0])
    device, position, is_after = (
        grid.ravel() for grid in np.meshgrid(unused, inner, np.array([False, True]), indexing="ij")
    )
    wide = _repeated(code, len(device))
    return compact(problem, inserted(wide, device, position, is_after, np.ones(len(device), dtype=np.bool_)))


def _reordered(problem: SearchProblem, plan: EncodedPlan, bottleneck_seconds: float) -> EncodedPlans:
    orders = list(_orders(problem, [device for device, _ in plan]))
    devices = np.full((len(orders), problem.n_devices), -1, dtype=np.int64)
    for row, order in enumerate(orders):
        devices[row, : len(order)] = order
    stops = np.full_like(devices, problem.n_units)
    bounds: FloatArray = np.repeat(np.array(BOUNDS) * bottleneck_seconds, len(orders))
    codes = EncodedPlans(devices=np.tile(devices, (len(BOUNDS), 1)), stops=np.tile(stops, (len(BOUNDS), 1)))
    return refill(problem, codes, bounds)


def _orders(problem: SearchProblem, order: list[int]) -> Iterator[list[int]]:
    """The order itself, two devices exchanged, one moved, replaced, taken away, or a new one put in."""
    yield order
    unused = [device for device in range(problem.n_devices) if device not in order]
    for one, other in combinations(range(len(order)), 2):
        yield [*order[:one], order[other], *order[one + 1 : other], order[one], *order[other + 1 :]]
    for index, device in enumerate(order):
        rest = order[:index] + order[index + 1 :]
        if rest:
            yield rest
        yield from ([*rest[:place], device, *rest[place:]] for place in range(len(order)) if abs(place - index) > 1)
        yield from ([*order[:index], new, *order[index + 1 :]] for new in unused)
    for place in range(len(order) + 1):
        yield from ([*order[:place], new, *order[place:]] for new in unused)


def _repeated(code: EncodedPlans, n_plans: int) -> EncodedPlans:
    return EncodedPlans(devices=np.repeat(code.devices, n_plans, axis=0), stops=np.repeat(code.stops, n_plans, axis=0))


def inside(problem: SearchProblem, start: int, stop: int) -> IntArray:
    """Allowed positions strictly between."""
    first, last = np.searchsorted(problem.positions, start, "right"), np.searchsorted(problem.positions, stop, "left")
    return problem.positions[first:last]
