"""Sentences about a run, for the page and the terminal. They promise no more than the intervals allow."""

from collections.abc import Iterable

from coordinator.measurement import PlanMeasurement
from coordinator.report import quantities
from coordinator.report.comparison import (
    Comparison,
    best_measured_split,
    latency_comparison,
    throughput_comparison,
)
from coordinator.report.names import printable, shorten, split_names
from coordinator.report.run import Run, resource_label
from partitioner.accuracy import signed_error
from partitioner.codec import NO_CODEC
from partitioner.graph import Graph
from partitioner.plan import CostEstimate, Plan


def headline(run: Run) -> str:
    """What to do, in one sentence: the measurement's own recommendation, or the one that the search allows."""
    if run.measurement is not None and run.measurement.recommendation:
        return printable(run.measurement.recommendation)
    devices = [printable("+".join(stage.devices)) for stage in run.chosen.plan.stages]
    if not run.chosen.plan.is_split:
        return f"Do not split: run the whole model on {devices[0]}."
    if len(devices) == 1:
        return f"Let {devices[0]} take turns at the whole model."
    where = ", ".join(split_names(run.graph, run.chosen.plan))
    return f"Split after {where}: {' → '.join(devices)}."


def comparison_sentence(comparison: Comparison | None, quantity: str) -> str:
    """How many times the best single device: `2.34 × the throughput of … (server), 95 % interval 2.29 – 2.41.`."""
    if comparison is None:
        return f"There is no single device to compare the {quantity} with."
    device, times = printable(comparison.device), comparison.times
    if not comparison.is_measured:
        return f"Predicted {quantities.ratio(times.value)} the {quantity} of the best single device ({device})."
    where = f"95 % interval {quantities.interval(times)}"
    if not comparison.is_clear:
        return f"No clear difference in {quantity} to the best single device ({device}): {where} ×."
    return f"{quantities.ratio(times.value)} the {quantity} of the best single device ({device}), {where}."


def comparison_sentences(run: Run) -> tuple[str, ...]:
    """How the chosen plan stands to one device alone; for a plan that does not split, to the best that does."""
    if run.chosen.plan.is_split:
        return (
            comparison_sentence(throughput_comparison(run), "throughput"),
            comparison_sentence(latency_comparison(run), "latency"),
        )
    split = best_measured_split(run)
    if split is None or run.measurement is None:
        return ("The whole model runs on one device; nothing crosses between devices.",)
    times = split.throughput_per_second.value / run.measurement.throughput_per_second.value
    return (
        f"The best split that was measured ({describe_plan(split.plan)}) reaches {quantities.ratio(times)} "
        "the throughput of the chosen device.",
    )


def prediction_sentence(measured: PlanMeasurement) -> str:
    """Latency and throughput as predicted beside what came, with the errors."""
    latency, throughput = measured.latency_seconds.p50.value, measured.throughput_per_second.value
    before = measured.predicted
    return (
        f"Predicted {quantities.seconds(before.latency_seconds)} and {quantities.rate(before.throughput_per_second)}; "
        f"measured {quantities.seconds(latency)} ({error_text(before.latency_seconds, latency)}) and "
        f"{quantities.rate(throughput)} ({error_text(before.throughput_per_second, throughput)})."
    )


def error_text(predicted: float, measured: float) -> str:
    """Signed error of a prediction: `+2.4 %` where it promised more than came."""
    return quantities.percent(signed_error(predicted, measured), is_signed=True)


def correctness_sentence(measured: PlanMeasurement) -> str:
    """How far the outputs are from those of the whole model, and how many requests failed."""
    failed = "none failed" if measured.n_errors == 0 else f"{measured.n_errors:,} failed"
    coded = (
        ""
        if measured.output_error is None
        else f", {quantities.relative_error(measured.output_error)} in L2 where codecs were predicted to bring "
        f"{quantities.relative_error(measured.predicted.output_error)}"
    )
    return (
        f"Outputs of {measured.n_requests:,} requests differ from the whole model's by at most "
        f"{quantities.relative_error(measured.max_relative_error)} (relative){coded}; {failed}."
    )


def emulation_sentence(names: Iterable[str]) -> str:
    """What was emulated (devices and `a → b`), short enough for a badge; empty on real hardware."""
    names = tuple(names)
    if not names:
        return ""
    links = sum(" → " in name for name in names)
    parts = [shorten(name, 20) for name in names if " → " not in name]
    if links:
        parts.append("1 link" if links == 1 else f"{links} links")
    return f"emulated: {', '.join(parts)}"


def search_sentence(run: Run) -> str:
    """Who found the front, out of how much, and how good it is."""
    search = run.search
    points = "1 plan" if len(search.front) == 1 else f"{len(search.front)} plans"
    return (
        f"Front of {points} by the engine {printable(search.engine)}, {search.n_evaluated:,} candidates in "
        f"{quantities.seconds(search.seconds)}, seed {search.seed}. {printable(search.certificate.statement)}"
    )


def describe_plan(plan: Plan) -> str:
    """Devices and spans: `pi-1[0:12] → server[12:54]`, fit to be shown."""
    return printable(plan.describe())


def stage_lines(graph: Graph, plan: Plan, width: int = 32) -> tuple[str, ...]:
    """One line for each stage and one for each cut between two, in the order in which data flows."""
    lines: list[str] = []
    for stage in plan.stages:
        units = stage.stop - stage.start
        lines.append(f"{shorten('+'.join(stage.devices), 24)}: {units} {'unit' if units == 1 else 'units'}")
        if stage.stop < graph.n_units:
            after = shorten(graph.units[stage.stop - 1].name, width)
            coded = "" if stage.codec == NO_CODEC else f" before {stage.codec}"
            lines.append(f"↓ {quantities.n_bytes(graph.boundary_bytes(stage.stop))}{coded} after {after}")
    return tuple(lines)


def bottleneck_text(resource: str, busy_seconds: float) -> str:
    """`pi-1, 12.3 ms`."""
    return f"{printable(resource_label(resource))}, {quantities.seconds(busy_seconds)}"


def power_words(costs: Iterable[CostEstimate]) -> str:
    """Where the power behind predicted energies comes from; empty where none is known."""
    sources = sorted({stage.power_source for cost in costs for stage in cost.stages} - {""})
    if len(sources) > 1:
        return f"power of unlike sources: {', '.join(sources)}"
    return "".join("modelled, power given" if source == "given" else f"power {source}" for source in sources)


def expectation_sentence(cost: CostEstimate) -> str:
    """`Predicted: 84.1 ms, 20.1 /s, busiest pi-1.`."""
    latency, rate = quantities.seconds(cost.latency_seconds), quantities.rate(cost.throughput_per_second)
    return f"Predicted: {latency}, {rate}, busiest {printable(resource_label(cost.bottleneck_resource))}."
