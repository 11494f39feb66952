"""Tables of a run for the terminal; that of a network alone is in `inspection`."""

from collections.abc import Callable

from rich.table import Table
from rich.text import Text

from coordinator.measurement import Measurement, PlanMeasurement
from coordinator.report import quantities
from coordinator.report.names import printable, shorten, split_names
from coordinator.report.run import is_same_plan, resource_label
from coordinator.report.table_style import ShrinkingName, plain_table
from coordinator.report.text import describe_plan, emulation_sentence, error_text, power_words
from coordinator.report.unit_times import unit_times
from partitioner.graph import Graph
from partitioner.plan import Candidate
from partitioner.profile import Profile
from partitioner.search.result import SearchResult

_FURTHER: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "memory_bytes": ("memory", quantities.n_bytes),
    "energy_joules": ("energy", lambda joules: f"{quantities.number(joules)} J"),
    "wire_bytes": ("sent", quantities.n_bytes),
    "output_error": ("error", quantities.percent),
}
"""Heading and form of objectives that not every front has."""


def front_table(search: SearchResult, graph: Graph, chosen: Candidate | None, knee: Candidate | None = None) -> Table:
    """Every plan of the front in its order; the chosen one is marked `★`, the knee `◆`."""
    table = plain_table(f"Front of {printable(graph.name)}, predicted")
    table.add_column("", no_wrap=True)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("latency", justify="right", no_wrap=True)
    table.add_column("throughput", justify="right", no_wrap=True)
    further = [name for name in search.objectives if name in _FURTHER]
    for name in further:
        table.add_column(_FURTHER[name][0], justify="right", no_wrap=True)
    table.add_column("busiest", overflow="fold")
    table.add_column("stages", overflow="fold")
    table.add_column("split after", overflow="fold")
    for number, candidate in enumerate(search.front):
        is_chosen = chosen is not None and is_same_plan(candidate.plan, chosen.plan)
        is_knee = knee is not None and is_same_plan(candidate.plan, knee.plan)
        cost = candidate.cost
        table.add_row(
            Text(("★" if is_chosen else "") + ("◆" if is_knee else "")),
            Text(str(number)),
            Text(quantities.seconds(cost.latency_seconds)),
            Text(quantities.rate(cost.throughput_per_second)),
            *(Text(_FURTHER[name][1](getattr(cost, name))) for name in further),
            Text(printable(resource_label(cost.bottleneck_resource))),
            Text(describe_plan(candidate.plan)),
            _cuts(graph, candidate),
            style="bold" if is_chosen else "",
        )
    marks = ["★ chosen"] * (chosen is not None) + ["◆ knee"] * (knee is not None)
    power = power_words(candidate.cost for candidate in search.front) if "energy_joules" in further else ""
    notes = [f"energy: {power}"] if power else []
    table.caption = Text("   ".join([*marks, *notes, printable(search.certificate.statement)]))
    return table


def measurement_table(measurement: Measurement) -> Table:
    """Chosen plan, other plans of the front and single devices: measured, with interval, over predicted with error."""
    table = plain_table("Measured, with 95 % interval; below it predicted, with error")
    table.add_column("plan", overflow="fold")
    table.add_column("latency p50", justify="right", no_wrap=True)
    table.add_column("p90\np99", justify="right", no_wrap=True)
    table.add_column("throughput", justify="right", no_wrap=True)
    table.add_column("busiest", overflow="fold")
    table.add_column("output\nerror", justify="right", no_wrap=True)
    for index, plan in enumerate(measurement.plans):
        table.add_row(*_measured_row(plan), style="bold" if index == 0 else "")
    notes = [f"p99 of {measurement.latency_seconds.n_samples:,} samples"]
    if measurement.emulation:
        notes.append(emulation_sentence(map(resource_label, measurement.emulation)))
    table.caption = Text("   ".join(notes))
    return table


def prediction_table(measurement: Measurement) -> Table:
    """A line for each plan: latency and throughput predicted, measured and the error; after correction, where it is."""
    has_corrected = any(plan.corrected for plan in measurement.plans)
    table = plain_table("Predicted and measured" + ("; corrected by stage times of the other plans" * has_corrected))
    table.add_column("plan", overflow="fold")
    for what in ("latency", "throughput"):
        for head in (f"{what}\npredicted", "\nmeasured", "\nerror", *(("\ncorrected",) if has_corrected else ())):
            table.add_column(head, justify="right", no_wrap=True)
    for index, plan in enumerate(measurement.plans):
        table.add_row(*_prediction_row(plan, has_corrected=has_corrected), style="bold" if index == 0 else "")
    return table


