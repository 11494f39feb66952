"""`splitfront search`."""

from pathlib import Path

import click

from coordinator.cli.options import json_option, run_option, search_options, seed_option


@click.command(short_help="Find the front from a profile.")
@run_option
@search_options
@seed_option
@json_option
def command(
    *,
    folder: Path,
    engine: str,
    search_seconds: float | None,
    pin_first: str | None,
    pin_last: str | None,
    max_stages: int | None,
    seed: int,
    as_json: bool,
) -> None:
    """Finds the Pareto front of latency and throughput under the profile in a run folder; needs no node.

    \b
    Examples:
      splitfront search --run runs/r18
      splitfront search --run runs/r18 --engine nsga2 --search-seconds 10 --pin-first pi-1
    """
    from coordinator.cli.terminal import Terminal
    from coordinator.planning import SearchWish
    from coordinator.report.tables import front_table
    from coordinator.run_folder import RunFolder
    from coordinator.steps import search_step
    from partitioner.graph import Graph

    terminal = Terminal(as_json=as_json)
    run = RunFolder(folder)
    wish = SearchWish(
        engine=engine,
        seed=seed,
        budget_seconds=search_seconds,
        pinned_first=pin_first,
        pinned_last=pin_last,
        max_stages=max_stages,
    )
    result = search_step(run, wish, terminal)
    terminal.show(front_table(result, run.load("graph", Graph), None))
    terminal.print_json(folder / "front.json")
    terminal.say(f"Next: splitfront plan --run {folder} --choose knee")
