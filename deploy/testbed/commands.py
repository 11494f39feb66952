"""Commands of this machine."""

import subprocess
from collections.abc import Iterable

from deploy.errors import NoTestbedError
from deploy.testbed.needs import program

_SECONDS = 30


def run_command(*words: str, stdin: str = "") -> str:
    """What a command says.

    Raises:
        NoTestbedError: It failed.
    """
    path = program(words[0]) or words[0]
    try:
        done = subprocess.run(  # noqa: S603 - words of ours
            [path, *words[1:]], input=stdin, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise NoTestbedError(f"`{' '.join(words)}` failed: {exc}.") from exc
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NoTestbedError(f"`{' '.join(words)}` failed: {said[0] if said else f'status {done.returncode}'}.")
    return done.stdout


def run_ip(lines: Iterable[str], *, namespace: str = "") -> None:
    """Has `ip` do several things, in a network namespace where one is named.

    Raises:
        NoTestbedError: One of them failed.
    """
    where = ("-n", namespace) if namespace else ()
    run_command("ip", *where, "-batch", "-", stdin="".join(f"{line}\n" for line in lines))
