"""`splitfront profile`."""

from pathlib import Path

import click

from coordinator.cli.options import (
    cluster_options,
    dry_run_option,
    fresh_option,
    json_option,
    model_options,
    optional_model_argument,
    out_option,
    profile_options,
    seed_option,
    show_option,
)
from coordinator.cli.search_options import WordsType


@click.command(short_help="Time a model's layers on every node.")
@optional_model_argument
@cluster_options
@model_options
@profile_options
@fresh_option
@click.option(
    "--codecs",
    type=WordsType(),
    default=(),
    help="Also measures codecs: some of float16, int8, zstd, lz4 between commas, or all that every node has.",
)
@seed_option
@out_option
@show_option
@json_option
@dry_run_option
def command(
    model: str | None,
    *,
    cluster_file: Path | None,
    n_local: int | None,
    batch: int | None,
    dims: tuple[tuple[str, int], ...],
    inputs: Path | None,
    weights: Path | None,
    profile_seconds: float,
    is_fresh: bool,
    codecs: tuple[str, ...],
    seed: int,
    folder: Path | None,
    shown: Path | None,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Profiles MODEL layer by layer on every node, probes the links, and begins a run folder.

    What was timed is kept in a cache as it comes: a profile that was broken off goes on where it ended, and segments
    that are known on a device of the same kind are not timed again, but for a few that show whether the cache holds.

    \b
    Examples:
      splitfront profile resnet18 --local 2 --out runs/r18
      splitfront profile model.onnx --cluster cluster.yaml --profile-seconds 60
      splitfront profile resnet18 --local 2 --codecs float16,zstd
      splitfront profile --show runs/r18
    """
    from coordinator.cli.request import Request
    from coordinator.cli.shown_profile import show_profile
    from coordinator.cli.terminal import Terminal
    from coordinator.cli.whole_run import measure_codecs, opened_run, tell_request
    from coordinator.coding import check_codecs
    from coordinator.profile_cache import default_cache_file
    from coordinator.report.profiling_table import profiling_table
    from coordinator.report.tables import profile_table
    from coordinator.steps import profile_step

    terminal = Terminal(as_json=as_json)
    if shown is not None:
        if model is not None:
            raise click.UsageError("--show takes the profile of a run folder: leave MODEL out.")
        show_profile(shown, terminal)
        return
    if model is None:
        raise click.UsageError("Say which MODEL to profile, or --show RUN to see a profile that is there.")
    check_codecs(codecs)
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
    if dry_run:
        tell_request(request, terminal)
        return
    with opened_run(request, terminal, codecs=codecs) as run:
        profile = profile_step(run, terminal, budget_seconds=profile_seconds, is_fresh=is_fresh)
        terminal.show(profile_table(profile, run.model.graph))
        terminal.show(profiling_table(profile))
        terminal.say(f"Times are kept in {default_cache_file()}")
        measure_codecs(run, codecs, terminal)
    terminal.print_json(run.folder.path / "profile.json")
    terminal.say(f"Next: splitfront search --run {run.folder.path}")
