"""`splitfront replay`."""

from pathlib import Path

import click

from coordinator.cli.options import json_option


@click.command(short_help="Draw every figure of a bundle again.")
@click.argument("bundle", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="New folder to write to."
)
@json_option
def command(*, bundle: Path, folder: Path, as_json: bool) -> None:
    """Unpacks BUNDLE, which `splitfront bundle` made, checks the digest of every file, and draws all of it again.

    The folder is that of a run or a sweep again: `report`, `results` and the other commands take it.

    \b
    Example:
      splitfront replay paper.zip --out replayed
    """
    import json
    import shlex

    from coordinator.bundle.replay import replay
    from coordinator.cli.terminal import Terminal
    from coordinator.results.values import Run, Sweep

    def draw_sweep(sweep: Sweep, runs: tuple[Run, ...], target: Path) -> tuple[Path, ...]:
        from coordinator.report.sweep.write import write_sweep_report
        from coordinator.sweep.predict_only import load_forecasts

        return write_sweep_report(sweep, runs, target, forecasts=load_forecasts(folder, sweep.name))

    terminal = Terminal(as_json=as_json)
    with terminal.progress(f"Drawing {bundle}"):
        done = replay(bundle, folder, draw_sweep=draw_sweep)
    if as_json:
        facts = {"kind": done.manifest.kind, "seeds": done.manifest.seeds, "commands": done.manifest.commands}
        click.echo(json.dumps(facts | {"drawn": [str(path) for path in done.drawn]}, indent=1))
        return
    for made_by in done.manifest.commands:
        terminal.say(f"Made by: {shlex.join(made_by)}")
    for path in done.drawn:
        terminal.say(str(path))
