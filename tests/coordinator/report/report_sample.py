"""Sample runs: a residual network of 40 units on three devices, and one where no split pays."""

import random
from dataclasses import replace
from functools import cache
from itertools import combinations, permutations

from coordinator.measurement import (
    Bottleneck,
    DeviceFactor,
    Estimate,
    LatencySummary,
    Measurement,
    PlanMeasurement,
    Prediction,
    Span,
    StageMeasurement,
)
from coordinator.prediction_quality import prediction_quality
from coordinator.report.run import Run
from partitioner.cluster import CLIENT, Cluster, Device, Link
from partitioner.graph import Graph, Layer, Unit
from partitioner.plan import Candidate, CostEstimate, HopCost, Plan, Stage, StageCost
from partitioner.profile import DeviceProfile, Profile, SegmentTiming
from partitioner.search.result import Certificate, SearchResult
from partitioner.tensors import TensorSpec

N_UNITS = 40
SLOWDOWN = {"pi-1": 3.0, "pi-2": 4.0, "server": 1.5}
DIGEST = "5f1d" * 16
WINDOW = 6
WARNING = "Node 'pi-1' said before the measurement: the processor is throttled."


def sample_graph(names: tuple[str, ...] | None = None) -> Graph:
    """Two layers to a unit; every third unit adds the output of two units before (a residual)."""
    shown = names or tuple(f"features.{i}.conv.{i % 3}" for i in range(N_UNITS))
    layers, units, tensors = [], [], [TensorSpec(name="image", dtype="float32", shape=(1, 3, 224, 224))]
    for i, name in enumerate(shown):
        before = "image" if i == 0 else f"act.{i - 1}"
        skip = (f"act.{i - 3}",) if i % 4 == 3 else ()
        size = (1, min(16 * 2 ** (i // 6), 320), max(112 >> (i // 7), 7), max(112 >> (i // 7), 7))
        if i == len(shown) - 1:
            size = (1, 1000)
        layers.append(
            Layer(
                index=2 * i,
                name=f"{name}/conv",
                op="Conv",
                inputs=(before,),
                outputs=(f"pre.{i}",),
                weight_bytes=4000 * (i + 1) ** 2 // 8,
                flops=40_000_000 - 700_000 * i,
            )
        )
        layers.append(
            Layer(
                index=2 * i + 1,
                name=f"{name}/clip",
                op="Add" if skip else "Clip",
                inputs=(f"pre.{i}", *skip),
                outputs=(f"act.{i}",),
                weight_bytes=0,
                flops=100_000,
            )
        )
        units.append(Unit(index=i, name=name, start=2 * i, stop=2 * i + 2))
        tensors += [TensorSpec(name=f"pre.{i}", dtype="float32", shape=size)]
        tensors += [TensorSpec(name=f"act.{i}", dtype="float32", shape=size)]
    return Graph(
        name="mobilenet_v2",
        model_sha256=DIGEST,
        batch=1,
        layers=tuple(layers),
        units=tuple(units),
        tensors=tuple(tensors),
        inputs=("image",),
        outputs=(f"act.{len(shown) - 1}",),
    )


def sample_cluster() -> Cluster:
    """Two slow devices and one fast one behind a slower link, all emulated."""
    places = (CLIENT, *SLOWDOWN)
    links = tuple(
        Link(
            source=one,
            target=two,
            fixed_seconds=0.002 if "server" in (one, two) else 0.0006,
            bytes_per_second=12e6 if "server" in (one, two) else 40e6,
            jitter_seconds=0.0002,
            emulation="2 ms, 96 Mbit/s in the sender",
        )
        for one, two in permutations(places, 2)
    )
    devices = tuple(
        Device(name=name, memory_bytes=2**29, emulation=f"{factor} times slower" if factor > 2 else None)
        for name, factor in SLOWDOWN.items()
    )
    return Cluster(name="two Pis and a box", devices=devices, links=links)


def unit_seconds(unit: int) -> float:
    """On the fastest device."""
    return 0.00055 - 0.00001 * unit + (0.0004 if unit % 5 == 2 else 0)


def sample_profile() -> Profile:
    """Each unit alone and the whole, with a few longer spans that figures must not take for units."""
    spans = [(i, i + 1) for i in range(N_UNITS)] + [(0, N_UNITS), (0, 7), (3, 11)]
    return Profile(
        model_sha256=DIGEST,
        batch=1,
        n_units=N_UNITS,
        devices=tuple(
            DeviceProfile(
                device=name,
                segments=tuple(_timing(start, stop, factor) for start, stop in spans),
                runtime="onnxruntime 1.32.0, CPU, 1 thread",
                emulation=f"{factor} times slower" if factor > 2 else None,
            )
            for name, factor in SLOWDOWN.items()
        ),
    )


@cache
def sample_run(names: tuple[str, ...] | None = None) -> Run:
    """Everything there is: profile, front, measurement of three plans and three baselines."""
    graph, cluster = sample_graph(names), sample_cluster()
    search = sample_search(graph, cluster)
    knee = search.front[4]
    chosen = search.front[-1]
    return Run(
        title="mobilenet_v2 on two Pis and a box",
        command=("splitfront", "run", "mobilenet_v2", "--cluster", "two pis.yaml", "--objective", "throughput"),
        graph=graph,
        cluster=cluster,
        search=search,
        chosen=chosen,
        knee=knee,
        profile=sample_profile(),
        measurement=_measurement(search, chosen, knee),
    )


@cache
def predicted_run() -> Run:
    """The same after the search: nothing profiled that could be shown, nothing measured."""
    return replace(sample_run(), measurement=None, profile=None)


@cache
def unsplit_run() -> Run:
    """A front of one point, the whole model on one device."""
    graph = sample_graph()
    cluster = Cluster(name="one", devices=(Device(name="server", memory_bytes=2**30),), links=())
    plan = Plan(model_sha256=DIGEST, batch=1, stages=(Stage(device="server", start=0, stop=N_UNITS),), window=1)
    only = Candidate(plan=plan, cost=_cost(graph, sample_cluster(), plan))
    search = _result((only,), ())
    command = ("splitfront", "search", "mobilenet_v2")
    return Run(title="one device", command=command, graph=graph, cluster=cluster, search=search, chosen=only)


def sample_search(graph: Graph, cluster: Cluster) -> SearchResult:
    """The true front of the sample's cost model, thinned to at most 9 points, and some dominated plans."""
    candidates = [Candidate(plan=plan, cost=_cost(graph, cluster, plan)) for plan in _plans(graph)]
    candidates.sort(key=lambda one: (one.cost.latency_seconds, one.cost.bottleneck_seconds))
    front: list[Candidate] = []
    for candidate in candidates:
        if not front or candidate.cost.bottleneck_seconds < front[-1].cost.bottleneck_seconds:
            front.append(candidate)
    kept = front[:: max(len(front) // 8, 1)]
    kept = kept if kept[-1] is front[-1] else [*kept, front[-1]]
    others = [one for one in candidates if one not in front]
    singles = [one for one in others if not one.plan.is_split]
    return _result(tuple(kept), tuple(random.Random(3).sample(others, 150) + singles))


def _result(front: tuple[Candidate, ...], dominated: tuple[Candidate, ...]) -> SearchResult:
    certificate = Certificate(
        is_exact=True,
        statement="Exact under the cost model: no plan was left out.",
        hypervolume=0.8,
        exact_hypervolume=0.8,
        reference=(1.0, 1.0),
    )
    return SearchResult(
        engine="exact",
        front=front,
        dominated=dominated,
        certificate=certificate,
        seed=7,
        seconds=0.0417,
        n_evaluated=18_213,
    )


def _plans(graph: Graph) -> list[Plan]:
    plans = []
    for n_stages in (1, 2, 3):
        for devices in permutations(SLOWDOWN, n_stages):
            for cuts in combinations(range(1, graph.n_units), n_stages - 1):
                ends = (0, *cuts, graph.n_units)
                stages = tuple(
                    Stage(device=device, start=start, stop=stop)
                    for device, start, stop in zip(devices, ends, ends[1:], strict=False)
                )
                plans.append(Plan(model_sha256=DIGEST, batch=1, stages=stages, window=WINDOW))
    return plans


def _cost(graph: Graph, cluster: Cluster, plan: Plan) -> CostEstimate:
    times = [unit_seconds(unit) for unit in range(graph.n_units)]
    stages = tuple(
        StageCost(
            device=stage.device,
            seconds=SLOWDOWN[stage.device] * sum(times[stage.start : stage.stop]),
            memory_bytes=40 * 2**20 + graph.weight_bytes(stage.start, stage.stop),
        )
        for stage in plan.stages
    )
    places = (CLIENT, *(stage.device for stage in plan.stages), CLIENT)
    positions = (0, *(stage.stop for stage in plan.stages))
    hops = []
    for source, target, position in zip(places, places[1:], positions, strict=False):
        link, size = cluster.link_of[source, target], graph.boundary_bytes(position)
        seconds, busy = link.seconds(size), link.busy_seconds(size)
        hops.append(HopCost(source=source, target=target, n_bytes=size, seconds=seconds, busy_seconds=busy))
    busy = {f"device:{stage.device}": stage.seconds for stage in stages}
    busy |= {f"link:{hop.source}->{hop.target}": hop.busy_seconds for hop in hops}
    resource = max(busy, key=busy.__getitem__)
    latency = sum(stage.seconds for stage in stages) + sum(hop.seconds for hop in hops)
    return CostEstimate(
        latency_seconds=latency,
        bottleneck_seconds=busy[resource],
        bottleneck_resource=resource,
        throughput_per_second=min(plan.window / latency, 1 / busy[resource]),
        stages=stages,
        hops=tuple(hops),
    )


def _timing(start: int, stop: int, factor: float) -> SegmentTiming:
    seconds = factor * sum(unit_seconds(unit) for unit in range(start, stop))
    return SegmentTiming(
        start=start,
        stop=stop,
        seconds=seconds,
        low_seconds=seconds * 0.97,
        high_seconds=seconds * 1.05,
        n_samples=30,
        session_seconds=0.02,
        memory_bytes=2**20,
    )


def _measurement(search: SearchResult, chosen: Candidate, knee: Candidate) -> Measurement:
    fastest = search.front[0]
    singles = [one for one in (*search.front, *search.dominated) if not one.plan.is_split]
    baselines = {one.plan.stages[0].device: one for one in singles}
    measured = _plan_measurement("chosen", chosen, 1.03)
    front = (_plan_measurement("knee", knee, 1.06), _plan_measurement("least latency", fastest, 0.98))
    alone = tuple(_plan_measurement(f"whole model on {name}", baselines[name], 1.02) for name in SLOWDOWN)
    factor = DeviceFactor(device="server", factor=1.03, low=0.98, high=1.06, n_stages=3)
    return Measurement(
        **{name: getattr(measured, name) for name in PlanMeasurement.__dataclass_fields__},
        cost=chosen.cost,
        front=front,
        baselines=alone,
        recommendation=f"Run {chosen.plan.describe()}: of the measured plans it answers most requests per second.",
        emulation={"device:pi-1": "3.0 times slower", "link:client->server": "2 ms, 96 Mbit/s in the sender"},
        environment={
            "machine": "x86_64, 2 cores, 8 GiB",
            "versions": "splitfront 0.1.0, onnxruntime 1.32.0, Python 3.11",
            "load": "0.4 before the run",
        },
        prediction=prediction_quality((measured, *front, *alone), (factor,), (WARNING,)),
    )


def _plan_measurement(label: str, candidate: Candidate, factor: float) -> PlanMeasurement:
    cost, plan = candidate.cost, candidate.plan
    latency, throughput = cost.latency_seconds * factor, cost.throughput_per_second / factor
    return PlanMeasurement(
        label=label,
        plan=plan,
        latency_seconds=LatencySummary(
            mean=_estimate(latency * 1.01, 0.01),
            p50=_estimate(latency, 0.015),
            p90=_estimate(latency * 1.1, 0.02),
            p99=_estimate(latency * 1.3, 0.08),
            n_samples=400,
        ),
        throughput_per_second=_estimate(throughput, 0.02),
        window=plan.window,
        n_requests=1200,
        n_errors=0,
        max_relative_error=1.3e-6,
        predicted=Prediction(latency_seconds=cost.latency_seconds, throughput_per_second=cost.throughput_per_second),
        bottleneck=Bottleneck(
            resource=cost.bottleneck_resource,
            busy_seconds=cost.bottleneck_seconds * factor,
            bound_per_second=1 / (cost.bottleneck_seconds * factor),
        ),
        stages=tuple(_stage(candidate, index, factor) for index in range(len(plan.stages))),
        input_send_seconds=cost.hops[0].busy_seconds * factor,
        spans=_spans(candidate, factor),
        corrected=Prediction(
            latency_seconds=cost.latency_seconds * (1 + factor) / 2,
            throughput_per_second=cost.throughput_per_second * 2 / (1 + factor),
        )
        if any(not _is_paced(stage.device) for stage in plan.stages)
        else None,
    )


def _is_paced(device: str) -> bool:
    return SLOWDOWN[device] > 2


def _stage(candidate: Candidate, index: int, factor: float) -> StageMeasurement:
    stage, seconds = candidate.plan.stages[index], candidate.cost.stages[index].seconds
    hop = candidate.cost.hops[index + 1]
    return StageMeasurement(
        stage=index,
        device=stage.device,
        start=stage.start,
        stop=stage.stop,
        queue_seconds=0.0021,
        decode_seconds=0.0002,
        compute_seconds=seconds * factor,
        encode_seconds=0.0003,
        send_seconds=hop.busy_seconds * factor,
        sent_bytes=hop.n_bytes,
        predicted_compute_seconds=seconds,
        compute_median_seconds=_estimate(seconds * factor * 0.99, 0.01),
        unloaded_compute_seconds=_estimate(seconds * factor * 1.01, 0.01),
        corrected_compute_seconds=None if _is_paced(stage.device) else seconds * (1 + factor) / 2,
        variation=0.04,
        is_paced=_is_paced(stage.device),
    )


def _spans(candidate: Candidate, factor: float, n_requests: int = 3) -> tuple[Span, ...]:
    spans, clock = [], 0.0

    def spend(request: int, lane: str, what: str, seconds: float) -> None:
        nonlocal clock
        spans.append(Span(request=request, lane=lane, what=what, start_seconds=clock, stop_seconds=clock + seconds))
        clock += seconds

    for request in range(n_requests):
        for index, hop in enumerate(candidate.cost.hops):
            spend(request, f"link:{hop.source}->{hop.target}", "network", hop.seconds * factor)
            if index < len(candidate.cost.stages):
                stage = candidate.cost.stages[index]
                lane = f"device:{stage.device}"
                spend(request, lane, "queue", 0.0004)
                spend(request, lane, "decode", 0.0003)
                spend(request, lane, "compute", stage.seconds * factor)
                spend(request, lane, "encode", 0.0004)
    return tuple(spans)


def _estimate(value: float, width: float) -> Estimate:
    return Estimate(value=value, low=value * (1 - width), high=value * (1 + width))
