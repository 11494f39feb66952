"""The chosen plan, measured beside the rest of the front and beside not splitting at all, in one run."""

import os
import platform
from collections.abc import Sequence
from dataclasses import replace

from coordinator.fleet import Fleet
from coordinator.leaving_out import correct_each_by_others
from coordinator.loadgen import make_workload
from coordinator.measurement import Measurement, PlanMeasurement
from coordinator.measuring import Effort, OnRecords, OnStep, ignore_records, measure_plan
from coordinator.prediction_quality import (
    figure_doubts,
    health_doubts,
    node_warnings,
    prediction_quality,
    shared_machines,
    unshared_media,
)
from coordinator.recalibration import recalibrate
from coordinator.stage_orders import check_runnable, runnable_fault
from coordinator.tuning import WindowTuning
from coordinator.window import WindowWish
from partitioner.choice import least_latency, most_throughput
from partitioner.cluster import CLIENT
from partitioner.cost import CostModel
from partitioner.errors import PlanError
from partitioner.onnx_io import Model
from partitioner.plan import Candidate, Stage
from partitioner.search.result import SearchResult

N_FRONT_PLANS = 8
TUNING_SHARE = 0.25
"""Of a run's seconds, for each window tried."""


def bench(
    fleet: Fleet,
    model: Model,
    cost_model: CostModel,
    result: SearchResult,
    chosen: Candidate,
    *,
    effort: Effort,
    seed: int,
    on_step: OnStep,
    window: WindowWish | None = None,
    on_records: OnRecords = ignore_records,
) -> Measurement:
    """Measures the chosen plan at full effort; other plans of the front and the baselines at half of it.

    Each has its own window, or the one that is wished for, or one that is tuned.

    Where a baseline is measured at least as good as a chosen split in both objectives, it takes the chosen one's place
    in the result, and the split stands among the others. All plans are predicted by `cost_model`, whatever model they
    were found with, so that its quality is judged.

    Raises:
        OutputMismatchError: A plan does not compute what the whole model computes.
        NodeError: A node failed.
    """
    workload = make_workload(model, seed=seed)
    doubts = [*shared_machines(fleet.nodes), *unshared_media(fleet)]
    health = node_warnings(fleet)

    def measure(candidate: Candidate, label: str, effort: Effort) -> PlanMeasurement:
        tuning = None
        if window is not None and window.is_tuned:
            tuning = WindowTuning(wish=window, predict=cost_model.predict, seconds=effort.seconds * TUNING_SHARE)
        return measure_plan(
            fleet,
            model,
            candidate,
            workload,
            label=label,
            effort=effort,
            on_step=on_step,
            tuning=tuning,
            on_records=on_records,
        )

    check_runnable(chosen.plan, model)
    chosen = repredicted(cost_model, chosen, window)
    main = measure(chosen, "chosen", effort)
    half = effort.halved()
    singles = [repredicted(cost_model, single, window) for single in single_device_candidates(cost_model)]
    runnable = [
        repredicted(cost_model, candidate, window)
        for candidate in result.front
        if runnable_fault(candidate.plan, model) is None
    ]
    front = tuple(measure(candidate, label, half) for label, candidate in front_selection(runnable, chosen))
    baselines = tuple(
        measure(candidate, f"whole model on {candidate.plan.stages[0].device}", half) for candidate in singles
    )
    doubts += health_doubts(health, node_warnings(fleet))
    main, *others = correct_each_by_others(cost_model, (main, *front, *baselines))
    front, baselines = tuple(others[: len(front)]), tuple(others[len(front) :])
    recommendation = recommend(main, baselines)
    winner = winning_baseline(main, baselines) if main.plan.is_split else None
    if winner is not None:
        front, main = (replace(main, label="wished, beaten"), *front), replace(winner, label="chosen")
    measured = (main, *front, *baselines)
    factors = recalibrate(cost_model, measured, "busy").factors
    return Measurement(
        **{name: getattr(main, name) for name in PlanMeasurement.__dataclass_fields__},
        cost=cost_model.predict(main.plan),
        front=front,
        baselines=baselines,
        recommendation=recommendation,
        emulation=describe_emulation(fleet),
        environment=describe_environment(fleet),
        prediction=prediction_quality(measured, factors, [*figure_doubts(measured, factors), *doubts]),
    )


