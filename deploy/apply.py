"""Doing what was planned: step by step, and back again when a step fails behind a guard."""

import time
from collections.abc import Callable, Sequence
from shlex import quote

from deploy.errors import CommandFailedError, DeployError, StepFailedError
from deploy.runner import Runner, checked
from deploy.steps import ALREADY, Step, StepResult, shell_text

OnStep = Callable[[Step], None]
"""Hears of each step before it is done."""


def apply_steps(
    steps: Sequence[Step], runner: Runner, lock: str, on_step: OnStep = lambda _: None
) -> tuple[StepResult, ...]:
    """How each step ended; a step whose check says that nothing is to do is `unchanged`.

    Raises:
        StepFailedError: A step failed. If a guard came before it, the guard's undo was run.
        HostUnreachableError: The connection broke; running it again goes on where it ended.
    """
    results: list[StepResult] = []
    guard: Step | None = None
    for step in steps:
        on_step(step)
        began = time.monotonic()
        try:
            outcome = _do(step, runner, lock)
        except CommandFailedError as exc:
            why = f"{exc}{_diagnosis(step, runner)}"
            raise StepFailedError(f"{why}.{_undo(guard, runner)}") from exc
        seconds = round(time.monotonic() - began, 3)
        results.append(StepResult(name=step.name, description=step.description, outcome=outcome, seconds=seconds))
        guard = step if step.is_guard else guard
        if step.name == "confirm":
            guard = None
    return tuple(results)


def _do(step: Step, runner: Runner, lock: str) -> str:
    for upload in step.uploads:
        runner.put(upload.source, upload.target)
    if step.action is not None:
        step.action(runner)
        return "changed"
    if not step.command:
        return "changed"
    done = runner.run(
        shell_text(step, lock), stdin=step.stdin, is_privileged=step.as_root, timeout_seconds=step.timeout_seconds
    )
    if done.status == ALREADY:
        return "unchanged"
    checked(done, f"{step.description[0].lower()}{step.description[1:]}")
    return "changed"


def _diagnosis(step: Step, runner: Runner) -> str:
    """The end of what the machine can say about a failure."""
    if not step.diagnose:
        return ""
    try:
        said = runner.run(step.diagnose, is_privileged=step.as_root).stdout.splitlines()
    except DeployError:
        return ""
    own = [line.strip() for line in said if line.strip() and "supervisor: " not in line and "systemd[" not in line]
    return f"; the agent's last words: {own[-1]}" if own else ""


def _undo(guard: Step | None, runner: Runner) -> str:
    """Takes back what came after the guard, and says how that went."""
    if guard is None:
        return ""
    done = runner.run(
        f"set -e\nPATH=$PATH:/usr/sbin:/sbin\n{guard.undo}",
        is_privileged=guard.as_root,
        timeout_seconds=guard.timeout_seconds,
    )
    if done.status != 0:
        return f" What was before could not be brought back either: {done.last_words}."
    return " What was before has been brought back." if "current" in guard.undo else " It was stopped."


def describe_step(step: Step) -> str:
    """A step for `--dry-run`: what it does, and the commands that it would run."""
    lines = [f"{step.description}{' (as root)' if step.as_root else ''}"]
    lines += [f"  sftp put {quote(upload.source.name)} {upload.target}" for upload in step.uploads]
    lines += [f"  {line}" for line in step.command.strip().splitlines()]
    return "\n".join(lines)
