"""Predicted against measured over all plans of one measurement, and what speaks against trusting it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from coordinator.fleet import Fleet, FleetNode
from coordinator.measurement import (
    BeforeAfter,
    DeviceFactor,
    GroupAccuracy,
    PlanErrors,
    PlanMeasurement,
    PredictionQuality,
)
from coordinator.report import quantities
from coordinator.shared_cores import core_groups
from partitioner.accuracy import rank_agreement, signed_error, summarise_errors

MOST_ERROR = 0.10
"""Of the chosen plan's latency and throughput; above it the report warns."""
MOST_VARIATION = 0.20
"""Of stage times; above it the machine counts as noisy."""

MOST_OVERRUN = 0.05
"""Of an emulated stage over its pace; above it the machine beneath is too busy."""

NodeWarnings = Mapping[str, Sequence[str]]
"""What each node says against times taken on it now."""


def prediction_quality(
    plans: Sequence[PlanMeasurement], factors: Sequence[DeviceFactor], warnings: Iterable[str]
) -> PredictionQuality:
    """The quality of all predictions; plans with an emulated device stand apart.

    Args:
        plans: All that were measured, the chosen one first. One that stands twice counts once.
        factors: Of the devices seen live.
        warnings: What speaks against the figures.
    """
    distinct = distinct_plans(plans)
    return PredictionQuality(
        plans=tuple(_plan_errors(plan) for plan in plans),
        unpaced=_group([plan for plan in distinct if not plan.is_paced]),
        paced=_group([plan for plan in distinct if plan.is_paced]),
        devices=tuple(factors),
        warnings=tuple(warnings),
    )


def distinct_plans(plans: Sequence[PlanMeasurement]) -> tuple[PlanMeasurement, ...]:
    """The same without the second entry of a measurement, as of a baseline that became the chosen plan (the first)."""
    return (*plans[:1], *(plan for plan in plans[1:] if not _is_same_measurement(plan, plans[0])))


def _is_same_measurement(one: PlanMeasurement, other: PlanMeasurement) -> bool:
    return (one.plan, one.latency_seconds, one.throughput_per_second, one.stages) == (
        other.plan,
        other.latency_seconds,
        other.throughput_per_second,
        other.stages,
    )


def node_warnings(fleet: Fleet) -> NodeWarnings:
    """What each node says against times taken on it now.

    Raises:
        NodeError: A node failed.
    """
    return {node.name: node.client.status().warnings for node in fleet.nodes}


def shared_machines(nodes: Iterable[FleetNode]) -> Iterator[str]:
    """Machines on which nodes share too few cores."""
    for group in core_groups(nodes):
        n_threads, n_cores = sum(node.description.n_threads for node in group.nodes), len(group.cores)
        names = ", ".join(repr(node.name) for node in group.nodes)
        yield (
            f"Nodes {names} share one machine and compute with {n_threads} threads on "
            f"{n_cores} {'core' if n_cores == 1 else 'cores'}, so that they slow each other down. That is part of the "
            "prediction, but machines of their own would not: give each node cores of its own, or fewer threads."
        )


def unshared_media(fleet: Fleet) -> Iterator[str]:
    """Media whose links are emulated, each by its sender."""
    for medium in fleet.config.shared_media:
        links = [
            f"{source} → {target}" for source, target in medium.links if fleet.config.link_emulation(source, target)
        ]
        if links:
            yield (
                f"Medium {medium.name!r} is shared in predictions only, since the senders emulate {len(links)} of its "
                f"{len(medium.links)} links each by itself ({links[0]} first): plans that use it may be measured "
                "faster than predicted."
            )


def health_doubts(before: NodeWarnings, after: NodeWarnings) -> Iterator[str]:
    """What nodes said before and after they were measured."""
    for name in dict.fromkeys((*before, *after)):
        early, late = before.get(name, ()), after.get(name, ())
        for words in dict.fromkeys((*early, *late)):
            when = " and ".join(["before"] * (words in early) + ["after"] * (words in late))
            yield (
                f"Node {name!r} said {when} the measurement: {words.rstrip('.')}. Its times are doubtful: see to that, "
                "then run `splitfront bench` again."
            )


def figure_doubts(plans: Sequence[PlanMeasurement], factors: Sequence[DeviceFactor]) -> Iterator[str]:
    """What the figures themselves say against trusting the prediction. The first plan is the chosen one."""
    chosen = _plan_errors(plans[0])
    for what, error, corrected in (
        ("latency", chosen.latency, chosen.corrected_latency),
        ("throughput", chosen.throughput, chosen.corrected_throughput),
    ):
        if not abs(error) <= MOST_ERROR:
            side = "above" if error > 0 else "below"
            yield (
                f"The {what} of the chosen plan was predicted {quantities.percent(abs(error))} {side} what was "
                f"measured: {_remedy(corrected)}."
            )
    yield from _noise_doubts(plans)
    yield from _overrun_doubts(plans)
    for one in factors:
        if one.is_clipped or (one.n_stages > 1 and one.factor is None):
            why = "more than is believed" if one.is_clipped else "too far apart for one correction of the device"
            yield (
                f"Stages on {one.device!r} took {quantities.number(one.low)} to {quantities.number(one.high)} × what "
                f"its profile says, {why}: end other work there and profile it again."
            )


