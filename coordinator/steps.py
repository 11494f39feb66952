"""The steps of a run, each from values and the run folder to values and the run folder.

A command calls one of them, `splitfront run` all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from coordinator.benching import bench, repredicted
from coordinator.coding import choose_codecs, profile_codecs
from coordinator.config import ClusterConfig, demo_cluster, load_cluster, local_cluster
from coordinator.correcting import correct_front
from coordinator.correction import Correction
from coordinator.errors import RunFolderError
from coordinator.fleet import Fleet
from coordinator.measurement import Measurement
from coordinator.measuring import Effort
from coordinator.opening import Progress
from coordinator.planning import probe_links, search_front
from coordinator.profile_cache import ProfileCache
from coordinator.profiling import fit_spans, profile_fleet, spans_to_profile, with_measured_power
from coordinator.recalibration import live_profile
from coordinator.report.run import Run
from coordinator.report.write import draw_objectives, write_report, write_trace
from coordinator.run_folder import DEMO, LOCAL, TRACE_FILE, RunFolder, RunSettings, load_wishes
from coordinator.spans import TracedPlans
from coordinator.window import WindowWish
from coordinator.wishes import SearchWish, Wishes
from partitioner.choice import choose, knee
from partitioner.cluster import Cluster
from partitioner.codec import CodecTable
from partitioner.cost import CostModel
from partitioner.graph import Graph
from partitioner.onnx_io import Model, inputs_digest
from partitioner.plan import Candidate, Plan
from partitioner.profile import Profile
from partitioner.search.result import SearchResult
from partitioner.search.robust.conditions import condition_problems
from partitioner.search.robust.network import NetworkCondition
from partitioner.search.robust.result import Criterion, RobustResult
from partitioner.search.robust.search import search_robust


@dataclass(frozen=True, kw_only=True)
class OpenRun:
    """A run with its model loaded and its nodes connected."""

    folder: RunFolder
    settings: RunSettings
    model: Model
    fleet: Fleet
    profile_cache: ProfileCache | None = None
    """Times of earlier runs; None: all is timed, and nothing kept beyond this run."""

    def save(self, name: str, value: object) -> None:
        """Writes an artefact of this run."""
        self.folder.save(name, value, seed=self.settings.seed, model_sha256=self.settings.model_sha256)


def open_cluster(origin: str) -> ClusterConfig:
    """The cluster that a run's settings name.

    Raises:
        ConfigError: With every fault of the file.
    """
    if origin == DEMO:
        return demo_cluster()
    if origin.startswith(LOCAL):
        return local_cluster(int(origin.removeprefix(LOCAL)))
    return load_cluster(Path(origin))


def start_run(folder: RunFolder, settings: RunSettings, model: Model) -> RunSettings:
    """Begins a run folder: settings and graph; artefacts of an earlier run in it are removed."""
    folder.make()
    folder.clear()
    settings = replace(
        settings,
        model_sha256=model.graph.model_sha256,
        inputs_sha256=inputs_digest(model.given_inputs) if settings.inputs else "",
    )
    folder.save("run", settings, seed=settings.seed, model_sha256=settings.model_sha256)
    folder.save("graph", model.graph, seed=settings.seed, model_sha256=settings.model_sha256)
    return settings


def profile_step(run: OpenRun, progress: Progress, *, budget_seconds: float, is_fresh: bool = False) -> Profile:
    """Probes the links and profiles the model layer by layer on every node.

    Where a node cannot hold a span, it times the longest ones in it that fit. What the profile cache knows is timed
    again only if `is_fresh`. What the energy meter of a node reads meanwhile stands in the cluster.
    """
    with progress.progress("Probing links") as on_lane:
        cluster = probe_links(run.fleet, lambda what, n_done, n_total: on_lane("links", n_done, n_total, what))
    run.save("cluster", cluster)
    graph = run.model.graph
    spans = spans_to_profile(graph.n_units, run.settings.seed)
    with progress.progress(f"Profiling {graph.name}: {graph.n_units} units, {len(spans)} segments") as on_lane:
        profile = profile_fleet(
            run.fleet,
            run.model,
            {
                node.name: fit_spans(spans, graph.n_units, graph.weight_bytes, node.device.memory_bytes)
                for node in run.fleet.nodes
            },
            budget_seconds=budget_seconds,
            seed=run.settings.seed,
            on_progress=on_lane,
            cache=run.profile_cache,
            is_fresh=is_fresh,
        )
    run.save("profile", profile)
    run.save("cluster", with_measured_power(cluster, profile))
    return profile


def codecs_step(run: OpenRun, wanted: Sequence[str], progress: Progress) -> CodecTable | None:
    """Measures codecs on the nodes and on the model; None where only `none` is wanted, or none is there everywhere.

    Raises:
        PlanError: A codec is unknown, or a node lacks it.
    """
    codecs = choose_codecs(run.fleet, wanted)
    if not codecs:
        return None
    with progress.progress(f"Measuring codecs {', '.join(codecs)}") as on_lane:
        table = profile_codecs(run.fleet, run.model, codecs, seed=run.settings.seed, on_progress=on_lane)
    run.save("codecs", table)
    return table


def load_cost_model(folder: RunFolder, *, is_live: bool = False) -> CostModel:
    """What plans cost by what the folder holds.

    Args:
        folder: Of a run.
        is_live: By the profile that the last measurement corrected, instead of that of the profiler.

    Raises:
        RunFolderError: The model was not profiled yet, or not measured yet.
        CostModelError: The artefacts do not belong together.
    """
    return CostModel(
        folder.load("graph", Graph),
        folder.load("cluster", Cluster),
        folder.load("live_profile" if is_live else "profile", Profile),
        codecs=folder.load("codecs", CodecTable) if folder.has("codecs") else None,
    )


def search_step(
    folder: RunFolder, wish: SearchWish, progress: Progress, also: Sequence[RunFolder] = (), *, is_live: bool = False
) -> SearchResult:
    """Searches under the profile on disk, and those of other runs of the same model; no node is needed.

    With `is_live` these are the profiles that measurements corrected. A plan that was chosen before and is not on the
    new front, with whatever window, is taken away, so that none is deployed that this search did not find; its
    measurement stays.

    Raises:
        RunFolderError: Another run is of another model.
    """
    models = [load_cost_model(run, is_live=is_live) for run in (folder, *also)]
    digest = models[0].graph.model_sha256
    for run, model in zip(also, models[1:], strict=True):
        if model.graph.model_sha256 != digest:
            raise RunFolderError(f"{run.path} is a run of another model than {folder.path}: want runs of one model.")
    engine = wish.engine or "exactly"
    with progress.progress(f"Searching ({engine})") as on_lane:
        result = search_front(models, wish, lambda share, what: on_lane(engine, round(100 * share), 100, what))
    folder.save("front", result, seed=wish.seed, model_sha256=digest)
    folder.save("wishes", Wishes(search=replace(wish, checkpoint=None)), seed=wish.seed, model_sha256=digest)
    draw_objectives(folder.path, result)
    if folder.has("plan") and not _is_on(result, folder.load("plan", Candidate).plan):
        folder.remove("plan")
    return result


def _is_on(result: SearchResult, plan: Plan) -> bool:
    return any(replace(found.plan, window=plan.window) == plan for found in result.front)


def robust_step(
    folder: RunFolder,
    wish: SearchWish,
    conditions: Sequence[NetworkCondition],
    criterion: Criterion,
    progress: Progress,
    *,
    is_live: bool = False,
) -> RobustResult:
    """Searches plans for the network as probed and under other conditions, from the profile on disk; needs no node.

    With `is_live` that is the profile which a measurement corrected.
    """
    cost_model = load_cost_model(folder, is_live=is_live)
    nominal = wish.problem(cost_model)
    problems = condition_problems(nominal, cost_model.cluster, conditions)
    with progress.progress(f"Searching under {len(problems)} network conditions") as on_lane:
        result = search_robust(
            problems,
            criterion,
            nominal=nominal,
            budget_seconds=wish.budget_seconds,
            seed=wish.seed,
            on_progress=lambda share, what: on_lane("robust", round(100 * share), 100, what),
        )
    folder.save("robust", result, seed=wish.seed, model_sha256=cost_model.graph.model_sha256)
    return result


def search_and_correct_step(
    run: OpenRun, wish: SearchWish, progress: Progress, *, budget_seconds: float
) -> tuple[SearchResult, Correction]:
    """Searches, runs the front's own stages on the nodes, and searches again until the front stands still."""
    engine = wish.engine or "exactly"
    with progress.progress(f"Searching ({engine}), running the front's stages") as on_lane:
        profile, result, correction = correct_front(
            run.fleet,
            run.model,
            load_cost_model(run.folder),
            wish,
            budget_seconds=budget_seconds,
            on_progress=on_lane,
        )
    run.save("profile", profile)
    run.save("correction", correction)
    run.save("front", result)
    run.save("wishes", Wishes(search=replace(wish, checkpoint=None)))
    draw_objectives(run.folder.path, result)
    return result, correction


