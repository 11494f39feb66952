"""A chain of units on two unequal devices, and measurements of plans as a world with known factors would give them."""

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np

from coordinator.measurement import Bottleneck, Estimate, LatencySummary, PlanMeasurement, Prediction, StageMeasurement
from coordinator.statistics import quantile_estimate
from partitioner.cluster import CLIENT, Cluster, Device, Link
from partitioner.cost import CostModel
from partitioner.graph import Graph, Layer, Unit
from partitioner.plan import Stage
from partitioner.profile import DeviceProfile, Profile, SegmentTiming, StageTrial
from partitioner.tensors import TensorSpec

DIGEST = "ab12" * 16
N_UNITS = 12
SPEED = {"a": 0.004, "b": 0.001, "c": 0.002}
"""Seconds of a unit."""


def exactly(value):
    return Estimate(value=value, low=value, high=value)


def chain():
    layers = tuple(
        Layer(index=i, name=f"n{i}", op="Conv", inputs=(f"t{i}",), outputs=(f"t{i + 1}",), weight_bytes=100, flops=50)
        for i in range(N_UNITS)
    )
    return Graph(
        name="chain",
        model_sha256=DIGEST,
        batch=1,
        layers=layers,
        units=tuple(Unit(index=i, name=f"u{i}", start=i, stop=i + 1) for i in range(N_UNITS)),
        tensors=tuple(TensorSpec(name=f"t{i}", dtype="float32", shape=(1, 250)) for i in range(N_UNITS + 1)),
        inputs=("t0",),
        outputs=(f"t{N_UNITS}",),
    )


def timing(start, stop, seconds):
    return SegmentTiming(
        start=start,
        stop=stop,
        seconds=seconds,
        low_seconds=0.99 * seconds,
        high_seconds=1.02 * seconds,
        n_samples=30,
        session_seconds=0.02,
        memory_bytes=7000,
    )


def chain_model():
    places = (CLIENT, *SPEED)
    links = tuple(
        Link(source=one, target=two, fixed_seconds=0.0005, bytes_per_second=1e7) for one, two in permutations(places, 2)
    )
    spans = [(i, i + 1) for i in range(N_UNITS)] + [(0, N_UNITS), (0, 4), (4, N_UNITS), (0, 6), (6, N_UNITS)]
    devices = tuple(
        DeviceProfile(
            device=name,
            segments=tuple(timing(start, stop, seconds * (stop - start)) for start, stop in sorted(spans)),
            runtime="test",
        )
        for name, seconds in SPEED.items()
    )
    profile = Profile(model_sha256=DIGEST, batch=1, n_units=N_UNITS, devices=devices)
    cluster = Cluster(name="three", devices=tuple(Device(name=n, memory_bytes=2**30) for n in SPEED), links=links)
    return CostModel(chain(), cluster, profile)


def tried_model():
    """As `chain_model`, with trials of some stages: computing takes 1.1 times what was profiled, and handling 2 ms."""
    model = chain_model()
    tried = {"a": [(0, 4), (0, N_UNITS)], "b": [(4, N_UNITS), (6, N_UNITS)], "c": []}
    devices = tuple(
        replace(
            device,
            trials=tuple(
                trial(*span, 1.1 * SPEED[device.device] * (span[1] - span[0])) for span in tried[device.device]
            ),
        )
        for device in model.profile.devices
    )
    return replace(model, profile=replace(model.profile, devices=devices))


def trial(start, stop, seconds):
    return StageTrial(
        start=start,
        stop=stop,
        compute_seconds=seconds,
        low_seconds=0.99 * seconds,
        high_seconds=1.01 * seconds,
        handover_seconds=0.002,
        busy_seconds=seconds + 0.001,
        n_samples=20,
    )


def stages(*places):
    """`("a", 4), ("b", 12)`: unit at which each device stops."""
    ends = [0, *(stop for _, stop in places)]
    return tuple(
        Stage(device=device, start=start, stop=stop)
        for (device, _), (start, stop) in zip(places, pairwise(ends), strict=True)
    )


def measure(model, label, places, factors, *, noise=0.0, seed=0, n=60, outliers=0, busy_over_unloaded=1.0, paced=()):
    """A measured plan whose stages took `factors` times the model's prediction; `outliers` requests took 10 times."""
    random = np.random.default_rng(seed)
    candidate = model.candidate(stages(*places))
    measured, latency = [], sum(hop.seconds for hop in candidate.cost.hops)
    for index, (stage, cost) in enumerate(zip(candidate.plan.stages, candidate.cost.stages, strict=True)):
        true_seconds = cost.compute_seconds * (1.0 if stage.device in paced else factors.get(stage.device, 1.0))
        times = true_seconds * np.exp(noise * random.standard_normal((2, n)))
        times[:, random.permutation(n)[:outliers]] *= 10
        times[1] *= busy_over_unloaded
        alone, busy = (quantile_estimate(row.tolist(), 0.5) for row in times)
        latency += true_seconds + cost.seconds - cost.compute_seconds
        measured.append(
            StageMeasurement(
                stage=index,
                device=stage.device,
                start=stage.start,
                stop=stage.stop,
                queue_seconds=0.0,
                decode_seconds=0.0,
                compute_seconds=float(times[1].mean()),
                encode_seconds=0.0,
                send_seconds=1e-4,
                sent_bytes=1000,
                predicted_compute_seconds=cost.compute_seconds,
                compute_median_seconds=busy,
                unloaded_compute_seconds=alone,
                variation=noise,
                is_paced=stage.device in paced,
            )
        )
    slowest = max(stage.compute_median_seconds.value for stage in measured)
    return PlanMeasurement(
        label=label,
        plan=candidate.plan,
        latency_seconds=LatencySummary(
            mean=exactly(latency), p50=exactly(latency), p90=exactly(latency), p99=exactly(latency), n_samples=n
        ),
        throughput_per_second=exactly(1 / slowest),
        window=candidate.plan.window,
        n_requests=2 * n,
        n_errors=0,
        max_relative_error=0.0,
        predicted=Prediction(
            latency_seconds=candidate.cost.latency_seconds, throughput_per_second=candidate.cost.throughput_per_second
        ),
        bottleneck=Bottleneck(resource="device:a", busy_seconds=slowest, bound_per_second=1 / slowest),
        stages=tuple(measured),
        input_send_seconds=1e-4,
        spans=(),
    )


def without_medians(plan):
    """As an older version measured it."""
    bare = {"compute_median_seconds": None, "unloaded_compute_seconds": None, "variation": None}
    return replace(plan, stages=tuple(replace(stage, **bare) for stage in plan.stages))