def _remedy(corrected_error: float | None) -> str:
    """What to do about a wrong prediction: stage times are to blame where correcting them would have helped."""
    if corrected_error is not None and abs(corrected_error) > MOST_ERROR:
        return (
            "stage times of the other plans do not explain it, so see that nothing else keeps the machines, the "
            "coordinator's among them, or the network busy, then profile again"
        )
    return (
        "search again with `--profile live`, which corrects stage times by this measurement, or profile again when the "
        "machines and the network are quiet"
    )


def _noise_doubts(plans: Sequence[PlanMeasurement]) -> Iterator[str]:
    worst: dict[str, tuple[float, str]] = {}
    for plan in plans:
        for stage in plan.stages:
            if stage.variation is not None:
                worst[stage.device] = max((stage.variation, plan.label), worst.get(stage.device, (0.0, "")))
    for device, (variation, label) in worst.items():
        if variation > MOST_VARIATION:
            yield (
                f"Stage times on {device!r} varied by {quantities.percent(variation)} in {label!r} (on quiet machines "
                f"by less than {quantities.percent(MOST_VARIATION)}): end other work there, or measure longer "
                "(`--bench-seconds`)."
            )


def _overrun_doubts(plans: Sequence[PlanMeasurement]) -> Iterator[str]:
    """Emulated devices that the machine beneath could not keep up with."""
    worst: dict[str, tuple[float, str]] = {}
    for plan in plans:
        for stage in plan.stages:
            if stage.is_paced and stage.compute_median_seconds is not None and stage.predicted_compute_seconds > 0:
                overrun = stage.compute_median_seconds.value / stage.predicted_compute_seconds - 1
                worst[stage.device] = max((overrun, plan.label), worst.get(stage.device, (0.0, "")))
    for device, (overrun, label) in worst.items():
        if overrun > MOST_OVERRUN:
            yield (
                f"The emulated device {device!r} took {quantities.percent(overrun)} longer than it was to in "
                f"{label!r}, since this machine is too busy to emulate it: emulate fewer or slower devices, or end "
                "other work."
            )


def _plan_errors(plan: PlanMeasurement) -> PlanErrors:
    latency, throughput = plan.latency_seconds.p50.value, plan.throughput_per_second.value
    before, after = plan.predicted, plan.corrected
    return PlanErrors(
        label=plan.label,
        is_paced=plan.is_paced,
        latency=signed_error(before.latency_seconds, latency),
        throughput=signed_error(before.throughput_per_second, throughput),
        corrected_latency=signed_error(after.latency_seconds, latency) if after else None,
        corrected_throughput=signed_error(after.throughput_per_second, throughput) if after else None,
    )


def _group(plans: Sequence[PlanMeasurement]) -> GroupAccuracy | None:
    if not plans:
        return None
    names = _distinct_names([plan.label for plan in plans])
    errors = {name: _plan_errors(plan) for name, plan in zip(names, plans, strict=True)}
    latency = _before_after({name: (one.latency, one.corrected_latency) for name, one in errors.items()})
    throughput = _before_after({name: (one.throughput, one.corrected_throughput) for name, one in errors.items()})
    if latency is None or throughput is None:
        return None
    return GroupAccuracy(
        latency=latency,
        throughput=throughput,
        stage_seconds=_before_after(_stage_errors(dict(zip(names, plans, strict=True)))),
        latency_order=rank_agreement(
            [plan.predicted.latency_seconds for plan in plans],
            [plan.latency_seconds.p50.value for plan in plans],
            [(plan.latency_seconds.p50.low, plan.latency_seconds.p50.high) for plan in plans],
        ),
        throughput_order=rank_agreement(
            [plan.predicted.throughput_per_second for plan in plans],
            [plan.throughput_per_second.value for plan in plans],
            [(plan.throughput_per_second.low, plan.throughput_per_second.high) for plan in plans],
        ),
    )


def _stage_errors(plans: Mapping[str, PlanMeasurement]) -> dict[str, tuple[float, float | None]]:
    """Of unpaced stages, before and after, with one request in flight."""
    found: dict[str, tuple[float, float | None]] = {}
    for name, plan in plans.items():
        for stage in plan.stages:
            live = stage.unloaded_compute_seconds
            if live is None or stage.is_paced:
                continue
            after = stage.corrected_compute_seconds
            found[f"{name}: {stage.device}[{stage.start}:{stage.stop}]"] = (
                signed_error(stage.predicted_compute_seconds, live.value),
                None if after is None else signed_error(after, live.value),
            )
    return found


def _before_after(errors: Mapping[str, tuple[float, float | None]]) -> BeforeAfter | None:
    before = summarise_errors({name: early for name, (early, _) in errors.items()})
    after = summarise_errors({name: late for name, (_, late) in errors.items() if late is not None})
    return BeforeAfter(before=before, after=after) if before else None


def _distinct_names(labels: Sequence[str]) -> list[str]:
    """Labels with a number where one stands several times, so that no plan is lost."""
    counts, seen = Counter(labels), Counter[str]()
    names = []
    for label in labels:
        seen[label] += 1
        names.append(label if counts[label] == 1 else f"{label} #{seen[label]}")
    return names
