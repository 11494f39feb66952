"""How new plans are made from old ones. Whatever comes out obeys pins, stages and positions."""

import numpy as np

from partitioner.front import FloatArray, IntArray
from partitioner.search.encoding import EncodedPlan, EncodedPlans, legs
from partitioner.search.problem import SearchProblem
from partitioner.search.sampling import possible_stages


def splice(problem: SearchProblem, head: EncodedPlan, tail: EncodedPlan, random: np.random.Generator) -> EncodedPlan:
    """The first plan up to a random position, the second from there on."""
    inner = problem.positions[1:-1]
    if not len(inner):
        return list(head)
    position = int(random.choice(inner))
    starts = [0, *(stop for _, stop in head)]
    before = [
        (device, min(stop, position)) for (device, stop), start in zip(head, starts, strict=False) if start < position
    ]
    after = [(device, stop) for device, stop in tail if stop > position]
    if before[-1][0] == after[0][0]:
        before.pop()
    return repair(problem, before + after, random)


def mutate(problem: SearchProblem, plan: EncodedPlan, random: np.random.Generator) -> EncodedPlan:
    """The plan after one small change: a cut moved, devices exchanged, a stage split off or taken away."""
    changes = (_move_cut, _move_cut, _exchange_devices, _replace_device, _split_stage, _drop_stage)
    change = changes[int(random.integers(len(changes)))]
    return repair(problem, change(problem, list(plan), random), random)


def repair(problem: SearchProblem, plan: EncodedPlan, random: np.random.Generator) -> EncodedPlan:
    """The nearest plan that uses each device once and obeys pins and numbers of stages."""
    repaired = _without_repetition(problem, plan, random)
    least, most = possible_stages(problem)
    while len(repaired) > most:
        repaired = _drop_stage(problem, repaired, random)
    if len(repaired) < least:
        repaired = _split_stage(problem, repaired, random)
    _pin(repaired, 0, problem.pinned_first)
    _pin(repaired, -1, problem.pinned_last)
    return repaired


def violations(problem: SearchProblem, plans: EncodedPlans) -> FloatArray:
    """How badly links and memory forbid plans: missing links, and memory above the limit as a share of it.

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
    return total


def _move_cut(problem: SearchProblem, plan: EncodedPlan, random: np.random.Generator) -> EncodedPlan:
    """A cut moved between its neighbours: half the time near, half the time anywhere."""
    if len(plan) < 2:
        return plan
    index = int(random.integers(len(plan) - 1))
    device, stop = plan[index]
    between = _inside(problem, plan[index - 1][1] if index else 0, plan[index + 1][1])
    if random.random() < 0.5:
        step = int(random.geometric(0.4)) * (1 if random.random() < 0.5 else -1)
        choice = int(np.clip(np.searchsorted(between, stop) + step, 0, len(between) - 1))
    else:
        choice = int(random.integers(len(between)))
    plan[index] = device, int(between[choice])
    return plan


def _exchange_devices(_: SearchProblem, plan: EncodedPlan, random: np.random.Generator) -> EncodedPlan:
    if len(plan) > 1:
        one, other = random.choice(len(plan), 2, replace=False).tolist()
        (first, first_stop), (second, second_stop) = plan[one], plan[other]
        plan[one], plan[other] = (second, first_stop), (first, second_stop)
    return plan


def _replace_device(problem: SearchProblem, plan: EncodedPlan, random: np.random.Generator) -> EncodedPlan:
    unused = _unused(problem, plan)
    if unused:
        index = int(random.integers(len(plan)))
        plan[index] = int(random.choice(unused)), plan[index][1]
    return plan


def _split_stage(problem: SearchProblem, plan: EncodedPlan, random: np.random.Generator) -> EncodedPlan:
    """A random part of a random stage given to an unused device, before or after the old one."""
    unused = _unused(problem, plan)
    starts = [0, *(stop for _, stop in plan)]
    room = [index for index, (_, stop) in enumerate(plan) if len(_inside(problem, starts[index], stop))]
    if not unused or not room:
        return plan
    index = int(random.choice(room))
    device, stop = plan[index]
    cut = int(random.choice(_inside(problem, starts[index], stop)))
    pair = [device, int(random.choice(unused))]
    first, second = pair if random.random() < 0.5 else pair[::-1]
    return [*plan[:index], (first, cut), (second, stop), *plan[index + 1 :]]


def _drop_stage(problem: SearchProblem, plan: EncodedPlan, random: np.random.Generator) -> EncodedPlan:
    """A random stage taken away; the next one takes its units, or the one before where there is no next."""
    if len(plan) < 2:
        return plan
    index = int(random.integers(len(plan)))
    rest = [*plan[:index], *plan[index + 1 :]]
    rest[-1] = rest[-1][0], problem.n_units
    return rest


def _without_repetition(problem: SearchProblem, plan: EncodedPlan, random: np.random.Generator) -> EncodedPlan:
    """A device's second stage goes to an unused device, or to the stage before where all are used."""
    once: EncodedPlan = []
    for device, stop in plan:
        if all(device != used for used, _ in once):
            once.append((device, stop))
        elif unused := _unused(problem, [*once, *plan]):
            once.append((int(random.choice(unused)), stop))
        else:
            once[-1] = once[-1][0], stop
    return once


def _pin(plan: EncodedPlan, index: int, device: int | None) -> None:
    if device is None:
        return
    for other, (used, stop) in enumerate(plan):
        if used == device:
            plan[other] = plan[index][0], stop
    plan[index] = device, plan[index][1]


def _unused(problem: SearchProblem, plan: EncodedPlan) -> list[int]:
    used = {device for device, _ in plan}
    return [device for device in range(problem.n_devices) if device not in used]


def _inside(problem: SearchProblem, start: int, stop: int) -> IntArray:
    """Allowed positions strictly between."""
    first, last = np.searchsorted(problem.positions, start, "right"), np.searchsorted(problem.positions, stop, "left")
    return problem.positions[first:last]
