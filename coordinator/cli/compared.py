"""What `splitfront compare` compares, from where it is kept."""

from pathlib import Path

import click

from coordinator.cli.stored_sweep import is_sweep, load_sweep
from coordinator.measurement import Measurement
from coordinator.report.compare.sides import Side, run_side, sweep_side
from coordinator.run_folder import RunFolder
from partitioner.cluster import Cluster
from partitioner.graph import Graph

Place = tuple[Path, str | None]
"""A path, and the name of a sweep in it."""


def load_sides(first: Place, second: Place) -> tuple[Side, Side]:
    """Both sides, under names that tell them apart.

    Raises:
        click.UsageError: One is a sweep and the other is not.
        SweepUnknownError: A sweep was not named, or is not there.
        RunFolderError: A run was not measured.
    """
    kinds = [is_sweep(path) for path, _ in (first, second)]
    if kinds[0] != kinds[1]:
        sweep, run = (first[0], second[0]) if kinds[0] else (second[0], first[0])
        raise click.UsageError(f"{sweep} holds a sweep and {run} does not: compare two sweeps, or two runs.")
    names = _names(first, second)
    if not kinds[0]:
        return _run_side(names[0], first[0]), _run_side(names[1], second[0])
    return sweep_side(names[0], *load_sweep(*first)), sweep_side(names[1], *load_sweep(*second))


def _names(first: Place, second: Place) -> tuple[str, str]:
    """Names of sweeps, or of folders; whole paths where these are alike."""
    short = [name or path.resolve().name for path, name in (first, second)]
    if short[0] != short[1]:
        return short[0], short[1]
    return str(first[0]), str(second[0])


def _run_side(name: str, path: Path) -> Side:
    folder = RunFolder(path)
    graph, cluster = folder.load("graph", Graph), folder.load("cluster", Cluster)
    return run_side(name, graph.name, cluster.name, folder.load("measurement", Measurement))
