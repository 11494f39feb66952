"""`splitfront run`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from coordinator.cli.options import (
    bench_options,
    choose_option,
    cluster_options,
    correct_option,
    dry_run_option,
    fresh_option,
    json_option,
    model_argument,
    model_options,
    out_option,
    profile_options,
    seed_option,
)
from coordinator.cli.search_options import search_options

if TYPE_CHECKING:
    from coordinator.wishes import SearchWish


@click.command(short_help="All steps: profile, search, plan, deploy, bench, report.")
@model_argument
@cluster_options
@model_options
@profile_options
@fresh_option
@search_options
@choose_option
@correct_option
@bench_options
@seed_option
@out_option
@json_option
@dry_run_option
def command(
    model: str,
    *,
    cluster_file: Path | None,
    n_local: int | None,
    batch: int | None,
    dims: tuple[tuple[str, int], ...],
    inputs: Path | None,
    weights: Path | None,
    profile_seconds: float,
    is_fresh: bool,
    search: "SearchWish",
    wish: str,
    correct_seconds: float,
    bench_seconds: float,
    window_text: str | None,
    seed: int,
    folder: Path | None,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Profiles MODEL on a cluster, finds the front, deploys the chosen plan, measures it and draws the report.

    \b
    Examples:
      splitfront run mobilenet_v2 --local 3
      splitfront run model.onnx --cluster cluster.yaml --choose 'latency<=50ms' --out runs/first
    """
    from coordinator.cli.request import Request
    from coordinator.cli.terminal import Terminal
    from coordinator.cli.whole_run import Budgets, check_wishes, steps_after_profiling, tell_request, whole_run
    from coordinator.window import parse_window

    terminal = Terminal(as_json=as_json)
    window = parse_window(window_text) if window_text else None
    request = Request(
        model=model,
        cluster_file=cluster_file,
        n_local=n_local,
        batch=batch,
        dims=dict(dims),
        inputs=inputs,
        weights=weights,
        seed=seed,
        folder=folder,
    )
    budgets = Budgets(profile_seconds=profile_seconds, correct_seconds=correct_seconds, bench_seconds=bench_seconds)
    if dry_run:
        check_wishes(request, search, wish)
        tell_request(request, terminal, steps_after_profiling(search, wish, budgets))
        return
    whole_run(
        request,
        search,
        terminal,
        wish=wish,
        budgets=budgets,
        window=window,
        is_fresh=is_fresh,
    )
