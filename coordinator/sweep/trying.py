"""One attempt at a case: the condition applied and verified, the plan measured, and what went wrong, as a value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from coordinator.config.sweep import SweepConfig
from coordinator.errors import DeploymentError, MeasurementError, OutputMismatchError
from coordinator.fleet import Fleet
from coordinator.results.values import Case, LinkFound, ResourceUse, RunState, Sample
from coordinator.sweep.environment import fixed_facts, state_now
from coordinator.sweep.one_run import OnStep, measure_case
from coordinator.sweep.preparing import check_model
from coordinator.sweep.rig import Rig, fleet_under
from coordinator.sweep.study import Study
from coordinator.sweep.verifying import delivery_doubt, doubts_about, find_links, links_of
from node_agent.errors import NodeError
from node_agent.messages import LinkEmulation
from partitioner.cluster import Cluster
from partitioner.errors import PlanError
from partitioner.plan import Candidate

UNSHAPED = LinkEmulation()
OF_THIS_RUN = (NodeError, DeploymentError, MeasurementError, OutputMismatchError, PlanError)
"""What one run may fail on while others go on. Nodes that cannot be started or reached at all end the sweep."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What came of measuring a case once."""

    state: RunState
    reason: str = ""
    links: tuple[LinkFound, ...] = ()
    environment: Mapping[str, object] = field(default_factory=dict)
    predicted_latency_seconds: float | None = None
    predicted_throughput_per_second: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    resources: tuple[ResourceUse, ...] = ()
    samples: tuple[Sample, ...] = ()


class Tries:
    """Measures cases of a sweep on its rig. Not to be shared between threads."""

    def __init__(self, config: SweepConfig, studies: Sequence[Study], rig: Rig, on_step: OnStep) -> None:
        self._config = config
        self._study_of = {(study.key.model, study.key.batch, study.key.cluster): study for study in studies}
        self._rig = rig
        self._on_step = on_step

    def __call__(self, case: Case) -> Attempt:
        """What came of it. Nodes that failed are reached anew the next time.

        Raises:
            NodeDownError: The nodes cannot be started or reached.
            RunFolderError: The model is another one than when the sweep was begun.
        """
        study = self._study_of[case.model, case.plan.batch, case.cluster]
        model = self._rig.model(case.model, case.plan.batch)
        check_model(study, model.graph.model_sha256)
        plane = next(name for name in self._config.data_planes if name == case.data_plane)
        fleet = fleet_under(self._rig.fleet(case.cluster), study.under[case.condition, plane].config)
        candidate = Candidate(plan=case.plan, cost=study.cost_model(case.condition, plane).predict(case.plan))
        attempt = Attempt(
            state="failed",
            predicted_latency_seconds=candidate.cost.latency_seconds,
            predicted_throughput_per_second=candidate.cost.throughput_per_second,
        )
        try:
            attempt = self._verified(attempt, fleet, candidate, study.bare[plane])
            return attempt if attempt.state == "invalid" else self._measured(attempt, fleet, candidate, case)
        except OF_THIS_RUN as error:
            if isinstance(error, NodeError):
                self._rig.renew(case.cluster)
            return replace(attempt, state="failed", reason=f"{type(error).__name__}: {error}")

    def _verified(self, attempt: Attempt, fleet: Fleet, candidate: Candidate, bare: Cluster) -> Attempt:
        """With what the links are found to be; `invalid` where that is not what the condition asks."""
        environment = {**fixed_facts(fleet), "before": state_now(fleet)}
        self._on_step("verifying the links", 0, 1)
        ways = links_of(candidate.plan)
        links = find_links(fleet, ways)
        doubts = tuple(doubts_about(links, bare.link_of, emulations(fleet, ways)))
        state: RunState = "invalid" if doubts else "failed"
        return replace(attempt, state=state, reason="; ".join(doubts), links=links, environment=environment)

    def _measured(self, attempt: Attempt, fleet: Fleet, candidate: Candidate, case: Case) -> Attempt:
        model = self._rig.model(case.model, case.plan.batch)
        workload = self._rig.workload(case.model, case.plan.batch)
        found = measure_case(
            fleet, model, candidate, workload, config=self._config, links=attempt.links, on_step=self._on_step
        )
        doubt = _doubt(fleet, candidate, found.figures)
        return replace(
            attempt,
            state="invalid" if doubt else "done",
            reason=doubt or "",
            environment={**attempt.environment, "after": state_now(fleet)},
            figures=found.figures,
            resources=found.resources,
            samples=found.samples,
        )


def _doubt(fleet: Fleet, candidate: Candidate, figures: Mapping[str, float]) -> str | None:
    """Why the plan's own streams were not under the condition, as far as lone requests tell."""
    if "latency_seconds" not in figures or any(stage.replicas for stage in candidate.plan.stages):
        return None
    hops = candidate.cost.hops
    return delivery_doubt(
        figures["latency_seconds"],
        figures["compute_seconds"],
        [fleet.config.link_emulation(hop.source, hop.target) or UNSHAPED for hop in hops],
        [hop.n_bytes for hop in hops],
    )


def emulations(fleet: Fleet, ways: Sequence[tuple[str, str]]) -> dict[tuple[str, str], LinkEmulation]:
    """What the senders of directions, and of those back, are told; those that are told nothing are left out."""
    both = {*ways, *((target, source) for source, target in ways)}
    return {way: emulation for way in both if (emulation := fleet.config.link_emulation(*way)) is not None}
