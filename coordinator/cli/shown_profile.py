"""`splitfront profile --show`: a profile that is on disk, as tables and pictures."""

from pathlib import Path

import click

from coordinator.cli.terminal import Terminal
from coordinator.report.profiling_table import profiling_table
from coordinator.report.tables import profile_table
from coordinator.report.write import write_times
from coordinator.run_folder import RunFolder
from partitioner.graph import Graph
from partitioner.profile import Profile


def show_profile(path: Path, terminal: Terminal) -> None:
    """Shows the profile of a run folder and draws it into the folder's `figures`; needs no node.

    Raises:
        RunFolderError: The folder holds no profile.
        click.FileError: The pictures cannot be written.
    """
    folder = RunFolder(path)
    graph, profile = folder.load("graph", Graph), folder.load("profile", Profile)
    terminal.show(profile_table(profile, graph))
    terminal.show(profiling_table(profile))
    try:
        drawn = write_times(graph, profile, path / "figures")
    except OSError as error:
        raise click.FileError(str(path / "figures"), hint=str(error)) from error
    terminal.say("\n".join(["Drew", *(f"  {file}" for file in drawn)]))
    terminal.print_json(path / "profile.json")
