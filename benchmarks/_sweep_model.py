"""A made-up network on unlike devices, from a profile as one would be stored, and conditions over delay and rate."""

from collections.abc import Sequence

import numpy as np

from benchmarks._made_up_plans import made_up_timing
from partitioner.cluster import CLIENT, Cluster, Device, Link
from partitioner.cost import CostModel
from partitioner.front import FloatArray
from partitioner.graph import Graph, Layer, Unit
from partitioner.profile import DeviceProfile, Profile
from partitioner.search.robust.network import LinkCondition, NetworkCondition
from partitioner.tensors import TensorSpec

DIGEST = "c0de" * 16
LARGEST_BYTES = 3e6
"""About the boundary after the first unit; along the chain they shrink to a fiftieth."""
SPREAD = 8.0
"""The last device is so many times as fast as the first, which has the client on it."""


def chain_model(n_devices: int, n_units: int, seed: int = 0) -> CostModel:
    """A chain of units like a convolutional network; the whole takes about a second on the first, slowest device."""
    random = np.random.default_rng(seed)
    shrinking = np.exp(-4.0 * np.linspace(0.0, 1.0, n_units + 1)) * random.lognormal(0.0, 0.5, n_units + 1)
    graph = _chain((LARGEST_BYTES * shrinking).astype(np.int64).tolist())
    work = random.lognormal(0.0, 0.8, n_units)
    names = [f"device-{index + 1}" for index in range(n_devices)]
    speeds = np.geomspace(1.0, SPREAD, n_devices) if n_devices > 1 else np.ones(1)
    profiles = tuple(
        _profile(name, work / work.sum() / speed, random) for name, speed in zip(names, speeds, strict=True)
    )
    places = (*names, CLIENT)
    links = tuple(_link(source, target, names[0]) for source in places for target in places if source != target)
    devices = tuple(Device(name=name, memory_bytes=1 << 40) for name in names)
    cluster = Cluster(name=f"{n_devices} made-up devices", devices=devices, links=links)
    return CostModel(graph, cluster, Profile(model_sha256=DIGEST, batch=1, n_units=n_units, devices=profiles))


def grid_conditions(cluster: Cluster, delays: Sequence[float], rates: Sequence[float]) -> tuple[NetworkCondition, ...]:
    """Every delay with every rate, on all links but those within the first device's machine."""
    here = {CLIENT, cluster.devices[0].name}
    shaped = [pair for pair in cluster.link_of if set(pair) != here]
    return tuple(
        NetworkCondition(
            name=f"{delay * 1e3:.4g} ms, {rate * 8e-6:.4g} Mbit/s",
            links=dict.fromkeys(shaped, LinkCondition(delay_seconds=delay, bytes_per_second=rate)),
        )
        for delay in delays
        for rate in rates
    )


def _chain(sizes: Sequence[int]) -> Graph:
    n_units = len(sizes) - 1
    layers = [
        Layer(index=i, name=f"layer{i}", op="Conv", inputs=(f"t{i}",), outputs=(f"t{i + 1}",), weight_bytes=0, flops=1)
        for i in range(n_units)
    ]
    return Graph(
        name="chain",
        model_sha256=DIGEST,
        batch=1,
        layers=tuple(layers),
        units=tuple(Unit(index=i, name=f"unit{i}", start=i, stop=i + 1) for i in range(n_units)),
        tensors=tuple(TensorSpec(name=f"t{i}", dtype="uint8", shape=(size,)) for i, size in enumerate(sizes)),
        inputs=("t0",),
        outputs=(f"t{n_units}",),
    )


def _profile(name: str, seconds: FloatArray, random: np.random.Generator) -> DeviceProfile:
    """Each unit, prefix and suffix, as profiling times them: several units take a little less than their sum."""
    n_units = len(seconds)
    spans = {(unit, unit + 1) for unit in range(n_units)}
    spans |= {(0, stop) for stop in range(1, n_units + 1)} | {(start, n_units) for start in range(n_units)}
    timings = tuple(
        made_up_timing(start, stop, float(seconds[start:stop].sum() * random.uniform(0.9, 1.0)) + 2e-4)
        for start, stop in sorted(spans)
    )
    return DeviceProfile(device=name, segments=timings, runtime="made up")


def _link(source: str, target: str, first: str) -> Link:
    is_here = {source, target} == {first, CLIENT}
    fixed, rate = (2e-5, 3e9) if is_here else (3e-4, 1.25e8)
    return Link(source=source, target=target, fixed_seconds=fixed, bytes_per_second=rate)
