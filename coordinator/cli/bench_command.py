"""`splitfront bench`."""

from pathlib import Path

import click

from coordinator.cli.options import bench_options, dry_run_option, json_option, profile_source_option, run_option


@click.command(short_help="Measure the plan, the front and the baselines.")
@run_option
@bench_options
@profile_source_option
@json_option
@dry_run_option
def command(
    *, folder: Path, bench_seconds: float, window_text: str | None, profile_source: str, as_json: bool, dry_run: bool
) -> None:
    """Deploys and measures the plan of a run folder, the rest of the front, and the whole model on each node.

    Predictions are held against it, and stage times seen live correct the profile: `search --profile live` uses them.

    \b
    Examples:
      splitfront bench --run runs/r18
      splitfront bench --run runs/r18 --bench-seconds 30 --json > r18.json
      splitfront bench --run runs/r18 --window 'auto<=200ms'
    """
    from coordinator.benching import front_selection
    from coordinator.cli.terminal import Terminal
    from coordinator.cli.whole_run import resumed_run, show_measurement
    from coordinator.measuring import Effort
    from coordinator.run_folder import RunFolder
    from coordinator.steps import bench_step
    from coordinator.window import parse_window
    from partitioner.plan import Candidate
    from partitioner.search.result import SearchResult

    terminal = Terminal(as_json=as_json)
    window = parse_window(window_text) if window_text else None
    chosen = RunFolder(folder).load("plan", Candidate)
    if dry_run:
        front = RunFolder(folder).load("front", SearchResult).front
        measured = [("chosen", chosen), *front_selection(front, chosen)]
        plans = {label: candidate.plan.describe() for label, candidate in measured}
        lines = [f"{label}: {plan}" for label, plan in plans.items()]
        terminal.tell("\n".join(["Would measure:", *lines, "and each node alone"]), {"plans": plans})
        return
    with resumed_run(folder, terminal) as run:
        effort = Effort(seconds=bench_seconds)
        measurement = bench_step(run, terminal, effort=effort, is_live=profile_source == "live", window=window)
    show_measurement(measurement, terminal)
    terminal.print_json(folder / "measurement.json")
    terminal.say(f"Next: splitfront report --run {folder}")
