"""Small graphs, clusters, profiles and problems for the tests of the deciding side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from partitioner.cluster import CLIENT, Cluster, Device, Link
from partitioner.cost import CostModel
from partitioner.front import FloatArray, IntArray
from partitioner.graph import Graph, Layer, Unit
from partitioner.profile import DeviceProfile, Profile, SegmentTiming, StageTrial
from partitioner.search.problem import SearchProblem
from partitioner.tensors import TensorSpec

SHA = "a" * 64


def chain_graph(
    sizes: Sequence[int], *, weights: Sequence[int] | None = None, flops: Sequence[int] | None = None, batch: int = 1
) -> Graph:
    """A chain of len(sizes) - 1 units; tensor t{i} of sizes[i] bytes lies at position i."""
    n_units = len(sizes) - 1
    layers = tuple(
        Layer(
            index=index,
            name=f"layer{index}",
            op="Relu",
            inputs=(f"t{index}",),
            outputs=(f"t{index + 1}",),
            weight_bytes=weights[index] if weights else 0,
            flops=flops[index] if flops else 0,
        )
        for index in range(n_units)
    )
    return Graph(
        name="chain",
        model_sha256=SHA,
        batch=batch,
        layers=layers,
        units=tuple(Unit(index=i, name=f"unit{i}", start=i, stop=i + 1) for i in range(n_units)),
        tensors=tuple(TensorSpec(name=f"t{i}", dtype="uint8", shape=(size,)) for i, size in enumerate(sizes)),
        inputs=("t0",),
        outputs=(f"t{n_units}",),
    )


def timing(start: int, stop: int, seconds: float, memory_bytes: int = 0) -> SegmentTiming:
    return SegmentTiming(
        start=start,
        stop=stop,
        seconds=seconds,
        low_seconds=seconds,
        high_seconds=seconds,
        n_samples=5,
        session_seconds=0.01,
        memory_bytes=memory_bytes,
    )


def device_profile(device: str, segments: Mapping[tuple[int, int], float], base_memory_bytes: int = 0) -> DeviceProfile:
    timings = tuple(timing(start, stop, seconds) for (start, stop), seconds in segments.items())
    return DeviceProfile(device=device, segments=timings, runtime="test", base_memory_bytes=base_memory_bytes)


def profile_of(graph: Graph, *devices: DeviceProfile) -> Profile:
    return Profile(model_sha256=graph.model_sha256, batch=graph.batch, n_units=graph.n_units, devices=devices)


def cluster_of(
    memories: Mapping[str, int], links: Mapping[tuple[str, str], tuple[float, float]] | None = None
) -> Cluster:
    """Devices by memory, links by (fixed seconds, bytes per second); all pairs at (0, 1e9) where links is None."""
    places = (*memories, CLIENT)
    chosen = links or {(a, b): (0.0, 1e9) for a in places for b in places if a != b}
    return Cluster(
        name="test",
        devices=tuple(Device(name=name, memory_bytes=memory) for name, memory in memories.items()),
        links=tuple(
            Link(source=source, target=target, fixed_seconds=fixed, bytes_per_second=rate)
            for (source, target), (fixed, rate) in chosen.items()
        ),
    )


def stage_trial(start: int, stop: int, compute: float, handover: float, busy: float, **further: int) -> StageTrial:
    return StageTrial(
        start=start,
        stop=stop,
        compute_seconds=compute,
        low_seconds=compute,
        high_seconds=compute,
        handover_seconds=handover,
        busy_seconds=busy,
        n_samples=5,
        **further,
    )


def random_trials(random: np.random.Generator, spans: Mapping[tuple[int, int], float]) -> tuple[StageTrial, ...]:
    """Trials of about a third of the spans; devices are busy for less than a lone request takes, or for more."""
    return tuple(
        stage_trial(
            *span,
            compute=(compute := seconds * float(random.uniform(0.8, 1.3))),
            handover=float(random.uniform(0, 0.5)),
            busy=compute * float(random.uniform(0.7, 1.2)) + float(random.uniform(0, 0.3)),
        )
        for span, seconds in spans.items()
        if random.random() < 0.3
    )


def with_trials(
    random: np.random.Generator, cluster: Cluster, profiles: Sequence[DeviceProfile]
) -> tuple[Cluster, tuple[DeviceProfile, ...]]:
    """The same with trials on every device and rates that links sustain, in half of the cases.

    It draws from a stream of its own: what else `random` draws stays.
    """
    own = random.spawn(1)[0]
    if own.random() < 0.5:
        return cluster, tuple(profiles)
    spans_of = [{(timing.start, timing.stop): timing.seconds for timing in profile.segments} for profile in profiles]
    tried = tuple(
        replace(profile, trials=random_trials(own, spans)) for profile, spans in zip(profiles, spans_of, strict=True)
    )
    links = tuple(
        replace(link, busy_bytes_per_second=link.bytes_per_second * float(own.uniform(0.5, 2)) * own.integers(2))
        for link in cluster.links
    )
    return replace(cluster, links=links), tried


def random_cost_model(
    random: np.random.Generator, n_devices: int, n_units: int, *, has_limits: bool = True
) -> CostModel:
    """Every span measured, so that times are not additive; some links missing, some memories tight; trials in half."""
    graph = chain_graph(
        random.integers(1, 100, n_units + 1).tolist(), weights=random.integers(0, 500, n_units).tolist()
    )
    names = [f"d{index}" for index in range(n_devices)]
    profiles = []
    for name in names:
        speed = random.uniform(0.3, 3)
        units = random.uniform(0.5, 2, n_units) * speed
        spans = {
            (start, stop): float(units[start:stop].sum() * random.uniform(0.8, 1.3))
            for start in range(n_units)
            for stop in range(start + 1, n_units + 1)
        }
        profiles.append(device_profile(name, spans, base_memory_bytes=10))
    places = (*names, CLIENT)
    links = {
        (a, b): (float(random.uniform(0, 0.5)), float(random.uniform(20, 500)))
        for a in places
        for b in places
        if a != b and (not has_limits or random.random() < 0.8)
    }
    memories = {name: int(random.integers(800, 4000)) if has_limits else 10**9 for name in names}
    cluster, tried = with_trials(random, cluster_of(memories, links or {(CLIENT, "d0"): (0.0, 1.0)}), profiles)
    return CostModel(graph, cluster, profile_of(graph, *tried))


def random_problem(
    random: np.random.Generator,
    n_devices: int,
    n_units: int,
    *,
    has_limits: bool = True,
    is_coarse: bool = False,
    busy_share: float = 0.55,
) -> SearchProblem:
    """Bare arrays with forbidden links, memory limits, pins, few stages and positions; coarse times make ties.

    About half of them tell apart what keeps devices or links busy, or both.
    """
    shape = (n_devices, n_units + 1, n_units + 1)
    lengths = np.subtract.outer(np.arange(n_units + 1), np.arange(n_units + 1)).T
    seconds = np.maximum(lengths, 0) * random.uniform(0.8, 1.6, (n_devices, 1, 1)) * random.uniform(0.7, 1.4, shape)
    seconds = np.where(lengths > 0, np.ceil(seconds) if is_coarse else seconds, np.inf)
    fixed = random.uniform(0, 0.3, (n_devices + 1, n_devices + 1))
    fixed = np.round(fixed * 4) / 2 if is_coarse else fixed
    allowed = np.ones(n_units + 1, dtype=bool)
    first = last = None
    memory = np.full(n_devices, np.inf)
    max_stages = n_devices
    if has_limits:
        fixed[random.random(fixed.shape) < 0.15] = np.inf
        allowed[1:n_units] = random.random(n_units - 1) < 0.8
        memory = random.uniform(0.4 * n_units, 2 * n_units, n_devices)
        max_stages = int(random.integers(1, n_devices + 1)) if random.random() < 0.3 else n_devices
        first = int(random.integers(n_devices)) if random.random() < 0.2 else None
        last = int(random.integers(n_devices)) if random.random() < 0.2 else None
    problem = SearchProblem(
        device_names=tuple(f"d{index}" for index in range(n_devices)),
        stage_seconds=seconds,
        stage_memory_bytes=np.maximum(lengths, 0) + random.uniform(0, 2, shape),
        device_memory_bytes=memory,
        boundary_bytes=np.ceil(random.uniform(1, 100, n_units + 1)),
        link_fixed_seconds=fixed,
        link_bytes_per_second=np.full_like(fixed, 50.0) if is_coarse else random.uniform(100, 2000, fixed.shape),
        is_position_allowed=allowed,
        max_stages=max_stages,
        pinned_first=first,
        pinned_last=last,
    )
    return with_busy_tables(problem, random, is_coarse=is_coarse, share=busy_share)


def with_busy_tables(
    problem: SearchProblem, random: np.random.Generator, *, is_coarse: bool = False, share: float
) -> SearchProblem:
    """The same problem with tables of what keeps devices, links, or both busy, in some share of the cases.

    They draw from a stream of their own: what else `random` draws stays.
    """
    own = random.spawn(1)[0]
    if own.random() >= share:
        return problem
    has_stages, has_links = [(True, True), (True, False), (False, True), (True, True)][own.integers(4)]
    busy = problem.stage_seconds * own.uniform(0.6, 1.7, problem.stage_seconds.shape)
    rate = problem.link_bytes_per_second
    return replace(
        problem,
        stage_busy_seconds=(np.ceil(busy) if is_coarse else busy) if has_stages else None,
        link_busy_bytes_per_second=rate * (2.0 if is_coarse else own.uniform(0.4, 3, rate.shape))
        if has_links
        else None,
    )


def smooth_problem(random: np.random.Generator, n_devices: int, n_units: int) -> SearchProblem:
    """Additive times, as networks have; the front is long. Times of busy devices are additive, too, but others."""
    units = random.uniform(0.3, 3, (n_devices, n_units)) * random.uniform(0.5, 2, (n_devices, 1))
    totals = np.concatenate([np.zeros((n_devices, 1)), np.cumsum(units, axis=1)], axis=1)
    seconds = totals[:, None, :] - totals[:, :, None] + 0.05
    seconds[:, *np.tril_indices(n_units + 1)] = np.inf
    problem = random_problem(random, n_devices, n_units, has_limits=False)
    if problem.stage_busy_seconds is None:
        return replace(problem, stage_seconds=seconds)
    own = random.spawn(1)[0]
    busy = np.zeros((n_devices, n_units + 1))
    busy[:, 1:] = np.cumsum(units * own.uniform(0.6, 1.7, units.shape), axis=1)
    return replace(
        problem,
        stage_seconds=seconds,
        stage_busy_seconds=np.where(np.isfinite(seconds), busy[:, None, :] - busy[:, :, None] + 0.03, np.inf),
    )


def wider_problem(problem: SearchProblem, factor: float | FloatArray) -> SearchProblem:
    """The same problem with faster links, also in what they sustain."""
    busy_rate = problem.link_busy_bytes_per_second
    return replace(
        problem,
        link_bytes_per_second=problem.link_bytes_per_second * factor,
        link_busy_bytes_per_second=None if busy_rate is None else busy_rate * factor,
    )


def of_devices(problem: SearchProblem, order: IntArray) -> dict[str, FloatArray | None]:
    """Tables of a problem for its devices in another order, or some of them several times."""
    ends = np.append(order, problem.n_devices)
    pairs = np.ix_(ends, ends)
    busy, busy_rate = problem.stage_busy_seconds, problem.link_busy_bytes_per_second
    return {
        "stage_seconds": problem.stage_seconds[order],
        "stage_busy_seconds": None if busy is None else busy[order],
        "stage_memory_bytes": problem.stage_memory_bytes[order],
        "device_memory_bytes": problem.device_memory_bytes[order],
        "link_fixed_seconds": problem.link_fixed_seconds[pairs],
        "link_bytes_per_second": problem.link_bytes_per_second[pairs],
        "link_busy_bytes_per_second": None if busy_rate is None else busy_rate[pairs],
    }
