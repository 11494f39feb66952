"""The window of a live plan, found by loading it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

from coordinator.deployment import Deployment
from coordinator.errors import MeasurementError
from coordinator.loadgen import Workload, run_load
from coordinator.measurement import WindowStep
from coordinator.statistics import rate_estimate, scaled
from coordinator.window import WindowWish, best_step, tune_window
from partitioner.cost import suggested_window
from partitioner.plan import Candidate, CostEstimate, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowTuning:
    """How windows are tuned."""

    wish: WindowWish
    predict: Callable[[Plan], CostEstimate]
    """What the plan costs with the window that was found, so that its prediction is of what is measured."""
    seconds: float
    """For each window tried."""


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

    def measure(window: int) -> WindowStep:
        on_window(window)
        deployment.pipeline.resize(window)
        result = run_load(
            deployment.pipeline,
            workload,
            is_single_stream=False,
            n_requests=max(window, 1) * 10_000,
            budget_seconds=tuning.seconds,
            on_done=lambda _n_done: None,
            gate=deployment.gate,
            answer_seconds=deployment.answer_seconds,
        )
        if len(result.records) < 2:
            raise MeasurementError(f"{len(result.records)} requests were answered at window {window}: see the logs.")
        steady = result.steady(window)
        return WindowStep(
            window=window,
            throughput_per_second=scaled(rate_estimate([record.received_at for record in steady]), plan.batch),
            latency_seconds=median(record.latency_seconds for record in steady),
        )

    bound = tuning.wish.latency_bound_seconds
    cost = deployment.candidate.cost
    start = suggested_window(latency_seconds + cost.stretch_seconds, cost.bottleneck_seconds)
    steps = tune_window(measure, start, bound)
    best = best_step(steps, bound)
    deployment.pipeline.resize(best.window)
    tuned = replace(plan, window=best.window)
    return replace(deployment, candidate=Candidate(plan=tuned, cost=tuning.predict(tuned))), steps
