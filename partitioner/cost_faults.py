"""Why a cost model cannot be made, or a plan not be predicted: all faults at once, in words."""

import math
from collections.abc import Iterator
from itertools import pairwise, product

from partitioner.cluster import CLIENT, Cluster, Link
from partitioner.codec import NO_CODEC, CodecTable
from partitioner.graph import Graph
from partitioner.media import repeated_names
from partitioner.plan import Plan, Stage
from partitioner.processors import processor_faults
from partitioner.profile import DeviceProfile, Profile


def input_faults(graph: Graph, cluster: Cluster, profile: Profile, codecs: CodecTable | None) -> tuple[str, ...]:
    """Why they cannot make a cost model; empty where they can."""
    return (
        *_profile_faults(graph, profile),
        *_cluster_faults(cluster),
        *_coverage_faults(graph, cluster, profile),
        *(_table_faults(graph, cluster, codecs) if codecs else ()),
    )


def plan_faults(plan: Plan, graph: Graph, cluster: Cluster, codecs: CodecTable | None = None) -> tuple[str, ...]:
    """Why a plan does not fit the graph and the cluster; empty where it fits."""
    return (
        *_identity_faults(plan, graph),
        *_span_faults(plan.stages, graph.n_units),
        *_place_faults(plan.stages, cluster),
        *_codec_faults(plan.stages, codecs),
    )


def _profile_faults(graph: Graph, profile: Profile) -> Iterator[str]:
    if profile.model_sha256 != graph.model_sha256:
        yield f"the profile is of model {profile.model_sha256[:12]!r}, the graph is {graph.model_sha256[:12]!r}"
    if profile.batch != graph.batch:
        yield f"the profile holds for batch {profile.batch}, the graph for batch {graph.batch}"
    if profile.n_units != graph.n_units:
        yield f"the profile has {profile.n_units} units, the graph {graph.n_units}"
    for device in profile.devices:
        yield from _segment_faults(device, graph.n_units)
        yield from _trial_faults(device, graph.n_units)


def _segment_faults(profile: DeviceProfile, n_units: int) -> Iterator[str]:
    for segment in profile.segments:
        span = f"segment [{segment.start}:{segment.stop}] of {profile.device!r}"
        if not 0 <= segment.start < segment.stop <= n_units:
            yield f"{span} is no span of {n_units} units"
        if not 0 < segment.seconds < math.inf:
            yield f"{span} has {segment.seconds} seconds, wanted more than 0"


def _trial_faults(profile: DeviceProfile, n_units: int) -> Iterator[str]:
    for trial in profile.trials:
        span = f"trial [{trial.start}:{trial.stop}] of {profile.device!r}"
        if not 0 <= trial.start < trial.stop <= n_units:
            yield f"{span} is no span of {n_units} units"
        for name in ("compute_seconds", "busy_seconds"):
            if not 0 < getattr(trial, name) < math.inf:
                yield f"{span} has {name} {getattr(trial, name)}, wanted more than 0"
        if not 0 <= trial.handover_seconds < math.inf:
            yield f"{span} has handover_seconds {trial.handover_seconds}, wanted 0 or more"


def _cluster_faults(cluster: Cluster) -> Iterator[str]:
    names = [device.name for device in cluster.devices]
    if not names:
        yield "the cluster has no devices"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two devices are named {name!r}"
    if CLIENT in names:
        yield f"a device is named {CLIENT!r}, which is the name of the client"
    for link in cluster.links:
        yield from _link_faults(link, {*names, CLIENT})
    yield from repeated_names(cluster.media, "media")
    for medium in cluster.media:
        for end in sorted({end for pair in medium.links for end in pair} - {*names, CLIENT}):
            yield f"medium {medium.name!r} names the unknown device {end!r}"
    yield from processor_faults(cluster.processors)
    for processor in cluster.processors:
        for device in sorted({device for device, _ in processor.shares} - set(names)):
            yield f"processor {processor.name!r} names the unknown device {device!r}"


def _link_faults(link: Link, places: set[str]) -> Iterator[str]:
    label = f"link {link.source!r} → {link.target!r}"
    for end in (link.source, link.target):
        if end not in places:
            yield f"{label} names the unknown device {end!r}"
    if not 0 <= link.fixed_seconds < math.inf:
        yield f"{label} has fixed_seconds {link.fixed_seconds}, wanted 0 or more"
    if not link.bytes_per_second > 0:
        yield f"{label} has bytes_per_second {link.bytes_per_second}, wanted more than 0"
    if not link.busy_bytes_per_second >= 0:
        yield (
            f"{label} has busy_bytes_per_second {link.busy_bytes_per_second}, wanted more than 0, or 0 where it is as "
            f"bytes_per_second"
        )


