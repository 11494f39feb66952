"""`splitfront compare`."""

from pathlib import Path

import click

from coordinator.cli.options import json_option


@click.command(short_help="Compare two sweeps, or two runs.")
@click.argument("first", type=click.Path(path_type=Path, exists=True))
@click.argument("second", type=click.Path(path_type=Path, exists=True))
@click.option("--first", "first_sweep", metavar="NAME", help="Of several sweeps in FIRST, the one to compare.")
@click.option("--second", "second_sweep", metavar="NAME", help="Of several sweeps in SECOND, the one to compare.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Also writes compare.csv and a picture.")
@click.option(
    "--figures",
    type=click.Choice(("screen", "paper")),
    default="screen",
    show_default=True,
    help="Sizes of the picture.",
)
@json_option
def command(
    *,
    first: Path,
    second: Path,
    first_sweep: str | None,
    second_sweep: str | None,
    out: Path | None,
    figures: str,
    as_json: bool,
) -> None:
    """Says where SECOND differs from FIRST, plan by plan and condition by condition, and whether that may be chance.

    Both are folders of sweeps (or stores of results), or both are folders of runs. Cases are paired by plan, condition
    and all else; what a side has in one form throughout, as its data plane, may differ between the two. Repeats are
    compared in pairs, and p-values are adjusted for the number of cases.

    \b
    Examples:
      splitfront compare sweeps/monday sweeps/tuesday
      splitfront compare sweeps/all sweeps/all --first grpc --second tcp --out compared
      splitfront compare runs/before runs/after --json
    """
    import dataclasses
    import json

    from coordinator.cli.compared import load_sides
    from coordinator.cli.terminal import Terminal
    from coordinator.report.compare.pairing import compare_sides
    from coordinator.report.compare.tables import comparison_table, ratios_table
    from coordinator.report.sweep.table_files import csv_text

    terminal = Terminal(as_json=as_json)
    found = compare_sides(*load_sides((first, first_sweep), (second, second_sweep)))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(found), indent=1))
    else:
        terminal.show(comparison_table(found))
    if out is not None:
        from coordinator.report.compare.drawing import draw_comparison

        with terminal.progress("Drawing"):
            paths = draw_comparison(found, out, "paper" if figures == "paper" else "screen")
        table = out / "compare.csv"
        table.write_text(csv_text(ratios_table(found)), encoding="utf-8", newline="\n")
        for path in (table, *paths):
            terminal.say(str(path))
