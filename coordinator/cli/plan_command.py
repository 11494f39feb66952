"""`splitfront plan`."""

from pathlib import Path

import click

from coordinator.cli.options import choose_option, json_option, run_option


@click.command(short_help="Choose a point of the front.")
@run_option
@choose_option
@click.option(
    "--from",
    "source",
    type=click.Choice(("front", "robust")),
    default="front",
    show_default=True,
    help="Plans of `splitfront search`, or those of `splitfront robust`.",
)
@json_option
def command(*, folder: Path, wish: str, source: str, as_json: bool) -> None:
    """Chooses the plan to deploy from the front in a run folder.

    \b
    Examples:
      splitfront plan --run runs/r18
      splitfront plan --run runs/r18 --choose 'latency<=50ms'
      splitfront plan --run runs/r18 --choose 3
      splitfront plan --run runs/r18 --from robust --choose 0
    """
    from coordinator.cli.terminal import Terminal
    from coordinator.report.robust_table import robust_table
    from coordinator.report.tables import front_table
    from coordinator.run_folder import RunFolder
    from coordinator.steps import plan_step
    from partitioner.choice import knee
    from partitioner.graph import Graph
    from partitioner.search.result import SearchResult
    from partitioner.search.robust_result import RobustResult

    terminal = Terminal(as_json=as_json)
    run = RunFolder(folder)
    graph = run.load("graph", Graph)
    if source == "robust":
        robust = run.load("robust", RobustResult)
        chosen = plan_step(run, robust, wish)
        terminal.show(robust_table(robust, graph, chosen))
    else:
        result = run.load("front", SearchResult)
        chosen = plan_step(run, result, wish)
        terminal.show(front_table(result, graph, chosen, knee(result.front, result.objectives)))
    if not chosen.plan.is_split:
        terminal.say(f"Do not split: '{chosen.plan.stages[0].device}' alone answers this wish best.")
    terminal.print_json(folder / "plan.json")
    terminal.say(f"Next: splitfront bench --run {folder}")
