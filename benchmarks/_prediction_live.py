"""Plans that are live, and what a round of visits finds of each."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks._prediction_points import Figures, measured_figures
from coordinator.deployment import Deployment, deploy_plan
from coordinator.fleet import Fleet
from coordinator.loadgen import LoadResult, Record, Workload, run_load
from coordinator.statistics import Estimate
from partitioner.onnx_io import Model
from partitioner.plan import Candidate

BURST_SECONDS = 0.1
"""A machine that others use is slow for about so long at a time, for requests that follow closely on one another."""
N_LONE = (1, 2)
"""Requests of a visit, after one that finds the caches cold, of plans that take less and more than a burst."""
OFFLINE_SECONDS = 0.4
N_OFFLINE_LEAST = (10, 4)
"""Requests while the window is full, of plans that wait for a processor and for a link: stages that share a core finish
theirs in bunches, of which a few tell little."""
N_MOST = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Visits in a round: as many as take so long, but so many at least and at most."""

    seconds: float
    least: int
    most: int

    def n_visits(self, seconds_each: float) -> int:
        """Of visits that take so long."""
        return max(self.least, min(self.most, round(self.seconds / seconds_each)))


LONE = Effort(seconds=0.95, least=2, most=13)
OFFLINE = Effort(seconds=1.5, least=1, most=3)
"""Of a plan whose bottleneck computes; one that waits for a link takes as long at each visit."""


@dataclass(slots=True, eq=False)
class Found:
    """What visits found of a plan."""

    lone: list[Record] = field(default_factory=list)
    rates: list[Estimate] = field(default_factory=list)
    """Samples per second."""

    def figures(self) -> Figures:
        """Medians of the lone requests, and of the rates."""
        return measured_figures(self.lone, self.rates)


def joined(rounds: Sequence[Found]) -> Found:
    """What the visits of all rounds found."""
    return Found(
        lone=[one for found in rounds for one in found.lone], rates=[one for found in rounds for one in found.rates]
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LivePlan:
    """A plan whose stages are deployed, and its inputs."""

    deployment: Deployment
    workload: Workload

    @property
    def n_lone_visits(self) -> int:
        """Of a round."""
        return LONE.n_visits((1 + self._n_lone) * self.deployment.candidate.cost.latency_seconds)

    @property
    def n_offline_visits(self) -> int:
        """Of a round; the window fills and runs empty beside what counts."""
        cost, window = self.deployment.candidate.cost, self.deployment.candidate.plan.window
        if self._waits_for_link:
            return 1
        period = 1 / cost.throughput_per_second
        return OFFLINE.n_visits(max(OFFLINE_SECONDS, self._n_offline_least * period) + 2 * window * period)

    @property
    def _waits_for_link(self) -> bool:
        return self.deployment.candidate.cost.bottleneck_resource.startswith("link:")

    @property
    def _n_offline_least(self) -> int:
        return N_OFFLINE_LEAST[self._waits_for_link]

    @property
    def _n_lone(self) -> int:
        return N_LONE[self.deployment.candidate.cost.latency_seconds > BURST_SECONDS]

    def time_lone(self, found: Found) -> None:
        """A few requests, one by one."""
        result = self._load(0.0, 1 + self._n_lone, is_single_stream=True)
        found.lone += result.records[1:]

    def time_offline(self, found: Found) -> None:
        """Requests with the window full."""
        plan = self.deployment.candidate.plan
        result = self._load(OFFLINE_SECONDS, self._n_offline_least + 2 * plan.window, is_single_stream=False)
        found.rates.append(result.throughput_per_second(plan))

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
