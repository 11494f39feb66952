"""The window of a live plan, found by loading it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

from coordinator.deployment import Deployment
from coordinator.errors import MeasurementError
from coordinator.loadgen import MIN_REQUESTS, Workload, run_load
from coordinator.measurement import WindowStep
from coordinator.window import MAX_STEPS, WindowWish, best_step, tune_window
from partitioner.cost import suggested_window
from partitioner.plan import Candidate, CostEstimate, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTuning:
    """How windows are tuned."""

    wish: WindowWish
    predict: Callable[[Plan], CostEstimate]
    """What the plan costs with the window that was found, so that its prediction is of what is measured."""
    seconds: float
    """For each window tried; on a slow plan longer, until `MIN_REQUESTS` answers came while it was full. No wider one
    is begun once `MAX_STEPS` times as long has passed."""


def tune_deployment(
    deployment: Deployment,
    workload: Workload,
    tuning: WindowTuning,
    *,
    latency_seconds: float,
    on_window: Callable[[int], None] = lambda _window: None,
) -> tuple[Deployment, tuple[WindowStep, ...]]:
    """The same deployment with the window that suits it, and the windows tried.

    Args:
        deployment: Live; nothing else may load it meanwhile.
        workload: What to send.
        tuning: How.
        latency_seconds: Of a lone request.
        on_window: Told which window is tried.

    Raises:
        OutputMismatchError: An answer did not pass the gate.
        NodeError: The pipeline broke.
        MeasurementError: At some window nothing was answered.
    """
    plan = deployment.candidate.plan
    ends_at = time.perf_counter() + MAX_STEPS * tuning.seconds

    def measure(window: int) -> WindowStep:
        on_window(window)
        deployment.pipeline.resize(window)
        result = run_load(
            deployment.pipeline,
            workload,
            is_single_stream=False,
            n_requests=max(window, 1) * 10_000,
            budget_seconds=tuning.seconds,
            n_least=MIN_REQUESTS + 2 * window,
            on_done=lambda _n_done: None,
            gate=deployment.gate,
            answer_seconds=deployment.answer_seconds,
        )
        if len(result.records) < 2:
            raise MeasurementError(f"{len(result.records)} requests were answered at window {window}: see the logs.")
        return WindowStep(
            window=window,
            throughput_per_second=result.throughput_per_second(replace(plan, window=window)),
            latency_seconds=median(record.latency_seconds for record in result.steady(window, plan.n_ways)),
        )

    bound = tuning.wish.latency_bound_seconds
    cost = deployment.candidate.cost
    start = suggested_window(latency_seconds + cost.stretch_seconds, cost.bottleneck_seconds)
    steps = tune_window(measure, start, bound, is_time_left=lambda: time.perf_counter() < ends_at)
    best = best_step(steps, bound)
    deployment.pipeline.resize(best.window)
    tuned = replace(plan, window=best.window)
    return replace(deployment, candidate=Candidate(plan=tuned, cost=tuning.predict(tuned))), steps
