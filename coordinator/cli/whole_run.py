"""What the commands that need nodes share: from options to an opened run, and all steps in one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coordinator.cli.request import Request
from coordinator.cli.terminal import Terminal
from coordinator.coding import check_codecs, choose_codecs
from coordinator.config import ClusterConfig
from coordinator.fleet import Fleet, connect_fleet
from coordinator.measurement import Measurement
from coordinator.measuring import Effort
from coordinator.opening import open_model
from coordinator.profile_cache import ProfileCache, default_cache_file
from coordinator.profiling import spans_to_profile
from coordinator.report.codec_table import codec_table
from coordinator.report.prediction_text import accuracy_sentences, warning_sentences
from coordinator.report.tables import front_table, measurement_table, prediction_table
from coordinator.run_folder import RunFolder, RunSettings
from coordinator.steps import (
    OpenRun,
    bench_step,
    codecs_step,
    open_cluster,
    plan_step,
    profile_step,
    report_step,
    search_and_correct_step,
    start_run,
)
from coordinator.window import WindowWish, window_words
from coordinator.wishes import SearchWish
from partitioner.choice import check_wish, knee


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Seconds that the steps of a whole run may take."""

    profile_seconds: float
    """For each node."""
    correct_seconds: float
    bench_seconds: float
    """For each of single stream and offline, of the chosen plan."""


@contextmanager
def opened_run(request: Request, terminal: Terminal, *, codecs: Sequence[str]) -> Iterator[OpenRun]:
    """A new run, for as long as the context lasts. The folder is begun only when model, nodes and codecs are there."""
    settings = request.settings(cluster=request.cluster)
    config = open_cluster(settings.cluster)
    folder = request.run_folder()
    model = open_model(settings, terminal)
    with _connected(config, folder, terminal) as fleet, ProfileCache(default_cache_file(), terminal.say) as cache:
        choose_codecs(fleet, codecs)
        settings = start_run(folder, settings, model)
        yield OpenRun(folder=folder, settings=settings, model=model, fleet=fleet, profile_cache=cache)


@contextmanager
def resumed_run(path: Path, terminal: Terminal) -> Iterator[OpenRun]:
    """A run taken up from its folder, for as long as the context lasts."""
    folder = RunFolder(path)
    settings = folder.load("run", RunSettings)
    config = open_cluster(settings.cluster)
    model = open_model(settings, terminal)
    with _connected(config, folder, terminal) as fleet:
        yield OpenRun(folder=folder, settings=settings, model=model, fleet=fleet)


@contextmanager
def _connected(config: ClusterConfig, folder: RunFolder, terminal: Terminal) -> Iterator[Fleet]:
    with connect_fleet(config, run_dir=folder.path) as fleet:
        for node in fleet.nodes:
            emulation = f", emulated: {node.device.emulation}" if node.device.emulation else ""
            terminal.say(f"  {node.name} at {node.address}: {node.description.cpu}{emulation}")
        yield fleet


def check_wishes(request: Request, search: SearchWish, wish: str) -> None:
    """Does nothing where all that is asked for can be read, and names nodes that there are; before any step.

    Raises:
        ConfigError: With every fault of the cluster's file.
        PlanError: A codec, objective, engine or node is unknown.
        ChoiceError: A bound or the wish cannot be read.
    """
    check_codecs(search.codecs)
    search.check([node.name for node in open_cluster(request.cluster).nodes])
    check_wish(wish)


def tell_request(request: Request, terminal: Terminal, then: Sequence[str] = ()) -> None:
    """Says what a run would do: profile, then the steps that `then` has in words."""
    config, path = open_cluster(request.cluster), request.run_folder().path
    graph = open_model(request.settings(cluster=request.cluster), terminal).graph
    n_segments = len(spans_to_profile(graph.n_units, request.seed))
    weight_bytes = graph.weight_bytes(0, graph.n_units)
    lines = [
        f"Would profile {graph.name} ({graph.n_units} units, {len(graph.split_points)} split points, "
        f"{weight_bytes / 2**20:.1f} MiB of weights) on:",
        *(f"  {node.name}: {n_segments} segments" for node in config.nodes),
        *then,
        f"and write to {path}",
    ]
    facts = {
        "model": graph.name,
        "n_units": graph.n_units,
        "n_split_points": len(graph.split_points),
        "weight_bytes": weight_bytes,
        "n_segments": {node.name: n_segments for node in config.nodes},
        "then": list(then),
        "folder": str(path),
    }
    terminal.tell("\n".join(lines), facts)


def steps_after_profiling(search: SearchWish, wish: str, budgets: Budgets) -> tuple[str, ...]:
    """What a whole run does then, in words."""
    return (
        f"search it for {', '.join(search.objectives)} ({search.engine or 'exactly'}), "
        f"correct the front on the nodes for up to {budgets.correct_seconds:g} s",
        f"choose by {wish!r}, deploy, and measure for {budgets.bench_seconds:g} s in each scenario",
    )


def measure_codecs(run: OpenRun, codecs: Sequence[str], terminal: Terminal) -> None:
    """Measures codecs where some are wanted, and shows what they do."""
    table = codecs_step(run, codecs, terminal) if codecs else None
    if table is not None:
        terminal.show(codec_table(table, run.model.graph))


def show_measurement(measurement: Measurement, terminal: Terminal) -> None:
    """What was measured, how far it was predicted, what to do, and what speaks against trusting it."""
    terminal.show(measurement_table(measurement))
    terminal.show(prediction_table(measurement))
    for sentence in accuracy_sentences(measurement):
        terminal.say(sentence)
    if measurement.window_steps:
        terminal.say(window_words(measurement.window_steps, measurement.window))
    terminal.say(measurement.recommendation)
    for sentence in warning_sentences(measurement):
        terminal.say(f"Warning: {sentence}")


def whole_run(
    request: Request,
    search: SearchWish,
    terminal: Terminal,
    *,
    wish: str,
    budgets: Budgets,
    window: WindowWish | None = None,
    is_fresh: bool = False,
) -> None:
    """Profile (with `is_fresh` asking the cache for nothing), search, plan, deploy, bench, report."""
    check_wishes(request, search, wish)
    with opened_run(request, terminal, codecs=search.codecs) as run:
        graph = run.model.graph
        profile_step(run, terminal, budget_seconds=budgets.profile_seconds, is_fresh=is_fresh)
        measure_codecs(run, search.codecs, terminal)
        result, correction = search_and_correct_step(run, search, terminal, budget_seconds=budgets.correct_seconds)
        terminal.say(correction.describe())
        chosen = plan_step(run.folder, result, wish)
        terminal.show(front_table(result, graph, chosen, knee(result.front, result.objectives)))
        effort = Effort(seconds=budgets.bench_seconds)
        measurement = bench_step(run, terminal, effort=effort, window=window)
    show_measurement(measurement, terminal)
    with terminal.progress("Drawing"):
        drawn = report_step(run.folder)
    written = [path for path in sorted(run.folder.path.glob("*.json")) if path not in drawn]
    terminal.say("\n".join(["Wrote", *(f"  {path}" for path in (*written, *drawn))]))
    terminal.print_json(run.folder.path / "measurement.json")
