"""Tables for the terminal. The only door to rich."""

from rich import box
from rich.table import Table
from rich.text import Text

from coordinator.measurement import Measurement, PlanMeasurement
from coordinator.report import quantities
from coordinator.report.names import operators, printable, shorten, split_bytes, split_names
from coordinator.report.run import is_same_plan, resource_label
from coordinator.report.text import describe_plan, emulation_sentence, error_text
from coordinator.report.unit_times import unit_times
from partitioner.graph import Graph
from partitioner.plan import Candidate
from partitioner.profile import Profile
from partitioner.search.result import SearchResult

BAR_WIDTH = 8
"""Signs of the longest bar."""
_EIGHTHS = " ▏▎▍▌▋▊▉"


def front_table(search: SearchResult, graph: Graph, chosen: Candidate | None, knee: Candidate | None = None) -> Table:
    """Every plan of the front, least latency first; the chosen one is marked `★`, the knee `◆`."""
    table = plain_table(f"Front of {printable(graph.name)}, predicted")
    table.add_column("", no_wrap=True)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("latency", justify="right", no_wrap=True)
    table.add_column("throughput", justify="right", no_wrap=True)
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
            Text(printable(resource_label(cost.bottleneck_resource))),
            Text(describe_plan(candidate.plan)),
            _cuts(graph, candidate),
            style="bold" if is_chosen else "",
        )
    marks = "★ chosen" + ("   ◆ knee" if knee is not None else "")
    table.caption = Text(f"{marks}   {printable(search.certificate.statement)}")
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
    for index, plan in enumerate((measurement, *measurement.front, *measurement.baselines)):
        table.add_row(*_measured_row(plan), style="bold" if index == 0 else "")
    notes = [f"p99 of {measurement.latency_seconds.n_samples:,} samples"]
    if measurement.emulation:
        notes.append(emulation_sentence(map(resource_label, measurement.emulation)))
    table.caption = Text("   ".join(notes))
    return table


def inspect_table(graph: Graph) -> Table:
    """Every unit, and what would cross behind it: a split point unless it is the last."""
    table = plain_table(f"{printable(graph.name)}, batch {graph.batch}")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True, overflow="ellipsis")
    table.add_column("operators", no_wrap=True, overflow="ellipsis")
    table.add_column("work", justify="right", no_wrap=True)
    table.add_column("weights", justify="right", no_wrap=True)
    table.add_column("crossing", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=BAR_WIDTH)
    table.add_column("tensors", justify="right", no_wrap=True)
    largest = max((graph.boundary_bytes(position) for position in range(1, graph.n_units + 1)), default=1)
    for unit in graph.units:
        position = unit.index + 1
        n_tensors, crossing = len(graph.boundaries[position]), graph.boundary_bytes(position)
        is_end = position == graph.n_units
        table.add_row(
            Text(str(unit.index)),
            Text(shorten(unit.name, 28)),
            Text(shorten(operators(graph, unit.index), 20)),
            Text(quantities.flops(sum(layer.flops for layer in graph.layers[unit.start : unit.stop]))),
            Text(quantities.n_bytes(graph.weight_bytes(unit.index, unit.index + 1))),
            Text(quantities.n_bytes(crossing)),
            Text(_bar(crossing, largest), style="blue"),
            Text(f"{n_tensors} {'out' if is_end else '●' if n_tensors == 1 else ' '}"),
            end_section=is_end,
        )
    table.caption = Text(_inspect_caption(graph))
    return table


def profile_table(profile: Profile, graph: Graph) -> Table:
    """Times of each unit on each device, their sum, and the whole model in one piece."""
    devices = unit_times(profile)
    table = plain_table(f"Profile of {printable(graph.name)}, batch {profile.batch}")
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True, overflow="ellipsis")
    for device in devices:
        table.add_column(Text(shorten(device.device, 16)), justify="right", no_wrap=True)
    for unit in graph.units:
        timings = [device.units[unit.index] for device in devices]
        shown = [Text(quantities.seconds(timing.seconds if timing else None)) for timing in timings]
        table.add_row(Text(str(unit.index)), Text(shorten(unit.name, 60)), *shown)
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


def plain_table(title: str) -> Table:
    """A table in the look of all tables, still without columns."""
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="dim",
        collapse_padding=True,
    )


def _cuts(graph: Graph, candidate: Candidate) -> Text:
    names, sizes = split_names(graph, candidate.plan, 22), split_bytes(graph, candidate.plan)
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
        Text(f"{quantities.relative_error(plan.max_relative_error)}{_failures(plan)}"),
    )


def _failures(plan: PlanMeasurement) -> str:
    return f"\n{plan.n_errors:,} failed" if plan.n_errors else ""


def _bar(value: float, largest: float) -> str:
    eighths = round(BAR_WIDTH * 8 * value / largest) if largest else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _inspect_caption(graph: Graph) -> str:
    n_single = sum(point.is_block_level for point in graph.split_points)
    weights = sum(layer.weight_bytes for layer in graph.layers)
    work = sum(layer.flops for layer in graph.layers)
    inputs = ", ".join(shorten(name, 24) for name in graph.boundaries[0])
    return (
        f"{len(graph.layers):,} layers in {graph.n_units:,} units, {len(graph.split_points):,} split points, "
        f"{n_single:,} of them ● crossed by a single tensor.\n"
        f"{quantities.flops(work)}, weights {quantities.n_bytes(weights)}, "
        f"input {inputs} {quantities.n_bytes(graph.boundary_bytes(0))}."
    )
