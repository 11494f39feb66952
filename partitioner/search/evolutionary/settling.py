"""From loose stages to plans that obey pins, numbers of stages and one stage per device, many at a time."""

from dataclasses import dataclass

import numpy as np

from partitioner.front import BoolArray, IntArray
from partitioner.search.encoding import EncodedPlans
from partitioner.search.problem import SearchProblem
from partitioner.search.sampling import possible_stages


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Draft:
    """Stages in the order of the flow, not yet plans. All fields are (n_plans, n_columns)."""

    devices: IntArray
    stops: IntArray
    """Allowed positions."""
    works: BoolArray
    """Whether there is a stage; at least one in each row, or the row is no plan."""


def draft_of(plans: EncodedPlans) -> Draft:
    """The stages of plans."""
    return Draft(devices=plans.devices, stops=plans.stops, works=plans.devices >= 0)


def settle(problem: SearchProblem, draft: Draft, random: np.random.Generator) -> EncodedPlans:
    """The nearest plans that use each device once and obey pins and numbers of stages.

    Stages without units go. A device's second stage goes to an unused device, or to its neighbour where all are used.
    What is good already is left alone, and takes nothing from `random`.
    """
    works = draft.works & _advances(draft)
    devices, works = _without_repetition(problem, draft.devices, works, random)
    works = _without_surplus(problem, works, random)
    return _pinned(problem, compact(problem, Draft(devices=devices, stops=draft.stops, works=works)), random)


def compact(problem: SearchProblem, draft: Draft) -> EncodedPlans:
    """Working stages moved to the front of each row; the last one goes on to the end of the flow.

    At most n_devices may work in a row.
    """
    n_plans, width = len(draft.works), problem.n_devices
    order = np.argsort(~draft.works, axis=1, kind="stable")[:, :width]
    works = np.take_along_axis(draft.works, order, axis=1)
    devices = np.full((n_plans, width), -1, dtype=np.int64)
    stops = np.full((n_plans, width), problem.n_units, dtype=np.int64)
    columns = order.shape[1]
    devices[:, :columns] = np.where(works, np.take_along_axis(draft.devices, order, axis=1), -1)
    stops[:, :columns] = np.where(works, np.take_along_axis(draft.stops, order, axis=1), problem.n_units)
    last = np.maximum(works.sum(axis=1) - 1, 0)
    stops[np.arange(n_plans), last] = problem.n_units
    return EncodedPlans(devices=devices, stops=stops)


def n_stages(plans: EncodedPlans) -> IntArray:
    """(n_plans,) number of stages."""
    count: IntArray = np.sum(plans.devices >= 0, axis=1)
    return count


def _advances(draft: Draft) -> BoolArray:
    """Where a stage stops behind all working ones before it."""
    reached = np.maximum.accumulate(np.where(draft.works, draft.stops, 0), axis=1)
    before = np.concatenate([np.zeros((len(reached), 1), dtype=np.int64), reached[:, :-1]], axis=1)
    advances: BoolArray = draft.stops > before
    return advances


def _without_repetition(
    problem: SearchProblem, devices: IntArray, works: BoolArray, random: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    is_device = (devices[:, :, None] == np.arange(problem.n_devices)) & works[:, :, None]
    repeated = (is_device & (np.cumsum(is_device, axis=1) > 1)).any(axis=2)
    rows = np.flatnonzero(repeated.any(axis=1))
    if not len(rows):
        return devices, works
    used = is_device[rows].any(axis=1)
    unused_first = np.argsort(random.random(used.shape) + used, axis=1)
    number = np.cumsum(repeated[rows], axis=1) - 1
    has_other = repeated[rows] & (number < np.sum(~used, axis=1)[:, None])
    others = np.take_along_axis(unused_first, np.clip(number, 0, problem.n_devices - 1), axis=1)
    devices, works = devices.copy(), works.copy()
    devices[rows] = np.where(has_other, others, devices[rows])
    works[rows] &= has_other | ~repeated[rows]
    return devices, works


def _without_surplus(problem: SearchProblem, works: BoolArray, random: np.random.Generator) -> BoolArray:
    """Random stages taken away where there are too many."""
    most = possible_stages(problem)[1]
    rows = np.flatnonzero(works.sum(axis=1) > most)
    if not len(rows):
        return works
    keys = np.where(works[rows], random.random(works[rows].shape), 2.0)
    rank = np.argsort(np.argsort(keys, axis=1), axis=1)
    works = works.copy()
    works[rows] &= rank < most
    return works


def _pinned(problem: SearchProblem, plans: EncodedPlans, random: np.random.Generator) -> EncodedPlans:
    first, last = problem.pinned_first, problem.pinned_last
    if first is None and last is None:
        return plans
    devices, stops, inner = plans.devices.copy(), plans.stops.copy(), problem.positions[1:-1]
    alone = np.flatnonzero(n_stages(plans) == 1)
    if last is not None and possible_stages(problem)[0] == 2 and len(alone) and len(inner):
        stops[alone, 0] = random.choice(inner, len(alone))
        devices[alone, 1] = last
    ends = np.sum(devices >= 0, axis=1) - 1
    if first is not None:
        _place(devices, np.zeros_like(ends), first)
    if last is not None:
        _place(devices, ends, last)
    return EncodedPlans(devices=devices, stops=stops)


def _place(devices: IntArray, columns: IntArray, device: int) -> None:
    """Puts the device into a column of each row, and what was there where the device was."""
    rows = np.arange(len(devices))
    there = devices[rows, columns]
    devices[:] = np.where(devices == device, there[:, None], devices)
    devices[rows, columns] = device
