"""`splitfront deploy`."""

import time
from pathlib import Path

import click

from coordinator.cli.options import dry_run_option, run_option


@click.command(short_help="Put the chosen plan on the nodes and keep it up.")
@run_option
@click.option("--seconds", type=click.FloatRange(min=0), help="Take it off again after so long.  [default: Ctrl-C]")
@dry_run_option
def command(*, folder: Path, seconds: float | None, dry_run: bool) -> None:
    """Puts the plan of a run folder on its nodes, verifies it against the whole model, and keeps it up.

    A plan whose outputs differ from the whole model's is taken off at once. While it is up, a line each ten seconds
    says that it still answers correctly.

    \b
    Examples:
      splitfront deploy --run runs/r18
      splitfront deploy --run runs/r18 --seconds 600
    """
    from coordinator.cli.terminal import Terminal
    from coordinator.cli.whole_run import resumed_run
    from coordinator.deployment import deploy_plan, verify_deployment
    from coordinator.run_folder import RunFolder
    from partitioner.plan import Candidate

    terminal = Terminal()
    chosen = RunFolder(folder).load("plan", Candidate)
    if dry_run:
        terminal.say(f"Would load {len(chosen.plan.stages)} stages: {chosen.plan.describe()}")
        return
    with resumed_run(folder, terminal) as run, deploy_plan(run.fleet, run.model, chosen) as deployment:
        words = "equal" if deployment.gate.is_exact else f"are within {deployment.gate.bound:.1e} (relative L2) of"
        terminal.say(
            f"Live as {deployment.name}: {chosen.plan.describe()}; {deployment.sent_bytes / 2**20:.1f} MiB sent, "
            f"outputs {words} the whole model's. Ctrl-C takes it off."
        )
        ends_at = time.monotonic() + seconds if seconds is not None else float("inf")
        while (left := ends_at - time.monotonic()) > 0:
            time.sleep(min(left, 10.0))
            errors = verify_deployment(deployment, run.model)
            l2 = "" if errors.l2 is None else f", relative L2 {errors.l2:.1e}"
            terminal.say(f"answers correctly (largest relative error {errors.relative:.1e}{l2})")
    terminal.say("Taken off.")
