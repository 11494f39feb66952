"""Stages as they will run: each between the client and the client, in the company that they will have.

What a node does with a message beside computing (threads that hand over, copies, a quota that is spent) shows only
there. Links are not emulated meanwhile, and every lone request has a probe of the same bytes beside it, after the same
rest, so that what is left of a round trip belongs to the stage.
"""

import random
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np

from coordinator.company import Company, Span, TriedStage
from coordinator.fleet import Fleet
from coordinator.guest import Guest, TrialSamples, deployed, opened_prober
from coordinator.live_trial import LiveTrial
from coordinator.provisioning import send_shards, sending_lane
from coordinator.stage_orders import wire_specs
from coordinator.statistics import quantile_estimate
from node_agent.drawing import draw_tensors
from partitioner.onnx_io import Model
from partitioner.profile import StageTrial

N_VISITS = 2
"""How often each stage is deployed, in turn with the others, so that drift shows in all."""

OnTrial = Callable[[str, int, int, str], None]
"""Called with node, done, total and what is being done."""


def try_stages(
    fleet: Fleet,
    model: Model,
    companies: Sequence[Company],
    *,
    seconds: float,
    seed: int,
    on_trial: OnTrial,
) -> dict[str, tuple[StageTrial, ...]]:
    """Runs stages as pipelines of their own, and times them one request at a time and under load.

    Args:
        fleet: Whose nodes they run on; other stages rest meanwhile.
        model: Whose units are run.
        companies: Stages that run in turn, and under load at the same time, as far as they have processors.
        seconds: For each company, all visits together, deployment not counted.
        seed: Of the inputs and the order.
        on_trial: Told before each visit.

    Returns:
        Trials by device.

    Raises:
        NodeError: A node failed, or refused a stage.
    """
    trials = Trials(fleet, model, companies, seed=seed, on_trial=on_trial)
    order = random.Random(seed)  # noqa: S311 - an order, not a secret
    visits = [company for _ in range(N_VISITS) for company in order.sample(list(companies), len(companies))]
    for n_done, company in enumerate(visits):
        what = " with ".join(f"{name}[{start}:{stop}]" for name, (start, stop) in company.stages)
        on_trial(company.stages[0][0], n_done, len(visits), f"trying {what}")
        trials.visit(company, seconds=seconds / N_VISITS)
    found = trials.found()
    for name in found:
        on_trial(name, len(visits), len(visits), "tried")
    return found


class Trials:
    """Stages whose shards are on the nodes, and what their visits so far found."""

    def __init__(
        self, fleet: Fleet, model: Model, companies: Iterable[Company], *, seed: int, on_trial: OnTrial
    ) -> None:
        """Cuts the stages of all companies and sends them.

        Raises:
            NodeError: A node failed, or refused a blob.
        """
        stages = tuple(dict.fromkeys(stage for company in companies for stage in company.stages))
        self._fleet = fleet
        self._seed = seed
        self._shards = {stage: model.cut(*stage[1]) for stage in stages}
        self._samples = {stage: TrialSamples() for stage in stages}
        for name, spans in self._spans_of().items():
            lane = sending_lane(on_trial, name)
            send_shards(fleet.node_of[name].client, model, [self._shards[name, span] for span in spans], lane)

    def _spans_of(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        for name, span in self._shards:
            found.setdefault(name, []).append(span)
        return found

    def visit(self, company: Company, *, seconds: float) -> None:
        """Deploys the stages of a company, times them alone and under load, and takes them off.

        Args:
            company: One of those given at first.
            seconds: For both together, deployment not counted.

        Raises:
            NodeError: A node failed, or refused a stage.
        """
        with self.live(company) as trial:
            trial.time_lone(seconds=seconds / 2)
            trial.time_loaded(seconds=seconds / 2)

    @contextmanager
    def live(self, company: Company) -> Iterator[LiveTrial]:
        """The stages of a company, deployed for as long as the context lasts, to be timed as often as wanted.

        Raises:
            NodeError: A node failed, or refused a stage.
        """
        with ExitStack() as stack:

            def guest(stage: TriedStage) -> Guest:
                node, shard, samples = self._fleet.node_of[stage[0]], self._shards[stage], self._samples[stage]
                return Guest(
                    node=node,
                    shard=shard,
                    samples=samples,
                    pipeline=stack.enter_context(deployed(node, shard, samples)),
                    prober=stack.enter_context(opened_prober(node)),
                    inputs=draw_tensors(wire_specs(shard.receives), np.random.default_rng(self._seed)),
                )

            groups = [[guest(stage) for stage in group] for group in company.groups]
            yield LiveTrial(groups, company.rest_seconds, self._seed)

    def found(self) -> dict[str, tuple[StageTrial, ...]]:
        """Trials by device, of stages all of which were visited."""

        def trial(name: str, span: Span) -> StageTrial:
            return _trial(span, self._samples[name, span], is_paced=self._fleet.node_of[name].is_paced)

        return {name: tuple(trial(name, span) for span in spans) for name, spans in self._spans_of().items()}


def _trial(span: Span, samples: TrialSamples, *, is_paced: bool) -> StageTrial:
    """A paced stage waits until its time for a lone request has passed, under load as well."""
    compute = quantile_estimate(samples.compute, 0.5)
    return StageTrial(
        start=span[0],
        stop=span[1],
        compute_seconds=compute.value,
        low_seconds=compute.low,
        high_seconds=compute.high,
        handover_seconds=max(0.0, statistics.median(samples.handover)),
        busy_seconds=compute.value if is_paced else statistics.median(samples.busy),
        n_samples=len(samples.compute),
        memory_bytes=samples.memory_bytes,
    )
