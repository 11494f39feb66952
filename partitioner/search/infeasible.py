"""Why no plan satisfies the constraints, and what would make one possible."""

from dataclasses import replace

import numpy as np

from partitioner.cluster import CLIENT
from partitioner.errors import InfeasibleError, TooManyStatesError
from partitioner.front import FloatArray
from partitioner.search.encoding import EncodedPlan, decode_stages, encode_plans, evaluate_quantities
from partitioner.search.exact.front import least_latency_plan
from partitioner.search.problem import LATENCY, SearchProblem
from partitioner.search.relaxation import explain_bounds
from partitioner.stage_memory import format_mebibytes


def check_feasible(problem: SearchProblem) -> bool:
    """Whether some plan is known to satisfy the constraints; that is told without a search, as far as it can be.

    Bounds on sums other than the latency are left to the search, and so are problems with too many states.

    Raises:
        InfeasibleError: None does; names the constraint that binds and by how much.
    """
    try:
        plan = least_latency_plan(problem)
    except TooManyStatesError:
        return False
    if plan is None:
        raise InfeasibleError(explain_infeasible(problem))
    column = [quantity.name for quantity in problem.quantities].index(LATENCY)
    latency = evaluate_quantities(problem, encode_plans(problem, [plan]))[0, column]
    if latency > problem.bounds.get(LATENCY, np.inf):
        raise InfeasibleError(explain_bounds(problem))
    return not problem.bounds


def explain_infeasible(problem: SearchProblem) -> str:
    """What forbids every plan of an infeasible problem, with what it would take to lift it."""
    unbounded = replace(problem, bounds={})
    if problem.bounds and least_latency_plan(unbounded) is not None:
        return explain_bounds(problem)
    without_memory = unbounded.with_device_memory(np.full(problem.n_devices, np.inf))
    if least_latency_plan(without_memory) is not None:
        return _explain_memory(unbounded)
    linked = replace(without_memory, link_fixed_seconds=np.zeros_like(problem.link_fixed_seconds))
    if least_latency_plan(linked) is not None:
        return _explain_links(problem, without_memory)
    everywhere = replace(linked, stage_seconds=_possible_everywhere(problem), stage_busy_seconds=None)
    if least_latency_plan(everywhere) is not None:
        return _explain_support(problem)
    if problem.pinned_first is not None and problem.pinned_last is not None and problem.max_stages < 2:
        return (
            f"No plan has {problem.device_names[problem.pinned_first]!r} first and "
            f"{problem.device_names[problem.pinned_last]!r} last in one stage: allow two stages or drop a pin."
        )
    return "No plan has two different devices first and last without a split point: allow one or drop a pin."


def least_memory_scale(problem: SearchProblem) -> tuple[float, EncodedPlan] | None:
    """The least factor on every device's memory with which a plan fits, and such a plan; None where none does.

    The factor is one of the ratios of a stage's memory to its device's, so that bisection over them is exact.
    """
    limits = np.maximum(problem.device_memory_bytes, 1.0)[:, None, None]
    candidates = np.unique((problem.stage_memory_bytes / limits)[np.isfinite(problem.stage_seconds)])
    low, high = 0, len(candidates)
    best: EncodedPlan | None = None
    while low < high:
        middle = (low + high) // 2
        plan = least_latency_plan(_scaled(problem, candidates[middle]))
        best, low, high = (best, middle + 1, high) if plan is None else (plan, low, middle)
    return None if best is None else (float(candidates[high]), best)


def _scaled(problem: SearchProblem, scale: float) -> SearchProblem:
    """Ratios are compared, not bytes, so that rounding cannot refuse the very span that gave the scale."""
    limits = np.maximum(problem.device_memory_bytes, 1.0)
    fits = problem.stage_memory_bytes / limits[:, None, None] <= scale
    unlimited = np.full(problem.n_devices, np.inf)
    return replace(problem, stage_seconds=np.where(fits, problem.stage_seconds, np.inf), device_memory_bytes=unlimited)


