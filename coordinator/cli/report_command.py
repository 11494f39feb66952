"""`splitfront report`."""

from pathlib import Path

import click

from coordinator.cli.options import run_option


@click.command(short_help="Draw a run: report.html and figures.")
@run_option
def command(*, folder: Path) -> None:
    """Draws a run folder: one self-contained report.html, and the figures as PNG and SVG.

    \b
    Example:
      splitfront report --run runs/r18
    """
    from coordinator.cli.terminal import Terminal
    from coordinator.run_folder import RunFolder
    from coordinator.steps import report_step

    terminal = Terminal()
    with terminal.progress("Drawing"):
        paths = report_step(RunFolder(folder))
    for path in paths:
        terminal.say(str(path))
