"""What a point says when one points at it."""

from coordinator.report import quantities
from coordinator.report.figure import lines
from coordinator.report.names import plot_text
from coordinator.report.sweep.series import PlanPoint, RunPoint
from coordinator.report.text import error_text


def plan_hover(point: PlanPoint, *, is_predicted: bool) -> str:
    """A plan under a condition, with its figures and runs."""
    found = [f"<b>{plot_text(point.plan)}</b>, {plot_text(point.condition)}", plot_text(point.stages, 80)]
    if point.latency is not None:
        found.append(f"latency {quantities.seconds(point.latency.value)}" + _around(point, "latency", is_predicted))
    if point.throughput is not None:
        found.append(
            f"throughput {quantities.rate(point.throughput.value)}" + _around(point, "throughput", is_predicted)
        )
    if point.front_probability is not None:
        found.append(f"on the front with probability {point.front_probability:.2f}")
    if not is_predicted:
        found += [runs_words(point), "click for the raw samples"]
    return lines(found)


def run_hover(point: PlanPoint, run: RunPoint) -> str:
    """One run of a plan."""
    found = [
        f"<b>{plot_text(point.plan)}</b>, {plot_text(point.condition)}",
        f"repeat {run.repeat + 1}, attempt {run.attempt + 1}: {run.state}",
    ]
    if run.reason:
        found.append(plot_text(run.reason, 80))
    found.append(f"latency {quantities.seconds(run.latency_seconds)}, {quantities.rate(run.throughput_per_second)}")
    return lines([*found, "click for the raw samples"])


def runs_words(point: PlanPoint) -> str:
    """`3 runs, 120 samples; 1 invalid`."""
    n_done = point.n_runs("done")
    text = f"{n_done} run{'' if n_done == 1 else 's'}, {point.n_samples:,} samples"
    others = [f"{n} {state}" for state in ("invalid", "failed") if (n := point.n_runs(state))]
    return "; ".join([text, *others])


def _around(point: PlanPoint, objective: str, is_predicted: bool) -> str:
    """Interval and prediction."""
    if is_predicted:
        return ", predicted"
    if objective == "latency" and point.latency is not None:
        measured, predicted = point.latency, point.predicted_latency_seconds
        text = f" ({quantities.interval(measured, quantities.seconds)})"
    elif point.throughput is not None:
        measured, predicted = point.throughput, point.predicted_throughput_per_second
        text = f" ({quantities.interval(measured)})"
    else:
        return ""
    return text if predicted is None else f"{text}, predicted {error_text(predicted, measured.value)}"
