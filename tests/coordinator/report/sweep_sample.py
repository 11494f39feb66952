"""A made-up sweep that obeys simple physics: a Pi beside the client, a server behind the network."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from benchmarks._sweep_model import chain_model, grid_conditions
from coordinator.report.sweep.reading import read_sweep
from coordinator.report.sweep.series import SweepSeries
from coordinator.results.values import Case, LinkFound, ResourceUse, Run, Sample, Sweep
from coordinator.sweep.predicted import PredictedSweep
from coordinator.sweep.predicting import predict_sweep
from partitioner.plan import Plan, Stage

NODES = ("pi-1", "server")
N_UNITS = 54
CUTS = (3, 6, 9, 14, 20, 26, 33, 40, 46, 51)


@dataclass(frozen=True)
class Network:
    """One way delay in seconds and rate in bytes per second, of all links beyond the Pi."""

    name: str
    delay_seconds: float
    bytes_per_second: float


NETWORKS = (
    Network("gigabit-lan", 0.0002, 117e6),
    Network("wifi-good", 0.002, 25e6),
    Network("5g", 0.010, 12e6),
    Network("lte", 0.025, 3.75e6),
    Network("wifi-poor", 0.015, 1.25e6),
    Network("paper-degraded", 0.200, 0.625e6),
)
GRID = tuple(
    Network(f"{delay * 2e3:g}ms-{rate / 125e3:g}mbit", delay, rate)
    for delay in (0.001, 0.02, 0.08)
    for rate in (0.25e6, 1e6, 4e6, 64e6)
)
MODELS = {"mobilenet_v2": 1.0, "resnet18": 2.4, "vgg16": 11.0}
"""How much work they are."""
PLANES = ("grpc", "tcp")


def boundary_bytes(cut: int) -> float:
    """Activations shrink along the network; the input is 600 kB, the output 4 kB."""
    return 600e3 if cut == 0 else 4e3 if cut == N_UNITS else 1.2e6 * 0.93**cut * (0.35 if cut in (14, 26, 46) else 1.0)


def sample_sweep(
    *,
    models: Sequence[str] = ("mobilenet_v2", "resnet18"),
    networks: Sequence[Network] = NETWORKS,
    planes: Sequence[str] = ("grpc",),
    n_repeats: int = 3,
    n_samples: int = 24,
    seed: int = 7,
    factor: float = 1.0,
    name: str = "networks",
) -> tuple[Sweep, tuple[Run, ...]]:
    """Sweep and runs; `n_samples` for each scenario of a run, all figures `factor` times as long."""
    chance = random.Random(seed)
    cases = [
        Case(
            model=model,
            cluster="pi and server",
            nodes=NODES,
            condition=network.name,
            plan_label=label,
            plan=Plan(model_sha256=f"{number:064x}", batch=1, stages=stages, window=4),
            data_plane=plane,
        )
        for number, model in enumerate(models)
        for plane in planes
        for label, stages in plans()
        for network in networks
    ]
    order = []
    for repeat in range(n_repeats):
        block = [(case.key, repeat) for case in cases]
        chance.shuffle(block)
        order += block
    sweep = Sweep(
        name=name,
        spec={"name": name, "models": list(models), "conditions": [network.name for network in networks]},
        seed=seed,
        created_at="2026-03-14T09:26:53+00:00",
        versions={"splitfront": "0.1.0", "onnxruntime": "1.22.1"},
        cases=tuple(cases),
        n_repeats=n_repeats,
        order=tuple(order),
    )
    by_key = {case.key: case for case in cases}
    network_of = {network.name: network for network in networks}
    runs: list[Run] = []
    for position, (key, repeat) in enumerate(order):
        case = by_key[key]
        runs += _attempts(
            sweep,
            case,
            network_of[case.condition],
            repeat=repeat,
            position=position,
            n_samples=n_samples,
            factor=factor,
            chance=chance,
        )
    return sweep, tuple(runs)


def plans() -> list[tuple[str, tuple[Stage, ...]]]:
    """Not to split, to send the input, and ten splits."""
    whole = [(f"whole model on {name}", (Stage(device=name, start=0, stop=N_UNITS),)) for name in NODES]
    split = [
        (f"split {cut}", (Stage(device="pi-1", start=0, stop=cut), Stage(device="server", start=cut, stop=N_UNITS)))
        for cut in CUTS
    ]
    return [*whole, *split]


def expected(case: Case, network: Network) -> tuple[float, float]:
    """(latency, seconds between answers) without noise."""
    work = MODELS[case.model]
    slow, fast = 0.0020 * work, 0.0008 * work
    stages = case.plan.stages
    cut = N_UNITS if stages[0].device == "pi-1" and len(stages) == 1 else 0 if len(stages) == 1 else stages[0].stop
    crossing = network.delay_seconds + boundary_bytes(cut) / network.bytes_per_second
    back = 0.0 if cut == N_UNITS else network.delay_seconds + 4e3 / network.bytes_per_second
    parts = [slow * cut, fast * (N_UNITS - cut)]
    overhead = (0.0011 if case.data_plane == "grpc" else 0.0006) * (1 + len(stages))
    latency = sum(parts) + (0.0 if cut == N_UNITS else crossing + back) + overhead
    wire = 0.0 if cut == N_UNITS else boundary_bytes(cut) / network.bytes_per_second
    return latency, max(*parts, wire) + overhead / 3


@cache
def usual_sweep() -> tuple[Sweep, tuple[Run, ...]]:
    """Two models, six conditions, twelve plans, three repeats."""
    return sample_sweep()


@cache
def grid_sweep() -> tuple[Sweep, tuple[Run, ...]]:
    """One model over a grid of delays and rates."""
    return sample_sweep(models=("mobilenet_v2",), networks=GRID, n_samples=6, name="grid")


@cache
def usual_series() -> SweepSeries:
    """As it is drawn."""
    return read_sweep(*usual_sweep())


@cache
def grid_series() -> SweepSeries:
    """As it is drawn."""
    return read_sweep(*grid_sweep())


def predicted_sweep(
    delays: Sequence[float] = (1e-3, 0.05), rates: Sequence[float] = (5e4, 1.1e5, 1e6, 5e7)
) -> PredictedSweep:
    """Of a made-up chain on two devices, under the name of the first model."""
    model = chain_model(2, 20)
    found = predict_sweep(model, grid_conditions(model.cluster, delays, rates))
    return replace(found, model="mobilenet_v2", data_plane="grpc", cluster="pi and server")


def large_sweep() -> tuple[Sweep, tuple[Run, ...]]:
    """20,000 samples and some more."""
    return sample_sweep(models=tuple(MODELS), planes=PLANES, n_repeats=3, n_samples=8, name="large")


def _attempts(
    sweep: Sweep,
    case: Case,
    network: Network,
    *,
    repeat: int,
    position: int,
    n_samples: int,
    factor: float,
    chance: random.Random,
) -> list[Run]:
    """One run, or what went before it: a condition that was not in force, a node that was gone."""
    latency, interval = (factor * seconds for seconds in expected(case, network))
    predicted = latency * (1 + 0.05 * ((hash_of(case.key) % 100) / 50 - 1)), 0.97 / interval
    run = Run(
        sweep=sweep.name,
        case_key=case.key,
        repeat=repeat,
        attempt=0,
        position=position,
        state="done",
        began_at=f"2026-03-14T{9 + position // 1200 % 12:02d}:{position // 20 % 60:02d}:{position % 20 * 3:02d}+00:00",
        seconds=4.0,
        coordinator="desk 4711",
        environment={"processor": "Cortex-A72", "governor": "performance", "load": round(chance.random() / 3, 2)},
        predicted_latency_seconds=predicted[0],
        predicted_throughput_per_second=predicted[1],
    )
    if case.plan_label == "split 3" and case.condition == "paper-degraded":
        return [replace(run, state="failed", reason="node 'server' was not reached within 10 s", attempt=0)]
    attempts = []
    if chance.random() < 0.05:
        found = links(network, chance, slower=1.8)
        attempts.append(
            measured(
                replace(run, state="invalid", links=found, reason=doubt(found)),
                latency * 1.5,
                interval * 1.6,
                4,
                chance,
            )
        )
    if chance.random() < 0.01:
        attempts.append(replace(run, state="failed", reason="an answer differed by 3.1e-2", attempt=len(attempts)))
    done = replace(run, attempt=len(attempts), links=links(network, chance), resources=resources(case, network))
    return [*attempts, measured(done, latency, interval, n_samples, chance)]


def measured(run: Run, latency: float, interval: float, n_samples: int, chance: random.Random) -> Run:
    """With samples around the figures, one in fifty far off."""
    drift = chance.gauss(1.0, 0.015)
    samples, now = [], 0.0
    for request in range(n_samples):
        took = latency * drift * abs(chance.gauss(1.0, 0.02)) * (2.2 if chance.random() < 0.02 else 1.0)
        samples.append(Sample(scenario="single_stream", request=request, sent_seconds=now, received_seconds=now + took))
        now += took * 1.001
    for request in range(n_samples):
        received = now + interval * drift * (request + 1) * abs(chance.gauss(1.0, 0.01))
        sent = max(now, received - 4 * interval)
        samples.append(Sample(scenario="offline", request=request, sent_seconds=sent, received_seconds=received))
    lone = sorted(sample.latency_seconds for sample in samples[:n_samples])
    figures = {
        "latency_seconds": lone[len(lone) // 2],
        "throughput_per_second": 1 / (interval * drift),
        "loaded_latency_seconds": 4 * interval * drift,
        "max_relative_error": 2.1e-6,
    }
    return replace(run, figures=figures, samples=tuple(samples))


def links(network: Network, chance: random.Random, slower: float = 1.0) -> tuple[LinkFound, ...]:
    """As asked, and as found."""
    asked = 2 * network.delay_seconds
    return tuple(
        LinkFound(
            source=source,
            target=target,
            round_trip_seconds=asked * slower + 0.0003 * chance.random(),
            bytes_per_second=network.bytes_per_second / slower * (1 - 0.02 * chance.random()),
            asked_round_trip_seconds=asked,
            asked_bytes_per_second=network.bytes_per_second,
        )
        for source, target in (("pi-1", "server"), ("server", "client"))
    )


def resources(case: Case, network: Network) -> tuple[ResourceUse, ...]:
    """What the physics of `expected` keep busy."""
    stages, work = case.plan.stages, MODELS[case.model]
    pace = {"pi-1": 0.0020 * work, "server": 0.0008 * work}
    uses = [
        ResourceUse(resource=f"device:{stage.device}", busy_seconds=pace[stage.device] * (stage.stop - stage.start))
        for stage in stages
    ]
    if len(stages) > 1:
        sent = boundary_bytes(stages[0].stop)
        busy = sent / network.bytes_per_second
        uses.append(ResourceUse(resource="link:pi-1->server", busy_seconds=busy, tensor_bytes=sent))
    elif stages[0].device == "server":
        busy = boundary_bytes(0) / network.bytes_per_second
        uses.append(ResourceUse(resource="link:client->server", busy_seconds=busy, tensor_bytes=boundary_bytes(0)))
    return tuple(sorted(uses, key=lambda use: -use.busy_seconds))


def doubt(found: Sequence[LinkFound]) -> str:
    """Why such a run is invalid."""
    link = found[0]
    wanted, came = ((seconds or 0.0) * 1e3 for seconds in (link.asked_round_trip_seconds, link.round_trip_seconds))
    return f"the round trip {link.source} → {link.target} takes {came:.3g} ms, asked were {wanted:.3g} ms"


def hash_of(key: str) -> int:
    """A number that is the same in every process."""
    return int(key[:8], 16)
