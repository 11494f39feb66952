"""Small graphs, clusters, profiles and problems for the tests of the deciding side."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from partitioner.cluster import CLIENT, Cluster, Device, Link
from partitioner.cost import CostModel
from partitioner.graph import Graph, Layer, Unit
from partitioner.profile import DeviceProfile, Profile, SegmentTiming
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


def random_cost_model(
    random: np.random.Generator, n_devices: int, n_units: int, *, has_limits: bool = True
) -> CostModel:
    """Every span measured, so that times are not additive; some links missing, some memories tight."""
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
    return CostModel(graph, cluster_of(memories, links or {(CLIENT, "d0"): (0.0, 1.0)}), profile_of(graph, *profiles))


def random_problem(
    random: np.random.Generator, n_devices: int, n_units: int, *, has_limits: bool = True, is_coarse: bool = False
) -> SearchProblem:
    """Bare arrays with forbidden links, memory limits, pins, few stages and positions; coarse times make ties."""
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
    return SearchProblem(
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


def smooth_problem(random: np.random.Generator, n_devices: int, n_units: int) -> SearchProblem:
    """Additive times, as networks have; the front is long."""
    units = random.uniform(0.3, 3, (n_devices, n_units)) * random.uniform(0.5, 2, (n_devices, 1))
    totals = np.concatenate([np.zeros((n_devices, 1)), np.cumsum(units, axis=1)], axis=1)
    seconds = totals[:, None, :] - totals[:, :, None] + 0.05
    seconds[:, *np.tril_indices(n_units + 1)] = np.inf
    return replace(random_problem(random, n_devices, n_units, has_limits=False), stage_seconds=seconds)
