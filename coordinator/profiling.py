"""The profiling campaign: which spans are timed on which node, and what comes of it."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from coordinator.errors import MeasurementError
from coordinator.fleet import Fleet, FleetNode, on_each_node
from coordinator.provisioning import send_shards, shard_ref
from coordinator.statistics import quantile_estimate
from node_agent.errors import ShardRejectedError
from node_agent.messages import ProfileProgress, ProfileRequest, ProfileSegment, SegmentSamples
from partitioner.onnx_io import Model
from partitioner.profile import DeviceProfile, Profile, SegmentTiming

Span = tuple[int, int]
"""Units [start, stop)."""

OnProgress = Callable[[str, int, int, str], None]
"""Called with node, done, total and what is being done; from several threads."""

N_RANDOM_SEGMENTS = 12


def ignore_progress(_node: str, _done: int, _total: int, _what: str) -> None:
    """Takes progress and shows nothing."""


def spans_to_profile(n_units: int, seed: int) -> tuple[Span, ...]:
    """Every unit, the whole, log-spaced prefixes and suffixes, and random segments."""
    units = [(position, position + 1) for position in range(n_units)]
    lengths = sorted({round(n_units ** (step / 6)) for step in range(1, 6)} | {n_units // 2, 3 * n_units // 4})
    lengths = [length for length in lengths if 1 < length < n_units]
    prefixes = [(0, length) for length in lengths]
    suffixes = [(n_units - length, n_units) for length in lengths]
    return tuple(dict.fromkeys([*units, (0, n_units), *prefixes, *suffixes, *_random_spans(n_units, seed)]))


def _random_spans(n_units: int, seed: int) -> list[Span]:
    if n_units < 4:
        return []
    rng = random.Random(seed)  # noqa: S311 - a choice of segments is no secret
    ends = [sorted(rng.sample(range(n_units + 1), 2)) for _ in range(N_RANDOM_SEGMENTS)]
    return [(start, stop) for start, stop in ends]


def profile_fleet(
    fleet: Fleet,
    model: Model,
    spans_of: Mapping[str, Sequence[Span]],
    *,
    n_rounds: int = 40,
    budget_seconds: float = 60.0,
    seed: int = 0,
    on_progress: OnProgress = ignore_progress,
) -> Profile:
    """Times spans on every node; nodes of one host one after another, hosts side by side.

    Args:
        fleet: Connected nodes.
        model: What is profiled.
        spans_of: For each node's name the spans to time there; a node without any is left alone.
        n_rounds: Rounds over all spans of a node.
        budget_seconds: For each node, for the rounds.
        seed: Of the order in each round.
        on_progress: Told while it works.

    Raises:
        NodeError: A node failed; nothing of it is kept.
    """
    profiles = on_each_node(
        (node for node in fleet.nodes if spans_of.get(node.name)),
        lambda node: profile_node(
            node,
            model,
            spans_of[node.name],
            n_rounds=n_rounds,
            budget_seconds=budget_seconds,
            seed=seed,
            on_progress=on_progress,
        ),
    )
    graph = model.graph
    return Profile(model_sha256=graph.model_sha256, batch=graph.batch, n_units=graph.n_units, devices=tuple(profiles))


def profile_node(
    node: FleetNode,
    model: Model,
    spans: Sequence[Span],
    *,
    n_rounds: int,
    budget_seconds: float,
    seed: int,
    on_progress: OnProgress,
) -> DeviceProfile:
    """Times spans on one node. Spans whose weights alone exceed its memory are left out.

    Where the node's runtime refuses a span, its units are tried one by one, and spans with refused ones are left out.
    """
    timed = partial(_time_spans, node, model, budget_seconds=budget_seconds, seed=seed, on_progress=on_progress)
    fitting = [span for span in spans if model.graph.weight_bytes(*span) < node.device.memory_bytes]
    refused: list[int] = []
    try:
        timings = timed(fitting, n_rounds=n_rounds)
    except ShardRejectedError:
        units = sorted({unit for span in fitting for unit in range(*span)})
        refused = [unit for unit in units if _is_refused(timed, unit)]
        if not refused:
            raise
        supported = [span for span in fitting if not any(unit in range(*span) for unit in refused)]
        timings = timed(supported, n_rounds=n_rounds)
    description = node.description
    return DeviceProfile(
        device=node.name,
        segments=tuple(sorted(timings, key=lambda timing: (timing.start, timing.stop))),
        runtime=f"{description.runtime} {description.providers[0]} threads={description.n_threads}",
        emulation=node.device.emulation,
        base_memory_bytes=description.resident_bytes,
        unsupported_units=tuple(refused),
    )


def _is_refused(timed: Callable[..., object], unit: int) -> bool:
    try:
        timed([(unit, unit + 1)], n_rounds=1)
    except ShardRejectedError:
        return True
    return False


def _time_spans(
    node: FleetNode,
    model: Model,
    spans: Sequence[Span],
    *,
    n_rounds: int,
    budget_seconds: float,
    seed: int,
    on_progress: OnProgress,
) -> list[SegmentTiming]:
    shards = {f"{start}:{stop}": model.cut(start, stop) for start, stop in spans}
    on_progress(node.name, 0, len(shards), "sending weights")
    send_shards(node.client, model, shards.values())
    request = ProfileRequest(
        segments=tuple(ProfileSegment(name=name, shard=shard_ref(shard)) for name, shard in shards.items()),
        n_rounds=n_rounds,
        budget_seconds=budget_seconds,
        seed=seed,
    )
    timings = []
    for event in node.client.profile(request):
        if isinstance(event, ProfileProgress):
            on_progress(node.name, event.n_done, event.n_total, event.what)
        else:
            timings.append(_timing(event))
    if len(timings) != len(shards):
        raise MeasurementError(
            f"Profiling '{node.name}' was to time {len(shards)} segments, but {len(timings)} came back: profile again."
        )
    return timings


def _timing(samples: SegmentSamples) -> SegmentTiming:
    start, stop = map(int, samples.name.split(":"))
    median = quantile_estimate(samples.seconds, 0.5)
    return SegmentTiming(
        start=start,
        stop=stop,
        seconds=median.value,
        low_seconds=median.low,
        high_seconds=median.high,
        n_samples=len(samples.seconds),
        session_seconds=samples.session_seconds,
        memory_bytes=samples.memory_bytes,
    )


def merge_profiles(older: Profile, newer: Profile) -> Profile:
    """The older profile with what the newer one measured added; a span measured twice keeps the newer time."""
    updates = {profile.device: profile for profile in newer.devices}
    devices = tuple(_merge_device(profile, updates.get(profile.device)) for profile in older.devices)
    return Profile(model_sha256=older.model_sha256, batch=older.batch, n_units=older.n_units, devices=devices)


def _merge_device(older: DeviceProfile, newer: DeviceProfile | None) -> DeviceProfile:
    if newer is None:
        return older
    segments = {(timing.start, timing.stop): timing for timing in (*older.segments, *newer.segments)}
    return DeviceProfile(
        device=older.device,
        segments=tuple(segments[span] for span in sorted(segments)),
        runtime=newer.runtime,
        emulation=newer.emulation,
        base_memory_bytes=older.base_memory_bytes,
        unsupported_units=tuple(sorted({*older.unsupported_units, *newer.unsupported_units})),
    )


def unmeasured_spans(profile: Profile, stages: Iterable[tuple[str, int, int]]) -> dict[str, tuple[Span, ...]]:
    """Those of the stages (device, start, stop) that the profile has no direct time for, by device."""
    known = {(device.device, timing.start, timing.stop) for device in profile.devices for timing in device.segments}
    wanted = dict.fromkeys(stage for stage in stages if stage not in known)
    return {
        device: tuple((start, stop) for name, start, stop in wanted if name == device)
        for device in dict.fromkeys(name for name, _, _ in wanted)
    }
