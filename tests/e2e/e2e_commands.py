"""The command, run as a user runs it."""

import subprocess
import sys


def splitfront(*arguments, timeout=110, cwd=None):
    """Runs the command and gives what it said."""
    return subprocess.run(
        [sys.executable, "-m", "coordinator", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=cwd,
        check=False,
    )
