"""Plans as rows of integers, and what they cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from partitioner.errors import PlanError
from partitioner.front import BoolArray, FloatArray, IntArray, front_indices
from partitioner.plan import Candidate, Stage
from partitioner.search.crews import crew_of
from partitioner.search.gates import gate_of
from partitioner.search.problem import Quantity, SearchProblem

EncodedPlan = list[tuple[int, int]]
"""One plan: (device, stop position) in the order of the flow."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class EncodedPlans:
    """Many plans as two integer arrays; a plan has exactly one code."""

    devices: IntArray
    """(n_plans, n_devices) in the order of the flow, then -1."""
    stops: IntArray
    """(n_plans, n_devices) position at which each stage stops, then n_units."""

    def __len__(self) -> int:
        return len(self.devices)

    def take(self, indices: IntArray | BoolArray) -> "EncodedPlans":
        """Those at the indices, or where the mask is true."""
        return EncodedPlans(devices=self.devices[indices], stops=self.stops[indices])

    def rows(self) -> IntArray:
        """(n_plans, 2 · n_devices): one row of integers per plan."""
        return np.hstack([self.devices, self.stops])

    def unique(self) -> "EncodedPlans":
        """Each plan once, sorted by its code."""
        return decode_rows(np.unique(self.rows(), axis=0))


def decode_rows(rows: IntArray) -> EncodedPlans:
    """Plans of the rows that `EncodedPlans.rows` made."""
    n_devices = rows.shape[1] // 2
    return EncodedPlans(devices=rows[:, :n_devices], stops=rows[:, n_devices:])


def encode_plans(problem: SearchProblem, plans: Sequence[EncodedPlan]) -> EncodedPlans:
    """Plans as rows."""
    devices = np.full((len(plans), problem.n_devices), -1, dtype=np.int64)
    stops = np.full((len(plans), problem.n_devices), problem.n_units, dtype=np.int64)
    for row, plan in enumerate(plans):
        for column, (device, stop) in enumerate(plan):
            devices[row, column], stops[row, column] = device, stop
    return EncodedPlans(devices=devices, stops=stops)


def join_plans(*parts: EncodedPlans) -> EncodedPlans:
    """All plans of the parts, in order."""
    return EncodedPlans(
        devices=np.concatenate([part.devices for part in parts]), stops=np.concatenate([part.stops for part in parts])
    )


def evaluate(problem: SearchProblem, plans: EncodedPlans) -> FloatArray:
    """Objectives of encoded plans, summed in the order of the flow, as `CostModel.predict` does.

    Returns:
        (n_plans, n_objectives) float64; infinity in all where a plan is not allowed.
    """
    possible = evaluate_quantities(problem, plans)
    most = [problem.bounds.get(quantity.name, np.inf) for quantity in problem.quantities]
    is_allowed = np.isfinite(possible[:, 0]) & np.all(possible <= most, axis=1)
    return np.where(is_allowed[:, None], possible[:, : len(problem.objectives)], np.inf)


def evaluate_quantities(problem: SearchProblem, plans: EncodedPlans) -> FloatArray:
    """As `evaluate`, but of all quantities of the problem, and bounds on sums do not count.

    Returns:
        (n_plans, n_quantities) float64; infinity in all where a plan is not possible.
    """
    figures = np.zeros((len(plans), len(problem.quantities)))
    for leg in legs(problem, plans):
        for column, quantity in enumerate(problem.quantities):
            hop = np.where(leg.hops, quantity.hop[leg.source, leg.target, leg.start], 0.0)
            stage = np.where(leg.works, quantity.stage[leg.device, leg.start, leg.stop], 0.0)
            figure = figures[:, column]
            figures[:, column] = (
                np.maximum(figure, np.maximum(hop, stage)) if quantity.is_peak else figure + hop + stage
            )
    for column, quantity in enumerate(problem.quantities):
        if quantity.is_shared:
            figures[:, column] = np.maximum(figures[:, column], _busiest_shared(problem, plans, quantity))
    is_possible = np.isfinite(figures).all(axis=1) & _obeys(problem, plans)
    return np.where(is_possible[:, None], figures, np.inf)


def _busiest_shared(problem: SearchProblem, plans: EncodedPlans, quantity: Quantity) -> FloatArray:
    """(n_plans,) the largest sum of what hops add to a shared medium, or stages to a shared processor."""
    media, processors = quantity.media, quantity.processors
    on_media = np.zeros((0 if media is None else len(media), len(plans)))
    on_processors = np.zeros((0 if processors is None else len(processors), len(plans)))
    for leg in legs(problem, plans):
        if media is not None:
            on_media = on_media + np.where(leg.hops, media[:, leg.source, leg.target, leg.start], 0.0)
        if processors is not None:
            stage = quantity.stage[leg.device, leg.start, leg.stop]
            stage = np.where(leg.works & np.isfinite(stage), stage, 0.0)
            on_processors = on_processors + processors[:, leg.device] * stage
    largest: FloatArray = np.concatenate([on_media, on_processors]).max(axis=0)
    return largest


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Legs:
    """The k-th hop and stage of many plans; the last hop, to the client, has no stage. All fields are (n_plans,)."""

    source: IntArray
    target: IntArray
    device: IntArray
    """Of the stage; any where none works."""
    start: IntArray
    stop: IntArray
    works: BoolArray
    """Whether the plan has this stage."""
    hops: BoolArray
    """Whether the plan has this hop."""


