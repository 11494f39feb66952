"""`splitfront robust`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coordinator.cli.options import json_option, profile_source_option, run_option, seed_option
from coordinator.cli.search_options import constraint_options

if TYPE_CHECKING:
    from coordinator.wishes import SearchWish


@click.command(short_help="Find plans that suit many network conditions.")
@run_option
@click.option(
    "--conditions", "conditions_file", type=click.Path(path_type=Path), help="YAML file of conditions, as below."
)
@click.option(
    "--random",
    "n_random",
    type=click.IntRange(min=1, max=10_000),
    help="Or also: so many at random, each link 10 times less to 10 times more than probed.",
)
@click.option(
    "--criterion",
    type=click.Choice(("minimax", "mean", "probability")),
    default="minimax",
    show_default=True,
    help="Least worst regret, least mean regret, or most often on the front.",
)
@constraint_options
@seed_option
@profile_source_option
@json_option
def command(
    *,
    folder: Path,
    conditions_file: Path | None,
    n_random: int | None,
    criterion: str,
    search: "SearchWish",
    seed: int,
    profile_source: str,
    as_json: bool,
) -> None:
    """Finds plans for a network that changes, from the profile in a run folder; needs no node.

    The links as probed count as one condition, `probed`. The regret of a plan under a condition is how far it is above
    the best plan of that very condition. Writes robust.json and figures/robust.svg and .png into the run folder.

    \b
    Examples:
      splitfront robust --run runs/r18 --random 100
      splitfront robust --run runs/r18 --conditions conditions.yaml --criterion mean
      splitfront robust --run runs/r18 --random 100 --profile live

    \b
    conditions.yaml, in the words of the cluster file; 0.3x and 2x are times what was probed:
      conditions:
        - name: evening
          default: {rate: 0.3x, delay: 2x}
        - name: weak-radio
          default: {loss: 0.1%}
          between:
            - {from: pi-1, to: server, rate: 10mbit, delay: 20ms, jitter: 5ms}
            - {from: client, to: pi-1, both: false, loss: 2%}
    """
    from typing import cast

    from coordinator.cli.terminal import Terminal
    from coordinator.config import load_conditions
    from coordinator.report.robust_drawing import write_robust
    from coordinator.report.robust_table import robust_table
    from coordinator.report.robust_text import advice_sentence
    from coordinator.run_folder import RunFolder
    from coordinator.steps import robust_step
    from partitioner.cluster import Cluster
    from partitioner.graph import Graph
    from partitioner.search.robust.network import random_conditions
    from partitioner.search.robust.result import Criterion

    if conditions_file is None and n_random is None:
        raise click.UsageError("Which network conditions? Give --conditions FILE, --random N, or both.")
    terminal = Terminal(as_json=as_json)
    run = RunFolder(folder)
    cluster = run.load("cluster", Cluster)
    conditions = (
        *(load_conditions(conditions_file, cluster) if conditions_file else ()),
        *random_conditions(cluster, n_random or 0, seed),
    )
    is_live = profile_source == "live"
    result = robust_step(run, search, conditions, cast("Criterion", criterion), terminal, is_live=is_live)
    terminal.show(robust_table(result, run.load("graph", Graph)))
    try:
        terminal.say(f"Drew {', '.join(map(str, write_robust(folder, result)))}")
    except OSError as error:
        raise click.FileError(str(folder / "figures"), hint=str(error)) from error
    terminal.print_json(folder / "robust.json")
    terminal.say(advice_sentence(result))
    terminal.say(f"Next: splitfront plan --run {folder} --from robust --choose 0")
