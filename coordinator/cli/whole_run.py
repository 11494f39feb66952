"""What the commands that need nodes share: from options to an opened run, and all steps in one."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from coordinator.cli.terminal import Terminal
from coordinator.config import ClusterConfig
from coordinator.fleet import Fleet, connect_fleet
from coordinator.measuring import Effort
from coordinator.profiling import spans_to_profile
from coordinator.report.tables import front_table, measurement_table
from coordinator.run_folder import RunFolder, RunSettings
from coordinator.steps import (
    DEMO,
    LOCAL,
    OpenRun,
    bench_step,
    open_cluster,
    open_model,
    plan_step,
    profile_step,
    report_step,
    search_and_correct_step,
    start_run,
)
from coordinator.wishes import SearchWish
from partitioner.choice import knee


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    model: str
    cluster_file: Path | None = None
    n_local: int | None = None
    is_demo: bool = False
    batch: int | None = None
    dims: Mapping[str, int] = field(default_factory=dict)
    inputs: Path | None = None
    weights: Path | None = None
    seed: int = 0
    folder: Path | None = None

    @property
    def cluster(self) -> str:
        """The cluster, as `RunSettings` names it.

        Raises:
            click.UsageError: None was named, or two.
        """
        if self.is_demo:
            return DEMO
        if (self.cluster_file is None) == (self.n_local is None):
            raise click.UsageError("Say which machines: --cluster FILE, or --local N for nodes on this machine.")
        return f"{LOCAL}{self.n_local}" if self.cluster_file is None else str(self.cluster_file.resolve())

    def settings(self, *, cluster: str) -> RunSettings:
        """What goes into the run folder."""
        is_file = Path(self.model).is_file()
        return RunSettings(
            source=str(Path(self.model).resolve()) if is_file else self.model,
            model_sha256="",
            cluster=cluster,
            batch=self.batch,
            dims=self.dims,
            inputs=str(self.inputs.resolve()) if self.inputs else None,
            weights=str(self.weights.resolve()) if self.weights else None,
            seed=self.seed,
            command=("splitfront", *sys.argv[1:]),
        )

    def run_folder(self) -> RunFolder:
        """Where the run goes."""
        return RunFolder(self.folder or Path("runs") / Path(self.model).stem.replace(":", "-"))


@contextmanager
def opened_run(request: Request, terminal: Terminal) -> Iterator[OpenRun]:
    """A new run, for as long as the context lasts. The folder is begun only when model and nodes are there."""
    settings = request.settings(cluster=request.cluster)
    config = open_cluster(settings.cluster)
    folder = request.run_folder()
    model = open_model(settings, terminal)
    with _connected(config, folder, terminal) as fleet:
        settings = start_run(folder, settings, model)
        yield OpenRun(folder=folder, settings=settings, model=model, fleet=fleet)


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


def describe_request(request: Request, terminal: Terminal) -> str:
    """What a run would do, in lines."""
    config = open_cluster(request.cluster)
    graph = open_model(request.settings(cluster=request.cluster), terminal).graph
    spans = spans_to_profile(graph.n_units, request.seed)
    return "\n".join(
        [
            f"Would profile {graph.name} ({graph.n_units} units, {len(graph.split_points)} split points, "
            f"{graph.weight_bytes(0, graph.n_units) / 2**20:.1f} MiB of weights) on:",
            *(f"  {node.name}: {len(spans)} segments" for node in config.nodes),
            f"and write to {request.run_folder().path}",
        ]
    )


def whole_run(
    request: Request,
    search: SearchWish,
    terminal: Terminal,
    *,
    wish: str,
    profile_seconds: float,
    bench_seconds: float,
) -> None:
    """Profile, search, plan, deploy, bench, report."""
    with opened_run(request, terminal) as run:
        graph = run.model.graph
        profile_step(run, terminal, budget_seconds=profile_seconds)
        result = search_and_correct_step(run, search, terminal)
        chosen = plan_step(run.folder, result, wish)
        terminal.show(front_table(result, graph, chosen, knee(result.front, result.objectives)))
        effort = Effort(seconds=bench_seconds)
        measurement = bench_step(run, terminal, effort=effort)
    terminal.show(measurement_table(measurement))
    terminal.say(measurement.recommendation)
    with terminal.progress("Drawing"):
        drawn = report_step(run.folder)
    written = [path for path in sorted(run.folder.path.glob("*.json")) if path not in drawn]
    terminal.say("\n".join(["Wrote", *(f"  {path}" for path in (*written, *drawn))]))
    terminal.print_json(run.folder.path / "measurement.json")