def legs(problem: SearchProblem, plans: EncodedPlans) -> Iterator[Legs]:
    """Hops and stages of plans in the order of the flow, n_devices + 1 of them."""
    client = problem.n_devices
    source, start = np.full(len(plans), client), np.zeros(len(plans), dtype=np.int64)
    is_home = np.zeros(len(plans), dtype=np.bool_)
    ends = np.full((1, len(plans)), -1), np.full((1, len(plans)), problem.n_units)
    columns = np.concatenate([plans.devices.T, ends[0]]), np.concatenate([plans.stops.T, ends[1]])
    for device, stop in zip(*columns, strict=True):
        works = device >= 0
        target = np.where(works, device, client)
        yield Legs(
            source=source,
            target=target,
            device=np.maximum(device, 0),
            start=start,
            stop=stop,
            works=works,
            hops=~is_home,
        )
        source, start, is_home = target, np.where(works, stop, start), is_home | ~works


def non_dominated(problem: SearchProblem, plans: EncodedPlans) -> EncodedPlans:
    """The front among allowed plans, least latency first; of equal ones the first is kept."""
    objectives = evaluate(problem, plans)
    allowed = np.flatnonzero(np.isfinite(objectives[:, 0]))
    return plans.take(allowed[front_indices(objectives[allowed])])


def decode(problem: SearchProblem, plans: EncodedPlans) -> tuple[Candidate, ...]:
    """Candidates of encoded plans, in order, with the window suggested for each.

    Raises:
        PlanError: The problem was not built from a cost model, or a plan does not fit it.
    """
    if problem.cost_model is None:
        raise PlanError("A problem of bare arrays has no candidates: make it with build_problem.")
    return tuple(problem.cost_model.candidate(decode_stages(problem, plans, row)) for row in range(len(plans)))


def decode_stages(problem: SearchProblem, plans: EncodedPlans, row: int) -> tuple[Stage, ...]:
    """Stages of one encoded plan."""
    stages: list[Stage] = []
    for device, stop in zip(plans.devices[row].tolist(), plans.stops[row].tolist(), strict=True):
        if device >= 0:
            start = stages[-1].stop if stages else 0
            names = [problem.device_names[member] for member in crew_of(problem, device)]
            position, codec = gate_of(problem, stop)
            stages.append(Stage(device=names[0], start=start, stop=position, replicas=tuple(names[1:]), codec=codec))
    return tuple(stages)


def encode_stages(problem: SearchProblem, stages: Sequence[Stage]) -> EncodedPlan:
    """Of the stages of a plan, what `decode_stages` makes them from.

    Raises:
        PlanError: A device, a group of replicas, or a split point with its codec is not one of the problem's.
    """
    crews = {
        tuple(problem.device_names[member] for member in crew_of(problem, device)): device
        for device in range(problem.n_devices)
    }
    gates = {gate_of(problem, stop): stop for stop in range(problem.n_units + 1)}
    unknown = [stage.describe() for stage in stages if stage.devices not in crews or _gate(stage) not in gates]
    if unknown:
        raise PlanError(
            f"Stages {', '.join(unknown)} are none of this problem's: it has {problem.describe_choices()} on "
            f"{', '.join(problem.device_names)}."
        )
    return [(crews[stage.devices], gates[_gate(stage)]) for stage in stages]


def _gate(stage: Stage) -> tuple[int, str]:
    return stage.stop, stage.codec


def _obeys(problem: SearchProblem, plans: EncodedPlans) -> BoolArray:
    """(n_plans,) whether plans cover all units, use a device once, and obey the pins and the most stages."""
    n_stages = np.sum(plans.devices >= 0, axis=1)
    last = np.maximum(n_stages - 1, 0)
    end = plans.stops[np.arange(len(plans)), last]
    n_works = np.stack([np.sum(plans.devices == device, axis=1) for device in range(problem.n_devices)], axis=1)
    n_uses = n_works if problem.crews is None else n_works @ problem.is_member
    obeys: BoolArray = (
        (end == problem.n_units) & np.all(n_uses <= 1, axis=1) & (n_stages >= 1) & (n_stages <= problem.max_stages)
    )
    if problem.pinned_first is not None:
        obeys &= plans.devices[:, 0] == problem.pinned_first
    if problem.pinned_last is not None:
        obeys &= plans.devices[np.arange(len(plans)), last] == problem.pinned_last
    return obeys
