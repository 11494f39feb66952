"""A step: one change of a machine, as a value."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote

from deploy.facts.installed import Installed
from deploy.runner import DEFAULT_TIMEOUT_SECONDS, Runner

ALREADY = 111
"""Exit status of a step that had nothing to do."""

LOCK_SECONDS = 300
"""How long a step waits for one of an install that was broken off on our side and still works there."""

Action = Callable[[Runner], None]
"""What no single command can do, such as fetching a signing request and bringing back a certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file to be sent to the machine."""

    source: Path
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One change of a machine. Holds no secret: it is printed."""

    name: str
    description: str
    """What it does, as an order: `Make the user 'splitfront'`."""
    command: str = ""
    """POSIX shell, run with `set -e`."""
    check: str = ""
    """POSIX shell that succeeds where there is nothing to do."""
    undo: str = ""
    """POSIX shell that takes the change back."""
    stdin: bytes = b""
    uploads: tuple[Upload, ...] = ()
    action: Action | None = field(default=None, compare=False)
    """Instead of a command."""
    as_root: bool = False
    is_locked: bool = True
    """Whether it waits for steps of other installs. One that starts a service must not: that would hold the lock."""
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    after: Callable[[Installed], Installed] = field(default=lambda installed: installed, compare=False, repr=False)
    """What is installed once it is done. Tests hold planning and commands against it."""
    is_guard: bool = False
    """Whether its undo is run when a later step fails: it takes back all that came after it."""
    diagnose: str = ""
    """POSIX shell whose output says why the step failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """How a step ended."""

    name: str
    description: str
    outcome: str
    """`changed`, `unchanged`, `failed` or `undone`."""
    message: str = ""
    seconds: float = 0.0
    """That it took."""


def shell_text(step: Step, lock: str) -> str:
    """The step as the machine runs it: under a lock, its check first."""
    lines = ["set -e", "PATH=$PATH:/usr/sbin:/sbin"]
    if step.is_locked:
        folder = quote(lock.rpartition("/")[0])
        lines.append(
            f"if [ -d {folder} ] && command -v flock >/dev/null; then "
            f"exec 9>{quote(lock)}; flock -w {LOCK_SECONDS} 9; fi"
        )
    if step.check:
        lines.append(f"if ( {step.check} ) >/dev/null 2>&1; then exit {ALREADY}; fi")
    return "\n".join((*lines, step.command))


def write_step(name: str, path: str, text: str, digest: str, *, mode: str, as_root: bool) -> Step:
    """Writes a file whole or not at all."""
    target = quote(path)
    return Step(
        name=name,
        description=f"Write {path}",
        command=f"mkdir -p {quote(path.rpartition('/')[0])}; umask 077; cat >{target}.part; "
        f"chmod {mode} {target}.part; mv -f {target}.part {target}",
        check=f"printf '%s  %s\\n' {digest} {target} | sha256sum -c",
        undo=f"rm -f {target} {target}.part",
        stdin=text.encode(),
        as_root=as_root,
        after=lambda state: replace(state, files={**state.files, path: digest}),
    )
