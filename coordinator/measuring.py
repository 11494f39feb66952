"""Measuring one deployed plan: warm-up, single stream, offline."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from coordinator.bottleneck import find_bottleneck
from coordinator.deployment import Deployment, deploy_plan
from coordinator.errors import MeasurementError
from coordinator.fleet import Fleet
from coordinator.loadgen import MIN_REQUESTS, LoadResult, Record, Workload, run_load
from coordinator.measurement import PlanMeasurement, Prediction, ReplicaMeasurement, StageMeasurement, WindowStep
from coordinator.spans import request_spans
from coordinator.statistics import latency_summary, quantile_estimate, robust_variation
from coordinator.tuning import WindowTuning, tune_deployment
from node_agent.messages import StageStatus
from partitioner.onnx_io import Model
from partitioner.plan import Candidate, HopCost

OnStep = Callable[[str, int, int], None]
"""Called with what is being done, requests done and requests at most."""


OnRecords = Callable[[Candidate, Sequence[Record], Sequence[Record]], None]
"""Called with a plan, as it was measured, its lone requests, and those with the window full."""


def ignore_records(_candidate: Candidate, _lone: Sequence[Record], _loaded: Sequence[Record]) -> None:
    """Lets them go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure: whichever of requests and seconds is used up first."""

    seconds: float = 6.0
    """For each of single stream and offline."""
    n_requests: int = 1000
    """At most, for each."""
    n_warmup: int = 5
    n_least: int = MIN_REQUESTS
    """Of each, even when the seconds are spent; offline so many while the window is full."""

    def halved(self) -> "Effort":
        """Half the seconds and requests."""
        return replace(self, seconds=self.seconds / 2, n_requests=self.n_requests // 2)


def measure_plan(
    fleet: Fleet,
    model: Model,
    candidate: Candidate,
    workload: Workload,
    *,
    label: str,
    effort: Effort,
    on_step: OnStep,
    tuning: WindowTuning | None = None,
    on_records: OnRecords = ignore_records,
) -> PlanMeasurement:
    """Deploys a plan, measures it, takes it off again; with the plan's own window where none is to be tuned.

    Raises:
        OutputMismatchError: An output differed from the whole model's.
        NodeError: A node failed.
        MeasurementError: Nothing could be measured.
    """
    on_step(f"{label}: deploying", 0, 1)

    def on_lane(node: str, n_done: int, n_total: int, what: str) -> None:
        on_step(f"{label}: {node}: {what}", n_done, n_total)

    with deploy_plan(fleet, model, candidate, on_lane=on_lane) as deployment:
        return measure_deployment(
            fleet,
            deployment,
            workload,
            label=label,
            effort=effort,
            on_step=on_step,
            tuning=tuning,
            on_records=on_records,
        )


def measure_deployment(
    fleet: Fleet,
    deployment: Deployment,
    workload: Workload,
    *,
    label: str,
    effort: Effort,
    on_step: OnStep,
    tuning: WindowTuning | None = None,
    on_records: OnRecords = ignore_records,
) -> PlanMeasurement:
    """Measures a live plan."""

    def load(what: str, n_requests: int, *, is_single_stream: bool = False, n_edges: int = 0) -> LoadResult:
        return run_load(
            deployment.pipeline,
            workload,
            is_single_stream=is_single_stream,
            n_requests=n_requests,
            budget_seconds=effort.seconds,
            n_least=effort.n_least + n_edges,
            on_done=lambda n_done: on_step(f"{label}: {what}", n_done, n_requests),
            gate=deployment.gate,
            answer_seconds=deployment.answer_seconds,
        )

    load("warm-up", effort.n_warmup)
    single = load("single stream", effort.n_requests, is_single_stream=True)
    steps: tuple[WindowStep, ...] = ()
    if tuning is not None:
        lone = median(record.latency_seconds for record in single.records)
        deployment, steps = tune_deployment(
            deployment,
            workload,
            tuning,
            latency_seconds=lone,
            on_window=lambda window: on_step(f"{label}: window {window}", 0, 1),
        )
    before = Busy.read(fleet, deployment)
    offline = load("offline", effort.n_requests, n_edges=2 * deployment.candidate.plan.window)
    after = Busy.read(fleet, deployment)
    paced = frozenset(node.name for node in fleet.nodes if node.is_paced)
    hops = hops_on_real_links(fleet, deployment.candidate.cost.hops)
    busy = after.since(before)
    measured = _summarise(deployment, single, offline, busy=busy, label=label, paced=paced, hops=hops)
    on_records(deployment.candidate, single.records, offline.records)
    return replace(measured, window_steps=steps)


def hops_on_real_links(fleet: Fleet, hops: Sequence[HopCost]) -> tuple[HopCost, ...]:
    """The same hops; those whose link is emulated cross no medium, since their sender knows of no other."""
    return tuple(replace(hop, media=()) if fleet.config.link_emulation(hop.source, hop.target) else hop for hop in hops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Running sums of a deployment's resources."""

    input_seconds: float
    stages: tuple[Mapping[str, StageStatus], ...]
    """By device that bears the stage."""

    @classmethod
    def read(cls, fleet: Fleet, deployment: Deployment) -> "Busy":
        """The sums as they stand now."""
        stages = deployment.candidate.plan.stages
        found = {
            (status.stage, device): status
            for device in {device for stage in stages for device in stage.devices}
            for status in fleet.node_of[device].client.list_stages()
            if (status.deployment, status.epoch) == (deployment.name, deployment.epoch)
        }
        return cls(
            input_seconds=deployment.pipeline.input_busy_seconds,
            stages=tuple({name: found[index, name] for name in stage.devices} for index, stage in enumerate(stages)),
        )

    def since(self, earlier: "Busy") -> "BusyMeans":
        """Means between two readings.

        Raises:
            MeasurementError: A device saw no request in between.
        """
        stages = tuple(
            tuple(_replica(name, early[name], late[name]) for name in late)
            for early, late in zip(earlier.stages, self.stages, strict=True)
        )
        n_requests = sum(replica.n_requests for replica in stages[0])
        return BusyMeans(input_seconds=(self.input_seconds - earlier.input_seconds) / n_requests, stages=stages)


