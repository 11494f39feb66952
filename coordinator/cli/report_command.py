"""`splitfront report`."""

from pathlib import Path

import click


@click.command(short_help="Draw a run or a sweep: report.html, figures and tables.")
@click.argument("place", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--run", "folder", type=click.Path(path_type=Path, file_okay=False), help="The same as DIR.")
@click.option("--sweep", "sweep_name", help="Of several sweeps in DIR, the one to draw.")
@click.option(
    "--figures",
    type=click.Choice(("screen", "paper")),
    default="screen",
    show_default=True,
    help="Of a sweep: for slides and pages, or for one and both columns (3.33 and 7 in) of a paper.",
)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Where to write.  [default: DIR]")
def command(*, place: Path | None, folder: Path | None, sweep_name: str | None, figures: str, out: Path | None) -> None:
    """Draws what DIR holds, the folder of a run or of a sweep, as one self-contained report.html and figures.

    Of a sweep there are tables as CSV and LaTeX as well, and figures as PNG, SVG and PDF.

    \b
    Examples:
      splitfront report --run runs/r18
      splitfront report sweeps/paper --figures paper
    """
    from coordinator.cli.stored_sweep import is_sweep, load_sweep
    from coordinator.cli.terminal import Terminal
    from coordinator.run_folder import RunFolder
    from coordinator.steps import report_step

    source = place or folder
    if source is None or (place is not None and folder is not None):
        raise click.UsageError("Name one folder: splitfront report DIR.")
    terminal, run = Terminal(), RunFolder(source)
    if not is_sweep(source):
        if figures != "screen" or sweep_name is not None or out is not None:
            raise click.UsageError(f"--figures, --sweep and --out are for sweeps, and {source} holds none.")
        with terminal.progress("Drawing"):
            paths = report_step(run)
        if not run.has("plan"):
            terminal.say(f"The front is newer than the plan that was measured: `splitfront plan --run {source}` first.")
    else:
        from coordinator.report.sweep.write import write_sweep_report
        from coordinator.sweep.predict_only import load_forecasts

        sweep, runs = load_sweep(source, sweep_name)
        target = out or (source.parent if source.is_file() else source)
        with terminal.progress(f"Drawing {len(runs):,} runs" if runs else "Drawing predictions"):
            paths = write_sweep_report(
                sweep,
                runs,
                target,
                forecasts=load_forecasts(source.parent if source.is_file() else source, sweep.name),
                figures="paper" if figures == "paper" else "screen",
            )
    for path in paths:
        terminal.say(str(path))
