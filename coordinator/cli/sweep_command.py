"""`splitfront sweep`."""

from pathlib import Path

import click

from coordinator.cli.options import dry_run_option, json_option


@click.command(short_help="Measure many plans under many network conditions.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the sweep; where it exists, the sweep goes on.  [default: sweeps/NAME]",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of all chance.  [default: that of the file]")
@click.option("--quick", is_flag=True, help="Each case once and briefly: to see that all of it works.")
@click.option("--store", "store_url", metavar="URL", help="Where results go.  [default: results.sqlite in the folder]")
@click.option("--predict-only", is_flag=True, help="Predicts all cases from profiles, and measures none.")
@click.option("--scheduler", metavar="ADDRESS", help="Predicts on the Dask cluster of this address, not here.")
@json_option
@dry_run_option
def command(
    file: Path,
    *,
    folder: Path | None,
    seed: int | None,
    quick: bool,
    store_url: str | None,
    predict_only: bool,
    scheduler: str | None,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Measures every plan of FILE under every network condition, several times, in random order.

    Before each run the links are probed: a run whose condition was not in force does not count and is repeated. What
    was measured stays, whatever ends the command; called again it goes on where it was. Several may work on one sweep,
    each in a folder of its own, with the same --store. `splitfront init --sweep` writes an example.

    \b
    Examples:
      splitfront sweep sweep.yaml --out sweeps/first
      splitfront sweep sweep.yaml --out sweeps/first --dry-run
      splitfront sweep sweep.yaml --out sweeps/first --predict-only
      splitfront sweep sweep.yaml --out sweeps/second --store postgresql+psycopg://host/results
    """
    from coordinator.cli.sweeping import measured, predicted, sweep_file, tell_outlook
    from coordinator.cli.terminal import Terminal

    if scheduler is not None and not predict_only:
        raise click.UsageError("--scheduler computes predictions: give it with --predict-only.")
    terminal = Terminal(as_json=as_json)
    asked = sweep_file(file, seed, is_quick=quick)
    place = folder or Path("sweeps") / asked.config.name
    if dry_run:
        tell_outlook(asked, place, terminal)
    elif predict_only:
        predicted(asked, place, terminal, store_url=store_url, scheduler=scheduler)
    else:
        measured(asked, place, terminal, store_url=store_url)
