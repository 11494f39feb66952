"""The command, run as a user runs it."""

import json
import signal
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


class Deploy:
    """`splitfront deploy --json` at work; its events as they come."""

    def __init__(self, folder, *options):
        command = [sys.executable, "-m", "coordinator", "deploy", "--run", folder, "--json", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.events = []

    def next_event(self, kind):
        while True:
            line = self.process.stdout.readline()
            assert line, f"it ended: {self.process.stderr.read()}"
            self.events.append(json.loads(line))
            if self.events[-1]["kind"] == kind:
                return self.events[-1]

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        self.events += map(json.loads, out.splitlines())
        return err