def repredicted(cost_model: CostModel, candidate: Candidate, window: WindowWish | None = None) -> Candidate:
    """The same plan at what this cost model says, with the window that is wished for.

    Raises:
        PlanError: It does not fit the model.
    """
    plan = candidate.plan
    if window is not None and window.n_requests is not None:
        plan = replace(plan, window=window.n_requests)
    return Candidate(plan=plan, cost=cost_model.predict(plan))


def single_device_candidates(cost_model: CostModel) -> tuple[Candidate, ...]:
    """The whole model on each device that can hold it and be reached: not splitting, by sending the input."""
    found = []
    for device in cost_model.cluster.devices:
        try:
            candidate = cost_model.candidate((Stage(device=device.name, start=0, stop=cost_model.graph.n_units),))
        except PlanError:
            continue
        if not cost_model.memory_faults(candidate.plan):
            found.append(candidate)
    return tuple(found)


def front_selection(
    front: Sequence[Candidate], chosen: Candidate, limit: int = N_FRONT_PLANS
) -> tuple[tuple[str, Candidate], ...]:
    """Labelled plans of the front to measure beside the chosen one: both ends always, others spread evenly."""
    if not front:
        return ()
    last = len(front) - 1
    labels = {
        front.index(least_latency(front)): "least latency",
        front.index(most_throughput(front)): "most throughput",
    }
    step = max(last / max(limit - 1, 1), 1)
    spread = {round(step * number) for number in range(limit) if round(step * number) <= last}
    indices = sorted(spread | labels.keys())
    return tuple(
        (labels.get(index, f"front {index}"), front[index]) for index in indices if front[index].plan != chosen.plan
    )


def best_single(baselines: Sequence[PlanMeasurement]) -> PlanMeasurement | None:
    """The baseline with most throughput; None where no device can hold the whole model."""
    return max(baselines, key=lambda measured: measured.throughput_per_second.value, default=None)


def winning_baseline(chosen: PlanMeasurement, baselines: Sequence[PlanMeasurement]) -> PlanMeasurement | None:
    """The whole-model baseline that was measured at least as good as the chosen plan in both objectives."""
    winners = [
        measured
        for measured in baselines
        if measured.throughput_per_second.value >= chosen.throughput_per_second.value
        and measured.latency_seconds.p50.value <= chosen.latency_seconds.p50.value
    ]
    return best_single(winners)


def recommend(chosen: PlanMeasurement, baselines: Sequence[PlanMeasurement]) -> str:
    """One sentence: which plan to run, and `do not split` where that wins."""
    rate = chosen.throughput_per_second.value
    if not chosen.plan.is_split:
        return f"Do not split: the whole model on '{chosen.plan.stages[0].device}' is the best plan for this wish."
    winner = winning_baseline(chosen, baselines)
    if winner is not None:
        return (
            f"Do not split: the whole model on '{winner.plan.stages[0].device}' was measured at least as good in "
            f"latency and throughput as {chosen.plan.describe()}."
        )
    single = best_single(baselines)
    if single is None:
        return f"Split: {chosen.plan.describe()}; no single device can hold the whole model."
    faster = rate / single.throughput_per_second.value
    latency = chosen.latency_seconds.p50.value / min(measured.latency_seconds.p50.value for measured in baselines)
    return (
        f"Split: {chosen.plan.describe()} gives {faster:.2f} × the throughput of the best single device "
        f"('{single.plan.stages[0].device}'), at {latency:.2f} × the least single-device latency."
    )


def describe_emulation(fleet: Fleet) -> dict[str, str]:
    """Device or link → how it is emulated; empty on real hardware."""
    places = [CLIENT, *(node.name for node in fleet.nodes)]
    devices = {f"device:{node.name}": node.device.emulation for node in fleet.nodes}
    links = {
        f"link:{source}->{target}": fleet.config.describe_link(source, target) for source in places for target in places
    }
    return {name: words for name, words in (devices | links).items() if words}


def describe_environment(fleet: Fleet) -> dict[str, str]:
    """What the figures hold for."""
    facts = {
        "coordinator": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }
    for node in fleet.nodes:
        description = node.description
        facts[f"node {node.name}"] = (
            f"{description.machine}, {description.cpu}, {description.n_cores} cores, {description.runtime}, "
            f"{description.providers[0]}, {description.n_threads} threads"
        )
    return facts