def _explain_memory(problem: SearchProblem) -> str:
    found = least_memory_scale(problem)
    if found is None:
        return "No plan fits the memory limits, whatever they are scaled by."
    scale, plan = found
    code = encode_plans(problem, [plan])
    stages = decode_stages(problem, code, 0)
    lacks = []
    starts = [0, *(stop for _, stop in plan)]
    for (device, stop), start, stage in zip(plan, starts, stages, strict=False):
        needed, limit = problem.stage_memory_bytes[device, start, stop], problem.device_memory_bytes[device]
        if needed > limit:
            lacks.append(
                f"{problem.device_names[device]!r} lacks {format_mebibytes(needed - limit)} for "
                f"[{stage.start}:{stage.stop}] (needs {format_mebibytes(needed)}, has {format_mebibytes(limit)})"
            )
    flow = " → ".join(stage.describe() for stage in stages)
    return (
        f"No plan fits the memory limits: even the one that comes nearest, {flow}, wants {scale:.3g} times the memory; "
        f"{'; '.join(lacks)}. Add memory or devices, allow more split points, or take a smaller batch."
    )


def _possible_everywhere(problem: SearchProblem) -> FloatArray:
    """Stage times as if every device could bear every stage of one unit or more."""
    starts, stops = np.meshgrid(*[np.arange(problem.n_units + 1)] * 2, indexing="ij")
    at = stops if problem.gate_positions is None else problem.gate_positions[stops]
    since = starts if problem.gate_positions is None else problem.gate_positions[starts]
    return np.where(since < at, 1.0, np.inf) * np.ones((problem.n_devices, 1, 1))


def _explain_support(problem: SearchProblem) -> str:
    """Names the units that devices cannot bear: their runtimes refuse them, or they exceed the memory."""
    profile = None if problem.cost_model is None else problem.cost_model.profile
    refused = [
        f"{device.device!r} cannot bear unit {', '.join(map(str, device.unsupported_units))}"
        for device in (() if profile is None else profile.devices)
        if device.unsupported_units
    ]
    if not refused:
        return "No plan exists: the stage times forbid every span of units. Profile the devices again."
    return (
        f"No plan exists: {'; '.join(refused)}, and the devices, links and split points that are left cannot bear the "
        "model. Add a device whose execution provider and memory suffice for them, or allow more split points."
    )


def _explain_links(problem: SearchProblem, without_memory: SearchProblem) -> str:
    names, client = problem.device_names, problem.n_devices
    can_talk = np.isfinite(problem.link_fixed_seconds)
    if not can_talk[client, :client].any():
        return f"No plan exists: there is no link from {CLIENT!r} to any device. Probe or declare one."
    if not can_talk[:client, client].any():
        return f"No plan exists: there is no link from any device back to {CLIENT!r}. Probe or declare one."
    free = replace(without_memory, pinned_first=None, pinned_last=None, max_stages=client)
    if _may_have_plan(free):
        return f"No plan exists: the links do not allow {_wishes(problem)}. Add links, or drop that wish."
    ways_in = ", ".join(repr(names[index]) for index in np.flatnonzero(can_talk[client, :client]))
    ways_out = ", ".join(repr(names[index]) for index in np.flatnonzero(can_talk[:client, client]))
    return (
        f"No plan exists: {CLIENT!r} sends to {ways_in} and hears from {ways_out}, and no chain of links leads from "
        f"the former to the latter with the allowed split points. Add a link between them."
    )


def _may_have_plan(problem: SearchProblem) -> bool:
    try:
        return least_latency_plan(problem) is not None
    except TooManyStatesError:
        return True


def _wishes(problem: SearchProblem) -> str:
    wishes = [f"at most {problem.max_stages} stages"]
    for label, device in (("first", problem.pinned_first), ("last", problem.pinned_last)):
        if device is not None:
            wishes.append(f"{problem.device_names[device]!r} {label}")
    return " with ".join([wishes[0], " and ".join(wishes[1:])]) if wishes[1:] else wishes[0]
