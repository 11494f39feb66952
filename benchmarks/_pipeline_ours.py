"""Our pipeline against what limits it: the busiest resource of the same run, and the sum of a request's parts."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import combinations, pairwise

from benchmarks._figures import Figure, at_least, at_most
from benchmarks._pipeline_contest import Effort, median, plain
from benchmarks._pipeline_fleet import chain, local_fleet, pinned_fleet
from benchmarks._pipeline_split import SPLITS
from coordinator import measuring
from coordinator.deployment import Deployment, deploy_plan
from coordinator.fleet import Fleet
from coordinator.loadgen import Workload, make_workload
from coordinator.measurement import PlanMeasurement
from coordinator.profiling import profile_fleet
from partitioner.cost import suggested_window
from partitioner.onnx_io import Model, load_model
from partitioner.stage_time import stage_seconds

CORES = (0, 1)
SLOWDOWN = 8.0
N_STAGES = (2, 4, 6)
FAR = {"delay": "100ms", "rate": "50Mbit"}
WINDOW = 8
HOP_SECONDS = 1e-3
"""What each hop may add to a lone request beside what is modelled."""
PARTS_FACTOR = 1.05
"""What stages and modelled links may take together, over their sum."""
_PROFILE_SECONDS = 4.0

Share = Callable[[PlanMeasurement], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A live pipeline and what it is to reach."""

    label: str
    fleet: Fleet
    deployment: Deployment
    workload: Workload
    window: int
    share: tuple[str, Share, float]
    """A share of what is possible: its name, how it is found, and the least of it."""


def bound_share(found: PlanMeasurement) -> float:
    """Throughput over 1 / busiest resource, both of the same run."""
    return found.throughput_per_second.value / found.bottleneck.bound_per_second


def first_link_share(found: PlanMeasurement) -> float:
    """Part of the time for which the link behind the first stage was busy."""
    return found.stages[0].send_seconds * found.throughput_per_second.value / found.plan.batch


def emulated(effort: Effort) -> list[Figure]:
    """Balanced stages on devices that are 8 times slower: 2, 4 and 6 of them, all live at once, loaded in turn."""
    model = load_model("mobilenet_v2", batch=1)
    workload = make_workload(model, seed=0)
    nodes = [{"name": f"slow-{index}", "emulate": {"slowdown": SLOWDOWN}} for index in range(max(N_STAGES))]
    with ExitStack() as stack:
        fleet = stack.enter_context(local_fleet(nodes, effort.plane))
        cases = []
        for points, times in balanced_stages(fleet, model):
            n_stages = len(times)
            window = suggested_window(sum(times) + (n_stages + 1) * HOP_SECONDS, max(times))
            plan = chain(fleet, model, points, window=window, seconds=times)
            cases.append(
                Case(
                    label=f"emulated_{n_stages}_stages",
                    fleet=fleet,
                    deployment=stack.enter_context(deploy_plan(fleet, model, plan)),
                    workload=workload,
                    window=window,
                    share=("throughput_to_bound", bound_share, 0.97),
                )
            )
        return case_figures(cases, effort)


def pinned(effort: Effort) -> list[Figure]:
    """Two unpaced stages, each kept to a core: both models live at once, loaded in turn."""
    with ExitStack() as stack:
        fleet = stack.enter_context(pinned_fleet(CORES, effort.plane))
        cases = []
        for name, split in SPLITS.items():
            model = load_model(name, batch=1)
            plan = chain(fleet, model, [split.point], window=WINDOW)
            cases.append(
                Case(
                    label=f"pinned_{name}",
                    fleet=fleet,
                    deployment=stack.enter_context(deploy_plan(fleet, model, plan)),
                    workload=make_workload(model, seed=0),
                    window=WINDOW,
                    share=("throughput_to_bound", bound_share, 0.95),
                )
            )
        return case_figures(cases, effort)


