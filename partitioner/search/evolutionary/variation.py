"""How new plans are made from old ones, many at a time. Whatever comes out obeys pins, stages and positions."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from partitioner.front import BoolArray, FloatArray, IntArray
from partitioner.search.encoding import EncodedPlans, evaluate_quantities, join_plans, legs
from partitioner.search.evolutionary.loads import loads_of
from partitioner.search.evolutionary.refilling import refill
from partitioner.search.evolutionary.settling import Draft, draft_of, n_stages, settle
from partitioner.search.problem import SearchProblem

Change = Callable[[SearchProblem, EncodedPlans, np.random.Generator], Draft]
"""One small change to each plan, before it is settled."""


def splice(
    problem: SearchProblem, heads: EncodedPlans, tails: EncodedPlans, random: np.random.Generator
) -> EncodedPlans:
    """Each first plan up to a random position, its partner from there on: devices keep order, cuts their places."""
    inner = problem.positions[1:-1]
    if not len(inner):
        return heads
    position = random.choice(inner, len(heads))[:, None]
    head, tail = draft_of(heads), draft_of(tails)
    starts = np.hstack([np.zeros_like(position), heads.stops[:, :-1]])
    draft = Draft(
        devices=np.hstack([head.devices, tail.devices]),
        stops=np.hstack([np.minimum(head.stops, position), tail.stops]),
        works=np.hstack([head.works & (starts < position), tail.works & (tail.stops > position)]),
    )
    return settle(problem, _merged(draft), random)


def mutate(problem: SearchProblem, plans: EncodedPlans, random: np.random.Generator) -> EncodedPlans:
    """Each plan after one random change of `CHANGES`."""
    choice = random.integers(len(CHANGES), size=len(plans))
    order = np.argsort(choice, kind="stable")
    parts = []
    for number, change in enumerate(CHANGES):
        part = plans.take(order[choice[order] == number])
        if len(part):
            parts.append(settle(problem, change(problem, part, random), random))
    return join_plans(*parts).take(np.argsort(order)) if parts else plans


def violations(problem: SearchProblem, plans: EncodedPlans) -> FloatArray:
    """How badly links, memory and bounds forbid plans: missing links, and what is above a limit as a share of it.

    Returns:
        (n_plans,) float64; 0 for allowed plans.
    """
    total = np.zeros(len(plans))
    limits = np.maximum(problem.device_memory_bytes, 1.0)
    for leg in legs(problem, plans):
        is_missing = ~np.isfinite(problem.link_fixed_seconds[leg.source, leg.target]) & leg.hops
        needed = problem.stage_memory_bytes[leg.device, leg.start, leg.stop]
        excess = np.maximum(needed / limits[leg.device] - 1.0, 0.0)
        total = total + is_missing + np.where(leg.works, excess, 0.0)
    return total + _excess(problem, plans) if problem.bounds else total


def _excess(problem: SearchProblem, plans: EncodedPlans) -> FloatArray:
    """(n_plans,) by what share the bounds are exceeded, all together; 0 where a plan is not even possible."""
    names, most = tuple(problem.bounds), np.array(list(problem.bounds.values()))
    no_limits = np.full(problem.n_devices, np.inf)
    free = replace(problem, objectives=names, bounds={}, device_memory_bytes=no_limits)
    figures = evaluate_quantities(free, plans)[:, : len(names)]
    shares = np.maximum(figures - most, 0.0) / np.where(most > 0, most, 1.0)
    excess: FloatArray = np.where(np.isfinite(figures), shares, 0.0).sum(axis=1)
    return excess


def _merged(draft: Draft) -> Draft:
    """A stage that goes on where the one before it, on the same device, stops is one with it."""
    width = draft.devices.shape[1]
    columns = np.where(draft.works, np.arange(width), -1)
    before = np.maximum.accumulate(columns, axis=1)
    previous = np.hstack([np.full((len(before), 1), -1), before[:, :-1]])
    same = draft.works & (previous >= 0)
    same &= np.take_along_axis(draft.devices, np.maximum(previous, 0), axis=1) == draft.devices
    rows, _ = np.nonzero(same)
    works = draft.works.copy()
    works[rows, previous[same]] = False
    return Draft(devices=draft.devices, stops=draft.stops, works=works)


def _moved(problem: SearchProblem, plans: EncodedPlans, columns: IntArray, slots: IntArray) -> Draft:
    """The cut of a column at another slot, kept between its neighbours. A slot counts the allowed positions.

    Args:
        problem: Of the plans.
        plans: Those without a cut are left alone.
        columns: (n_plans,) of the stage that the cut ends.
        slots: (n_plans,) wanted.
    """
    rows = np.arange(len(plans))
    bounds = np.searchsorted(problem.positions, plans.stops)
    low = np.where(columns > 0, bounds[rows, columns - 1], 0) + 1
    high = bounds[rows, np.minimum(columns + 1, problem.n_devices - 1)] - 1
    has_cut = (n_stages(plans) > columns + 1) & (columns >= 0)
    stops = plans.stops.copy()
    wanted = problem.positions[np.clip(slots, low, np.maximum(low, high))]
    stops[rows, columns] = np.where(has_cut, wanted, stops[rows, columns])
    return Draft(devices=plans.devices, stops=stops, works=plans.devices >= 0)


def _move_cut(problem: SearchProblem, plans: EncodedPlans, random: np.random.Generator) -> Draft:
    """A cut moved between its neighbours: half the time near, half the time anywhere."""
    columns = _random_below(n_stages(plans) - 1, random)
    rows = np.arange(len(plans))
    bounds = np.searchsorted(problem.positions, plans.stops)
    low = np.where(columns > 0, bounds[rows, columns - 1], 0)
    high = bounds[rows, np.minimum(columns + 1, problem.n_devices - 1)]
    near = bounds[rows, columns] + _random_steps(len(plans), random)
    anywhere = low + 1 + _random_below(high - low - 1, random)
    return _moved(problem, plans, columns, np.where(random.random(len(plans)) < 0.5, near, anywhere))


def _relieve(problem: SearchProblem, plans: EncodedPlans, random: np.random.Generator) -> Draft:
    """The cut moved that takes load from the busiest resource: units from a device, another boundary from a link."""
    column, is_link = loads_of(problem, plans).busiest
    at_start = random.random(len(plans)) < 0.5
    last = n_stages(plans) - 1
    at_start = np.where(column == 0, False, np.where(column >= last, True, at_start)) & ~is_link
    cuts = np.where(is_link, column - 1, column - at_start)
    bounds = np.searchsorted(problem.positions, plans.stops)[np.arange(len(plans)), np.maximum(cuts, 0)]
    steps = _random_steps(len(plans), random)
    inward = np.abs(steps) * np.where(at_start, 1, -1)
    return _moved(problem, plans, np.maximum(cuts, 0), bounds + np.where(is_link, steps, inward))


def _exchange_devices(_: SearchProblem, plans: EncodedPlans, random: np.random.Generator) -> Draft:
    """Two stages exchange their devices."""
    count, rows = n_stages(plans), np.arange(len(plans))
    one = _random_below(count, random)
    other = (one + 1 + _random_below(count - 1, random)) % count
    devices = plans.devices.copy()
    devices[rows, one], devices[rows, other] = plans.devices[rows, other], plans.devices[rows, one]
    return Draft(devices=devices, stops=plans.stops, works=devices >= 0)


def _reverse_block(problem: SearchProblem, plans: EncodedPlans, random: np.random.Generator) -> Draft:
    """The devices of some neighbouring stages in reverse order; the cuts stay."""
    count = n_stages(plans)
    ends = np.sort(np.stack([_random_below(count, random), _random_below(count, random)]), axis=0)
    columns = np.arange(problem.n_devices)[None, :]
    first, last = ends[0][:, None], ends[1][:, None]
    source = np.where((columns >= first) & (columns <= last), first + last - columns, columns)
    devices = np.take_along_axis(plans.devices, source, axis=1)
    return Draft(devices=devices, stops=plans.stops, works=devices >= 0)


def _replace_device(problem: SearchProblem, plans: EncodedPlans, random: np.random.Generator) -> Draft:
    """A stage goes to an unused device."""
    rows, columns = np.arange(len(plans)), _random_below(n_stages(plans), random)
    unused, has_unused = _random_unused(problem, plans, random)
    devices = plans.devices.copy()
    devices[rows, columns] = np.where(has_unused, unused, devices[rows, columns])
    return Draft(devices=devices, stops=plans.stops, works=devices >= 0)


def _insert_device(problem: SearchProblem, plans: EncodedPlans, random: np.random.Generator) -> Draft:
    """A random part of a random stage given to an unused device, before or after the old one."""
    inner = problem.positions[1:-1]
    if not len(inner):
        return draft_of(plans)
    unused, has_unused = _random_unused(problem, plans, random)
    return inserted(plans, unused, random.choice(inner, len(plans)), random.random(len(plans)) < 0.5, has_unused)


def inserted(
    plans: EncodedPlans, devices: IntArray, positions: IntArray, is_after: BoolArray, is_wanted: BoolArray
) -> Draft:
    """A device put before or after a position, within the stage that holds it. All arguments are (n_plans,)."""
    rows, columns = np.arange(len(plans)), np.sum(plans.stops < positions[:, None], axis=1)
    columns = np.minimum(columns, plans.stops.shape[1] - 1)
    old = plans.devices[rows, columns]
    changed = plans.devices.copy()
    changed[rows, columns] = np.where(is_wanted & is_after, devices, old)
    wide = np.hstack([changed, np.where(is_after, old, devices)[:, None]])
    stops = np.hstack([plans.stops, positions[:, None]])
    works = np.hstack([plans.devices >= 0, is_wanted[:, None]])
    order = np.argsort(np.where(works, stops, np.iinfo(np.int64).max), axis=1, kind="stable")
    take = np.take_along_axis
    return Draft(devices=take(wide, order, axis=1), stops=take(stops, order, axis=1), works=take(works, order, axis=1))


def _drop_stage(_: SearchProblem, plans: EncodedPlans, random: np.random.Generator) -> Draft:
    """A random stage taken away; the next one takes its units, or half the time the one before."""
    count, rows = n_stages(plans), np.arange(len(plans))
    columns = _random_below(count, random)
    works, stops = plans.devices >= 0, plans.stops.copy()
    works[rows, columns] = count == 1
    to_previous = (random.random(len(plans)) < 0.5) & (columns > 0)
    before = np.maximum(columns - 1, 0)
    stops[rows, before] = np.where(to_previous, stops[rows, columns], stops[rows, before])
    return Draft(devices=plans.devices, stops=stops, works=works)


def _refill(problem: SearchProblem, plans: EncodedPlans, random: np.random.Generator) -> Draft:
    """The same devices with new cuts: as much on each as keeps it under a bound near the plan's own bottleneck."""
    bounds = loads_of(problem, plans).bottlenecks * random.uniform(0.7, 1.2, len(plans))
    return draft_of(refill(problem, plans, bounds))


CHANGES: tuple[Change, ...] = (
    _move_cut,
    _relieve,
    _exchange_devices,
    _reverse_block,
    _replace_device,
    _insert_device,
    _drop_stage,
    _refill,
)


def _random_below(counts: IntArray, random: np.random.Generator) -> IntArray:
    """(n,) uniform in 0 … count - 1; 0 where the count is less than 1."""
    drawn: IntArray = (random.random(len(counts)) * np.maximum(counts, 1)).astype(np.int64)
    return drawn


def _random_steps(n_steps: int, random: np.random.Generator) -> IntArray:
    """(n_steps,) most of them short, either way."""
    steps: IntArray = random.geometric(0.3, n_steps) * np.where(random.random(n_steps) < 0.5, 1, -1)
    return steps


def _random_unused(
    problem: SearchProblem, plans: EncodedPlans, random: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """(n_plans,) a random device that a plan does not use, and whether there is one."""
    used = (plans.devices[:, :, None] == np.arange(problem.n_devices)).any(axis=1)
    return np.argmin(random.random(used.shape) + used, axis=1), ~used.all(axis=1)