def plan_step(folder: RunFolder, result: SearchResult | RobustResult, wish: str) -> Candidate:
    """Chooses a point of the front, or one of the plans that suit many network conditions."""
    objectives = result.objectives if isinstance(result, SearchResult) else None
    chosen = choose(result.front, wish, objectives)
    settings = folder.load("run", RunSettings)
    folder.save("plan", chosen, seed=settings.seed, model_sha256=settings.model_sha256)
    wishes = replace(load_wishes(folder), choose=wish)
    folder.save("wishes", wishes, seed=settings.seed, model_sha256=settings.model_sha256)
    return chosen


def predicted_plan(folder: RunFolder, *, is_live: bool = False) -> Candidate:
    """The chosen plan with its cost, as it was chosen; with `is_live` under the profile that a measurement corrected.

    Raises:
        RunFolderError: No plan was chosen yet, or nothing was measured yet.
        PlanError: The plan does not fit what the folder holds.
    """
    chosen = folder.load("plan", Candidate)
    return repredicted(load_cost_model(folder, is_live=True), chosen) if is_live else chosen


def bench_step(
    run: OpenRun, progress: Progress, *, effort: Effort, is_live: bool = False, window: WindowWish | None = None
) -> Measurement:
    """Measures the chosen plan, the front and the baselines; a baseline that wins becomes the plan on disk.

    Beside the measurement it writes the profile that live stage times correct, and requests of the plan as a trace.
    With `is_live` the profile that an earlier measurement corrected is judged, and corrected again.
    """
    result, chosen = run.folder.load("front", SearchResult), run.folder.load("plan", Candidate)
    cost_model = load_cost_model(run.folder, is_live=is_live)
    traced = TracedPlans()
    with progress.progress("Deploying, verifying, measuring") as on_lane:
        measurement = bench(
            run.fleet,
            run.model,
            cost_model,
            result,
            chosen,
            effort=effort,
            seed=run.settings.seed,
            on_step=lambda what, n_done, n_total: on_lane("bench", n_done, n_total, what),
            window=window,
            on_records=traced.keep,
        )
    run.save("measurement", measurement)
    title = f"{run.model.graph.name}: {measurement.plan.describe()}"
    write_trace(title, traced.spans_of[measurement.plan], run.folder.path / TRACE_FILE)
    run.save("live_profile", live_profile(cost_model, measurement.plans))
    run.save("plan", Candidate(plan=measurement.plan, cost=measurement.cost))
    return measurement


def report_step(folder: RunFolder) -> tuple[Path, ...]:
    """Draws what the folder holds: the report page and the figures.

    A plan that was chosen after the last measurement is drawn as predicted, since that one is of another plan. Where a
    new search took the plan away, the one that was measured is drawn.
    """
    settings = folder.load("run", RunSettings)
    graph, cluster = folder.load("graph", Graph), folder.load("cluster", Cluster)
    result = folder.load("front", SearchResult)
    measurement = folder.load("measurement", Measurement) if folder.has("measurement") else None
    if measurement is not None and not folder.has("plan"):
        chosen = Candidate(plan=measurement.plan, cost=measurement.cost)
    else:
        chosen = folder.load("plan", Candidate)
    return write_report(
        folder.path,
        Run(
            title=f"{graph.name} on {cluster.name}",
            command=settings.command,
            graph=graph,
            cluster=cluster,
            profile=folder.load("profile", Profile),
            search=result,
            knee=knee(result.front, result.objectives),
            chosen=chosen,
            measurement=measurement if measurement is not None and measurement.plan == chosen.plan else None,
        ),
    )