def far(effort: Effort) -> list[Figure]:
    """Two unpaced stages with a slow and long link between them, and a window that covers it twice."""
    model = load_model("mobilenet_v2", batch=1)
    first, last = (f"core-{core}" for core in CORES)
    with pinned_fleet(CORES, effort.plane, {"between": [{"from": first, "to": last, **FAR}]}) as fleet:
        plan = chain(fleet, model, [SPLITS["mobilenet_v2"].point], window=1)
        window = 2 * suggested_window(plan.cost.latency_seconds, plan.cost.bottleneck_seconds)
        with deploy_plan(fleet, model, plan, window=window) as deployment:
            case = Case(
                label="far",
                fleet=fleet,
                deployment=deployment,
                workload=make_workload(model, seed=0),
                window=window,
                share=("link_busy_share", first_link_share, 0.95),
            )
            return case_figures([case], effort)


def balanced_stages(fleet: Fleet, model: Model) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """For each number of stages: split points and the stages' seconds on the fleet's devices.

    Of the points that one tensor crosses, no larger than the input, those with the quickest slowest stage are taken, by
    the times of single units; the stages are then timed.
    """
    graph = model.graph
    name = fleet.nodes[0].name
    units = [(unit, unit + 1) for unit in range(graph.n_units)]
    profile = profile_fleet(fleet, model, {name: units}, budget_seconds=_PROFILE_SECONDS)
    seconds = stage_seconds(graph, profile.devices[0])
    allowed = [
        point
        for point in range(1, graph.n_units)
        if len(graph.boundaries[point]) == 1 and graph.boundary_bytes(point) <= graph.boundary_bytes(0)
    ]

    def spans(points: Sequence[int]) -> list[tuple[int, int]]:
        return list(pairwise([0, *points, graph.n_units]))

    chosen = [
        min(combinations(allowed, n_stages - 1), key=lambda points: max(seconds[span] for span in spans(points)))
        for n_stages in N_STAGES
    ]
    wanted = [span for points in chosen for span in spans(points)]
    timed = profile_fleet(fleet, model, {name: list(dict.fromkeys(wanted))}, budget_seconds=_PROFILE_SECONDS)
    seconds_of = {timing.span: timing.seconds for timing in timed.devices[0].segments}
    return [(points, tuple(seconds_of[span] for span in spans(points))) for points in chosen]


def case_figures(cases: Sequence[Case], effort: Effort) -> list[Figure]:
    """Measures all cases in turn, several rounds."""
    each = measuring.Effort(seconds=effort.seconds, n_requests=1_000_000)
    found: list[list[PlanMeasurement]] = [[] for _ in cases]
    for _ in range(effort.n_rounds):
        for case, runs in zip(cases, found, strict=True):
            runs.append(
                measuring.measure_deployment(
                    case.fleet,
                    case.deployment,
                    case.workload,
                    label=case.label,
                    effort=each,
                    on_step=lambda *_: None,
                )
            )
    return [
        figure
        for case, runs in zip(cases, found, strict=True)
        for figure in _figures_of(case, runs, effort.label(case.label))
    ]


def _figures_of(case: Case, runs: Sequence[PlanMeasurement], label: str) -> list[Figure]:
    name, share, least = case.share
    hops = case.deployment.candidate.cost.hops
    latencies = [run.latency_seconds.p50.value for run in runs]
    parts = [sum(_stage_seconds(run)) + sum(hop.seconds for hop in hops) for run in runs]
    pairs = list(zip(latencies, parts, strict=True))
    allowed = [latency / (PARTS_FACTOR * part + len(hops) * HOP_SECONDS) for latency, part in pairs]
    return [
        at_least(f"{label}_{name}", *median([share(run) for run in runs]), "ratio", least),
        at_most(f"{label}_latency_to_allowance", *median(allowed), "ratio", 1.0),
        plain(f"{label}_latency", latencies, "s"),
        plain(f"{label}_latency_beside_parts_per_hop", [(a - b) / len(hops) for a, b in pairs], "s"),
        plain(f"{label}_throughput", [run.throughput_per_second.value for run in runs], "samples/s"),
        plain(f"{label}_window", [case.window], "requests"),
    ]


def _stage_seconds(run: PlanMeasurement) -> list[float]:
    return [stage.unloaded_compute_seconds.value for stage in run.stages if stage.unloaded_compute_seconds]
