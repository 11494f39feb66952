"""`splitfront demo`."""

from pathlib import Path

import click

from coordinator.cli.options import choose_option, json_option, seed_option


@click.command(short_help="All steps on this machine, on an emulated cluster.")
@click.option("--model", default="mobilenet_v2", show_default=True, help="Any MODEL that `inspect` takes.")
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs/demo"),
    show_default=True,
    help="Run folder to write.",
)
@choose_option
@seed_option
@json_option
def command(*, model: str, folder: Path, wish: str, seed: int, as_json: bool) -> None:
    """Runs all steps on this machine: two emulated Pi-like devices and a server behind a slower emulated link.

    The devices and links are emulated by node agents in processes of their own; the figures show how the parts work
    together, not what real hardware would give.

    \b
    Examples:
      splitfront demo
      splitfront demo --model resnet18 --choose throughput --out runs/demo-r18
    """
    from coordinator.cli.request import Request
    from coordinator.cli.terminal import Terminal
    from coordinator.cli.whole_run import Budgets, whole_run
    from coordinator.wishes import SearchWish

    request = Request(model=model, is_demo=True, seed=seed, folder=folder)
    whole_run(
        request,
        SearchWish(seed=seed),
        Terminal(as_json=as_json),
        wish=wish,
        budgets=Budgets(profile_seconds=15.0, correct_seconds=45.0, bench_seconds=6.0),
    )