def _replica(device: str, early: StageStatus, late: StageStatus) -> ReplicaMeasurement:
    n_requests = late.n_frames - early.n_frames
    if not n_requests:
        raise MeasurementError(
            f"Stage {late.stage} saw no request on '{device}' while it was measured: measure again, or longer."
        )
    return ReplicaMeasurement(
        device=device,
        n_requests=n_requests,
        compute_seconds=(late.compute_seconds - early.compute_seconds) / n_requests,
        send_seconds=(late.send_seconds - early.send_seconds) / n_requests,
        sent_bytes=(late.sent_bytes - early.sent_bytes) // n_requests,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BusyMeans:
    """Busy time and bytes per request."""

    input_seconds: float
    stages: tuple[tuple[ReplicaMeasurement, ...], ...]
    """Of each device that bears a stage, by the requests that it bore."""

    def send_seconds(self, stage: int) -> float:
        """For how long a request of the pipeline kept one of the links that leave a stage."""
        return self._mean(stage, [replica.send_seconds for replica in self.stages[stage]])

    def sent_bytes(self, stage: int) -> int:
        """That a stage sent for a request of the pipeline."""
        return int(self._mean(stage, [replica.sent_bytes for replica in self.stages[stage]]))

    def _mean(self, stage: int, values: Sequence[float]) -> float:
        return fmean(values, [replica.n_requests for replica in self.stages[stage]])


def _summarise(
    deployment: Deployment,
    single: LoadResult,
    offline: LoadResult,
    *,
    busy: BusyMeans,
    label: str,
    paced: frozenset[str],
    hops: tuple[HopCost, ...],
) -> PlanMeasurement:
    candidate = deployment.candidate
    plan = candidate.plan
    if len(offline.records) < 2 or not single.records:
        raise MeasurementError(
            f"'{label}' answered {len(single.records)} and {len(offline.records)} requests; at least 2 are needed: "
            "look at the nodes' logs."
        )
    errors = single.errors.worse(offline.errors)
    stages = stage_measurements(candidate, single, offline, busy, paced)
    return PlanMeasurement(
        label=label,
        plan=plan,
        latency_seconds=latency_summary([record.latency_seconds for record in single.records]),
        throughput_per_second=offline.throughput_per_second(plan),
        window=plan.window,
        n_requests=sum(len(result.records) + result.n_errors for result in (single, offline)),
        n_errors=single.n_errors + offline.n_errors,
        max_relative_error=errors.relative,
        output_error=errors.l2,
        predicted=Prediction(
            latency_seconds=candidate.cost.latency_seconds,
            throughput_per_second=candidate.cost.throughput_per_second,
            output_error=candidate.cost.output_error,
        ),
        bottleneck=find_bottleneck(stages, busy.input_seconds, replace(candidate.cost, hops=hops), batch=plan.batch),
        stages=stages,
        input_send_seconds=busy.input_seconds,
        spans=request_spans(candidate, single.records),
    )


def stage_measurements(
    candidate: Candidate, single: LoadResult, offline: LoadResult, busy: BusyMeans, paced: frozenset[str] = frozenset()
) -> tuple[StageMeasurement, ...]:
    """Times of each stage: means of the offline run, in which resources are busy, and medians of both runs.

    Args:
        candidate: What was deployed.
        single: Answers of the single-stream run.
        offline: Answers of the offline run.
        busy: Of the offline run.
        paced: Names of devices that are emulated.
    """
    return tuple(
        _stage_measurement(candidate, index, single, offline, busy, is_paced=not paced.isdisjoint(stage.devices))
        for index, stage in enumerate(candidate.plan.stages)
    )


def _stage_measurement(
    candidate: Candidate, index: int, single: LoadResult, offline: LoadResult, busy: BusyMeans, *, is_paced: bool
) -> StageMeasurement:
    stage, traces = candidate.plan.stages[index], [record.trace[index] for record in offline.records]
    cost = candidate.cost.stages[index]
    computing = [trace.compute_seconds for trace in traces]
    alone = [record.trace[index].compute_seconds for record in single.records]
    return StageMeasurement(
        stage=index,
        device=stage.device,
        start=stage.start,
        stop=stage.stop,
        queue_seconds=fmean(trace.queue_seconds for trace in traces),
        decode_seconds=fmean(trace.decode_seconds for trace in traces),
        compute_seconds=fmean(computing),
        encode_seconds=fmean(trace.encode_seconds for trace in traces),
        send_seconds=busy.send_seconds(index),
        sent_bytes=busy.sent_bytes(index),
        predicted_compute_seconds=cost.compute_seconds,
        compute_median_seconds=quantile_estimate(computing, 0.5),
        unloaded_compute_seconds=quantile_estimate(alone, 0.5),
        variation=robust_variation(computing),
        is_paced=is_paced,
        codec=stage.codec,
        predicted_sent_bytes=candidate.cost.hops[index + 1].n_bytes,
        predicted_decode_seconds=cost.decode_seconds,
        predicted_encode_seconds=cost.encode_seconds,
        replicas=busy.stages[index] if stage.replicas else (),
    )
