"""`splitfront deploy`."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coordinator.cli.options import dry_run_option, json_option, profile_source_option, run_option

if TYPE_CHECKING:
    from coordinator.output_gate import OutputErrors


@click.command(short_help="Put the chosen plan on the nodes and keep it up.")
@run_option
@click.option("--seconds", type=click.FloatRange(min=0), help="Take it off again after so long.  [default: Ctrl-C]")
@click.option(
    "--lease",
    "lease_seconds",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Nodes free their stages when no coordinator asked after them for so long; 0: never.",
)
@profile_source_option
@json_option
@dry_run_option
def command(
    *,
    folder: Path,
    seconds: float | None,
    lease_seconds: float,
    profile_source: str,
    as_json: bool,
    dry_run: bool,
) -> None:
    """Puts the plan of a run folder on its nodes, verifies it against the whole model, and keeps it up.

    When a node dies, hangs, is cut off or restarts, the best plan on the others takes over; no request is lost or
    answered twice. A node that is back is used again where that is worth a switch. What happens is printed, and kept in
    the folder's events.jsonl. A plan that a killed coordinator left running is taken over as it is.

    A plan whose outputs differ from the whole model's is taken off at once. While one is up, a line each ten seconds
    says whether it still answers correctly. What to expect of it is said first.

    \b
    Examples:
      splitfront deploy --run runs/r18
      splitfront deploy --run runs/r18 --seconds 600 --json > events.jsonl
      splitfront deploy --run runs/r18 --profile live
    """
    from coordinator.cli.terminal import Terminal
    from coordinator.cli.whole_run import resumed_run
    from coordinator.provisioning import rate_words
    from coordinator.report.text import expectation_sentence
    from coordinator.run_folder import RunFolder
    from coordinator.serving.events import Event
    from coordinator.serving.run_service import serve_run
    from coordinator.steps import predicted_plan

    is_live = profile_source == "live"
    terminal = Terminal(as_json=as_json)
    chosen = predicted_plan(RunFolder(folder), is_live=is_live)
    terminal.say(expectation_sentence(chosen.cost))
    if dry_run:
        stages, plan = len(chosen.plan.stages), chosen.plan.describe()
        terminal.tell(f"Would load {stages} stages: {plan}", {"n_stages": stages, "plan": plan})
        return

    def tell(event: Event) -> None:
        terminal.say(event.describe())
        terminal.print_json_line(event.to_json())

    with resumed_run(folder, terminal) as run, ExitStack() as stack:
        with terminal.progress("Sending weights, loading, verifying") as on_lane:
            serving = serve_run(
                run,
                chosen,
                is_live=is_live,
                lease_seconds=lease_seconds,
                on_event=tell,
                on_lane=on_lane,
            )
            service = stack.enter_context(serving)
        rate = rate_words(service.sent_bytes, service.sending_seconds)
        plan = service.candidate.plan.describe() if service.candidate else "no plan at this moment"
        words = "equal" if service.gate.is_exact else f"are within {service.gate.bound:.1e} (relative L2) of"
        terminal.say(
            f"Live as {service.name}: {plan}; {service.sent_bytes / 2**20:.1f} MiB sent at {rate}, outputs {words} the "
            "whole model's. Ctrl-C takes it off."
        )
        ends_at = time.monotonic() + seconds if seconds is not None else float("inf")
        while (left := ends_at - time.monotonic()) > 0:
            time.sleep(min(left, 10.0))
            terminal.say(answer_sentence(service.check))
    terminal.say("Taken off.")


def answer_sentence(check: "Callable[[], OutputErrors]") -> str:
    """What a check of a service found: how far its answer is off, or why there is none that is right.

    Raises:
        ServiceEndedError: The service answers no more.
    """
    from coordinator.errors import CoordinatorError, ServiceEndedError
    from node_agent.errors import NodeError

    try:
        errors = check()
    except ServiceEndedError:
        raise
    except (CoordinatorError, NodeError) as error:
        return f"does not answer correctly: {error}"
    l2 = "" if errors.l2 is None else f", relative L2 {errors.l2:.1e}"
    return f"answers correctly (largest relative error {errors.relative:.1e}{l2})"
