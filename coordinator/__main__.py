"""Entry of the `splitfront` command: runs it and turns all errors but our own bugs into one line and a status."""

import contextlib
import errno
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

import click

from coordinator.cli.root import splitfront
from node_agent.tls.versions import TLS_1_3_ONLY

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""
_AGAIN_SECONDS = 0.05
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C, or a request to end.

    A class of its own, because `python -m` kills itself with SIGINT instead of giving our exit status when a plain
    `KeyboardInterrupt` once passed through `exec` of a text (as compiling and importing do), even if it was caught.
    """


def main() -> NoReturn:
    """Runs the command line and exits: 0 done, 1 an error of ours, 2 wrong usage, 130 interrupted."""
    os.environ.setdefault(*TLS_1_3_ONLY)  # commands import late, gRPC and onnxruntime, too
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else onnxruntime starts a thread that reports to its maker
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.unraisablehook = _interrupt_again
    status = run(sys.argv[1:])
    with contextlib.suppress(OSError, AttributeError):
        sys.stdout.close()  # what could not be written was told; Python would tell it again while it ends
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Exit status of a command line."""
    try:
        return splitfront.main(args=arguments, prog_name="splitfront", standalone_mode=False) or 0
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("splitfront: interrupted; what was on nodes was taken off, finished steps are kept.", err=True)
        return INTERRUPTED
    except Exception as error:
        message = str(error) if _is_ours(error) else _file_words(error)
        if not message:
            raise
        click.echo(f"splitfront: error: {message}", err=True)
        return 1


def _file_words(error: Exception) -> str:
    """What the system refuses to do with a file, or that a disk is full; empty for other errors: those are bugs."""
    if not isinstance(error, OSError) or (error.filename is None and error.errno not in _FULL):
        return ""
    return f"{error.filename}: {error.strerror}" if error.filename else f"Cannot write: {error.strerror}"


def _is_ours(error: Exception) -> bool:
    # Imported only now: `--help` must not pay for it.
    from coordinator.errors import CoordinatorError  # noqa: PLC0415
    from deploy.errors import DeployError  # noqa: PLC0415
    from node_agent.errors import NodeError  # noqa: PLC0415
    from partitioner.errors import PartitionerError  # noqa: PLC0415

    return isinstance(error, (CoordinatorError, DeployError, NodeError, PartitionerError))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise _Interrupted


def _interrupt_again(lost: "sys.UnraisableHookArgs") -> None:
    """Python drops what is raised in finalisers and callbacks of weak references; an interrupt comes again soon."""
    if lost.exc_type is not _Interrupted:
        sys.__unraisablehook__(lost)
        return
    main_thread = threading.main_thread().ident
    again = threading.Timer(_AGAIN_SECONDS, signal.pthread_kill, (main_thread, signal.SIGINT))
    again.daemon = True
    again.start()


if __name__ == "__main__":
    main()
