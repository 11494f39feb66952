"""One case, measured once: deployed, loaded in each scenario, checked, taken off; figures, resources, every sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from coordinator.bottleneck import busy_seconds, tensor_bytes
from coordinator.config.sweep import SweepConfig
from coordinator.deployment import deploy_plan
from coordinator.errors import MeasurementError
from coordinator.fleet import Fleet
from coordinator.loadgen import LoadResult, Record, Workload, run_load
from coordinator.measuring import Busy, BusyMeans, hops_on_real_links, stage_measurements
from coordinator.results.values import LinkFound, ResourceUse, Sample, Scenario
from coordinator.statistics import quantile_estimate
from coordinator.sweep.reference import reference_latency_seconds, reference_throughput_per_second, way_seconds
from partitioner.cluster import CLIENT
from partitioner.onnx_io import Model
from partitioner.plan import Candidate

OnStep = Callable[[str, int, int], None]
"""Called with what is being done, done and total."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What came of a run."""

    figures: dict[str, float]
    samples: tuple[Sample, ...]
    resources: tuple[ResourceUse, ...]


def measure_case(
    fleet: Fleet,
    model: Model,
    candidate: Candidate,
    workload: Workload,
    *,
    config: SweepConfig,
    links: Sequence[LinkFound],
    on_step: OnStep,
) -> Measured:
    """Deploys a plan, measures the scenarios of the sweep, takes it off again.

    Args:
        fleet: The nodes, its description with the links of the case's condition.
        model: What the plan splits.
        candidate: The plan and its predicted cost.
        workload: Inputs and what they must give.
        config: Of the sweep.
        links: As found before the run.
        on_step: Told while it works.

    Raises:
        OutputMismatchError: An output differed from the whole model's.
        DeploymentError: The plan cannot be run.
        NodeError: A node failed.
        MeasurementError: Answers are missing.
    """
    on_step("deploying", 0, 1)
    with deploy_plan(fleet, model, candidate) as deployment:

        def load(what: str, n_requests: int) -> LoadResult:
            return run_load(
                deployment.pipeline,
                workload,
                is_single_stream=what == "single_stream",
                n_requests=n_requests,
                budget_seconds=config.effort.seconds,
                on_done=lambda n_done: on_step(what, n_done, n_requests),
                gate=deployment.gate,
                n_least=config.effort.least,
                answer_seconds=deployment.answer_seconds,
            )

        load("warm-up", config.effort.warmup)
        results, busy = {}, None
        for scenario in config.scenarios:
            before = Busy.read(fleet, deployment)
            results[scenario] = load(scenario, config.effort.requests)
            busy = Busy.read(fleet, deployment).since(before) if scenario == "offline" else busy
    for scenario, result in results.items():
        if len(result.records) < 2:
            raise MeasurementError(
                f"{len(result.records)} of the requests in {scenario} were answered in time, {result.n_errors} ended "
                "in errors; at least 2 answers are needed: look at the nodes' logs."
            )
    return Measured(
        figures=figures_of(results, candidate, links),
        samples=samples_of(results),
        resources=resources_of(fleet, results, candidate, busy) if busy else (),
    )


def resources_of(
    fleet: Fleet, results: dict[Scenario, LoadResult], candidate: Candidate, busy: BusyMeans
) -> tuple[ResourceUse, ...]:
    """What a request took of each resource, the window full; the busiest first.

    Args:
        fleet: The nodes.
        results: Of a run; where lone requests were not measured, what shares a processor counts as stretched by that.
        candidate: What was deployed.
        busy: While the window was full.
    """
    loaded = results["offline"]
    paced = frozenset(node.name for node in fleet.nodes if node.is_paced)
    stages = stage_measurements(candidate, results.get("single_stream", loaded), loaded, busy, paced)
    cost = replace(candidate.cost, hops=hops_on_real_links(fleet, candidate.cost.hops))
    seconds = busy_seconds(stages, busy.input_seconds, cost)
    carried = tensor_bytes(candidate.plan, cost.hops)
    return tuple(
        ResourceUse(resource=name, busy_seconds=seconds[name], tensor_bytes=carried.get(name))
        for name in sorted(seconds, key=lambda name: -seconds[name])
        if name != f"device:{CLIENT}"
    )


def figures_of(
    results: dict[Scenario, LoadResult], candidate: Candidate, links: Sequence[LinkFound]
) -> dict[str, float]:
    """Figures of a run by name, SI; those of a scenario that was not measured are missing."""
    plan, hops = candidate.plan, candidate.cost.hops
    figures = {
        "max_relative_error": max(result.errors.relative for result in results.values()),
        "n_errors": float(sum(result.n_errors for result in results.values())),
    }
    if lone := results.get("single_stream"):
        latencies = [record.latency_seconds for record in lone.records]
        figures |= {
            "latency_seconds": median(latencies),
            "latency_p90_seconds": quantile_estimate(latencies, 0.9).value,
            "compute_seconds": median(compute_seconds(record) for record in lone.records),
            "network_seconds": median(record.network_seconds for record in lone.records),
        }
    if loaded := results.get("offline"):
        ways = sum(
            way_seconds([link for link in links if end == (link.source if is_input else link.target)], hop.n_bytes)
            for hop, end, is_input in ((hops[0], CLIENT, True), (hops[-1], CLIENT, False))
        )
        figures |= {
            "throughput_per_second": loaded.throughput_per_second(plan).value,
            "loaded_latency_seconds": median(record.latency_seconds for record in loaded.records),
            "reference_latency_seconds": reference_latency_seconds(loaded.records, ways_seconds=ways),
            "reference_throughput_per_second": reference_throughput_per_second(loaded.records, plan.batch),
        }
    errors = [result.errors.l2 for result in results.values()]
    known = [error for error in errors if error is not None]
    return figures | ({"output_error": max(known)} if known else {})


def samples_of(results: dict[Scenario, LoadResult]) -> tuple[Sample, ...]:
    """Every answered request, in the order of arrival."""
    began = min(record.sent_at for result in results.values() for record in result.records)
    samples = [
        Sample(
            scenario=scenario,
            request=record.request,
            sent_seconds=record.sent_at - began,
            received_seconds=record.received_at - began,
            compute_seconds=tuple(trace.compute_seconds for trace in record.trace),
        )
        for scenario, result in results.items()
        for record in result.records
    ]
    return tuple(sorted(samples, key=lambda sample: sample.received_seconds))


def compute_seconds(record: Record) -> float:
    """Of all stages."""
    return sum(trace.compute_seconds for trace in record.trace)
