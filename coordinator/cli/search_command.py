"""`splitfront search`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coordinator.cli.options import json_option, profile_source_option, run_option, seed_option
from coordinator.cli.search_options import search_options

if TYPE_CHECKING:
    from coordinator.wishes import SearchWish


@click.command(short_help="Find the front from a profile.")
@run_option
@search_options
@seed_option
@profile_source_option
@json_option
@click.option(
    "--also",
    "others",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Another run of the same model, such as one of another batch, on the same front; may be repeated.",
)
def command(
    *,
    folder: Path,
    others: tuple[Path, ...],
    search: "SearchWish",
    seed: int,  # noqa: ARG001 - part of the wish
    profile_source: str,
    as_json: bool,
) -> None:
    """Finds the Pareto front under the profile in a run folder; needs no node.

    \b
    Examples:
      splitfront search --run runs/r18
      splitfront search --run runs/r18 --pin-first pi-1 --within 'latency<=80ms' --within 'memory<=400MiB'
      splitfront search --run runs/r18 --objectives latency,throughput,energy --accuracy 0.001
      splitfront search --run runs/r18 --also runs/r18-batch8 --windows 1,2,4
      splitfront search --run runs/r18 --engine nsga2 --search-seconds 10 --checkpoint r18.npz
      splitfront search --run runs/r18 --profile live
    """
    from coordinator.cli.terminal import Terminal
    from coordinator.report.tables import front_table
    from coordinator.run_folder import RunFolder
    from coordinator.steps import search_step
    from partitioner.graph import Graph

    terminal = Terminal(as_json=as_json)
    run = RunFolder(folder)
    had_plan = run.has("plan")
    result = search_step(run, search, terminal, [RunFolder(path) for path in others], is_live=profile_source == "live")
    terminal.show(front_table(result, run.load("graph", Graph), None))
    terminal.print_json(folder / "front.json")
    if had_plan and not run.has("plan"):
        terminal.say("The plan that was chosen before is not on this front, and was taken away.")
    terminal.say(f"Next: splitfront plan --run {folder} --choose knee")