def _coverage_faults(graph: Graph, cluster: Cluster, profile: Profile) -> Iterator[str]:
    profiles = {device.device: device for device in profile.devices}
    for name in cluster.device_of:
        covered = {unit for segment in _segments(profiles.get(name)) for unit in range(*segment)}
        covered.update(profiles[name].unsupported_units if name in profiles else ())
        missing = sorted(set(range(graph.n_units)) - covered)
        if name not in profiles:
            yield f"device {name!r} has no profile"
        elif missing:
            yield f"the profile of {name!r} leaves {len(missing)} units untimed, the first is unit {missing[0]}"


def _segments(profile: DeviceProfile | None) -> Iterator[tuple[int, int]]:
    for segment in profile.segments if profile else ():
        yield segment.start, segment.stop


def _table_faults(graph: Graph, cluster: Cluster, codecs: CodecTable) -> Iterator[str]:
    if (codecs.model_sha256, codecs.batch, codecs.n_units) != (graph.model_sha256, graph.batch, graph.n_units):
        yield (
            f"the codecs were measured for {codecs.n_units} units of model {codecs.model_sha256[:12]!r} at batch "
            f"{codecs.batch}, the graph has {graph.n_units} of {graph.model_sha256[:12]!r} at batch {graph.batch}"
        )
    for coding in codecs.codings:
        if not len(coding.wire_bytes) == len(coding.output_errors) == codecs.n_units + 1:
            yield f"codec {coding.codec!r} wants {codecs.n_units + 1} sizes and errors"
        for name in cluster.device_of:
            if (name, coding.codec) not in codecs.rate_of:
                yield f"codec {coding.codec!r} was not timed on {name!r}"


def _codec_faults(stages: tuple[Stage, ...], codecs: CodecTable | None) -> Iterator[str]:
    known = set(codecs.coding_of if codecs else ())
    for index, stage in enumerate(stages):
        if stage.codec == NO_CODEC:
            continue
        if index == len(stages) - 1:
            yield f"the last stage sends in codec {stage.codec!r}, but the client takes tensors as they are"
        elif stage.codec not in known:
            yield f"stage {index} sends in codec {stage.codec!r}, measured are: {', '.join(sorted(known)) or 'none'}"


def _identity_faults(plan: Plan, graph: Graph) -> Iterator[str]:
    if plan.model_sha256 != graph.model_sha256:
        yield f"it is for model {plan.model_sha256[:12]!r}, the graph is {graph.model_sha256[:12]!r}"
    if plan.batch != graph.batch:
        yield f"it is for batch {plan.batch}, the graph for batch {graph.batch}"
    if plan.window < 1:
        yield f"its window is {plan.window}, wanted 1 or more"


def _span_faults(stages: tuple[Stage, ...], n_units: int) -> Iterator[str]:
    if not stages:
        yield "it has no stages"
        return
    for index, stage in enumerate(stages):
        if not 0 <= stage.start < stage.stop <= n_units:
            yield f"stage {index} [{stage.start}:{stage.stop}] is no span of {n_units} units"
    stops = [0, *(stage.stop for stage in stages)]
    starts = [*(stage.start for stage in stages), n_units]
    for stop, start in zip(stops, starts, strict=True):
        if stop < start:
            yield f"a gap leaves the units [{stop}:{start}] out"
        elif stop > start:
            yield f"an overlap runs the units [{start}:{stop}] twice"


def _place_faults(stages: tuple[Stage, ...], cluster: Cluster) -> Iterator[str]:
    known = {*cluster.device_of, CLIENT}
    names = [name for stage in stages for name in stage.devices]
    for name in dict.fromkeys(names):
        if name not in cluster.device_of:
            yield f"device {name!r} is unknown (the cluster has {', '.join(sorted(cluster.device_of))})"
    if any(stage.replicas for stage in stages):
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"device {name!r} is named twice, which a plan with replicas does not permit"
    places = ((CLIENT,), *(stage.devices for stage in stages), (CLIENT,)) if stages else ()
    pairs = [pair for sources, targets in pairwise(places) for pair in product(sources, targets)]
    for source, target in dict.fromkeys(pairs):
        if source == target:
            yield f"two stages in a row are on {source!r}: make them one"
        elif {source, target} <= known and (source, target) not in cluster.link_of:
            yield f"there is no link {source!r} → {target!r}"
