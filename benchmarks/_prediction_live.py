"""Plans that are live, and what a round of visits finds of each."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks._prediction_points import Figures, measured_figures
from coordinator.deployment import Deployment, deploy_plan
from coordinator.fleet import Fleet
from coordinator.loadgen import LoadResult, Record, Workload, run_load
from coordinator.statistics import Estimate, rate_estimate, scaled
from partitioner.onnx_io import Model
from partitioner.plan import Candidate

N_LONE = 1
"""Requests of a visit, after one that finds the caches cold: a machine that is slow for a moment is so for all of
them."""
OFFLINE_SECONDS = 0.36
N_OFFLINE_LEAST = 4
"""Requests while the window is full."""
N_MOST = 300


@dataclass(slots=True, eq=False)
class Round:
    """What the visits of one round found of a plan."""

    lone: list[Record] = field(default_factory=list)
    rates: list[Estimate] = field(default_factory=list)
    """Samples per second."""

    def figures(self) -> Figures:
        """Medians of the lone requests of all visits, and the rate."""
        (rate,) = self.rates
        return measured_figures(self.lone, rate)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LivePlan:
    """A plan whose stages are deployed, and its inputs."""

    deployment: Deployment
    workload: Workload

    def time_lone(self, found: Round) -> None:
        """A few requests, one by one."""
        result = self._load(0.0, 1 + N_LONE, is_single_stream=True)
        found.lone += result.records[1:]

    def time_offline(self, found: Round) -> None:
        """Requests with the window full."""
        plan = self.deployment.candidate.plan
        result = self._load(OFFLINE_SECONDS, N_OFFLINE_LEAST + 2 * plan.window, is_single_stream=False)
        rate = rate_estimate([record.received_at for record in result.steady(plan.window)])
        found.rates.append(scaled(rate, plan.batch))

    def _load(self, seconds: float, n_least: int, *, is_single_stream: bool) -> LoadResult:
        return run_load(
            self.deployment.pipeline,
            self.workload,
            is_single_stream=is_single_stream,
            n_requests=N_MOST,
            budget_seconds=seconds,
            n_least=n_least,
            on_done=lambda _: None,
            gate=self.deployment.gate,
            answer_seconds=self.deployment.answer_seconds,
        )


@contextmanager
def live_plan(fleet: Fleet, model: Model, candidate: Candidate, workload: Workload) -> Iterator[LivePlan]:
    """A plan that is live for as long as the context lasts."""
    with deploy_plan(fleet, model, candidate) as deployment:
        yield LivePlan(deployment=deployment, workload=workload)