def profile_table(profile: Profile, graph: Graph) -> Table:
    """Times of each unit on each device, their sum, and the whole model in one piece."""
    devices = unit_times(profile)
    table = plain_table(f"Profile of {printable(graph.name)}, batch {profile.batch}")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("unit")
    for device in devices:
        table.add_column(Text(shorten(device.device, 16)), justify="right", no_wrap=True)
    for unit in graph.units:
        timings = [device.units[unit.index] for device in devices]
        shown = [Text(quantities.seconds(timing.seconds if timing else None)) for timing in timings]
        table.add_row(Text(str(unit.index)), ShrinkingName(unit.name), *shown)
    table.add_section()
    sums = [Text(quantities.seconds(device.sum_seconds)) for device in devices]
    wholes = [Text(quantities.seconds(device.whole_seconds)) for device in devices]
    table.add_row("", Text("sum of the units measured alone"), *sums)
    table.add_row("", Text("whole model in one piece"), *wholes, style="bold")
    emulated = [shorten(device.device, 20) for device in profile.devices if device.emulation]
    notes = [] if devices else ["No unit was measured alone."]
    notes += [f"emulated: {', '.join(emulated)}"] if emulated else []
    table.caption = Text("   ".join(notes)) if notes else None
    return table


def _cuts(graph: Graph, candidate: Candidate) -> Text:
    names, sizes = split_names(graph, candidate.plan, 22), [hop.n_bytes for hop in candidate.cost.hops[1:-1]]
    if not names:
        return Text("not split", style="dim")
    return Text("\n".join(f"{name}, {quantities.n_bytes(size)}" for name, size in zip(names, sizes, strict=True)))


def _measured_row(plan: PlanMeasurement) -> tuple[Text, ...]:
    latency, throughput, before = plan.latency_seconds, plan.throughput_per_second, plan.predicted
    return (
        Text.assemble(printable(plan.label), "\n", (describe_plan(plan.plan), "dim")),
        Text(
            f"{quantities.seconds(latency.p50.value)}\n{quantities.interval(latency.p50, quantities.milliseconds)}\n"
            f"{quantities.seconds(before.latency_seconds)} {error_text(before.latency_seconds, latency.p50.value)}"
        ),
        Text(f"{quantities.seconds(latency.p90.value)}\n{quantities.seconds(latency.p99.value)}"),
        Text(
            f"{quantities.rate(throughput.value)}\n{quantities.interval(throughput)}\n"
            f"{quantities.rate(before.throughput_per_second)} "
            f"{error_text(before.throughput_per_second, throughput.value)}"
        ),
        Text(
            f"{printable(resource_label(plan.bottleneck.resource))}\n{quantities.seconds(plan.bottleneck.busy_seconds)}"
        ),
        Text(f"{quantities.relative_error(plan.max_relative_error)}{_l2_error(plan)}{_failures(plan)}"),
    )


def _l2_error(plan: PlanMeasurement) -> str:
    """What lossy codecs did, and were predicted to do; nothing without any."""
    if plan.output_error is None:
        return ""
    predicted = plan.predicted.output_error
    return (
        f"\nL2 {quantities.relative_error(plan.output_error)}"
        f"\n{quantities.relative_error(predicted)} {error_text(predicted, plan.output_error)}"
    )


def _failures(plan: PlanMeasurement) -> str:
    return f"\n{plan.n_errors:,} failed" if plan.n_errors else ""


def _prediction_row(plan: PlanMeasurement, *, has_corrected: bool) -> tuple[Text, ...]:
    label = Text.assemble(printable(plan.label), (" (emulated)" if plan.is_paced else "", "dim"))
    before, after = plan.predicted, plan.corrected
    latency, throughput = plan.latency_seconds.p50.value, plan.throughput_per_second.value
    figures = (
        (before.latency_seconds, after.latency_seconds if after else None, latency, quantities.seconds),
        (before.throughput_per_second, after.throughput_per_second if after else None, throughput, quantities.rate),
    )
    cells = [label]
    for predicted, corrected, measured, show in figures:
        cells += [Text(show(predicted)), Text(show(measured)), Text(error_text(predicted, measured))]
        if has_corrected:
            cells.append(Text(quantities.UNKNOWN if corrected is None else error_text(corrected, measured)))
    return tuple(cells)
