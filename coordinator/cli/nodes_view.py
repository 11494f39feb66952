"""What `splitfront nodes` shows: a live table while it works, tables and JSON of what came out."""

import dataclasses
import getpass
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deploy.doctor.findings import Finding
from deploy.errors import DeployError
from deploy.operations import NodeState, Report

_COLOURS = {
    "changed": "green",
    "unchanged": "green",
    "healthy": "green",
    "good": "green",
    "planned": "cyan",
    "running": "yellow",
    "warning": "yellow",
    "absent": "yellow",
    "stopped": "red",
    "failed": "red",
    "problem": "red",
}


class LiveTable:
    """A row for each node that says what is being done there. Rows are written from several threads."""

    def __init__(self, names: Sequence[str], console: Console) -> None:
        self._rows = dict.fromkeys(names, "waits")
        self._lock = threading.Lock()
        self._console = console

    def say(self, name: str, words: str) -> None:
        """What is being done on a node."""
        with self._lock:
            self._rows[name] = words
        if not self._console.is_terminal:
            self._console.print(Text(f"{name}: {words}"), soft_wrap=True)

    def __rich__(self) -> Table:
        table = Table("node", "now", box=None, pad_edge=False)
        with self._lock:
            for name, words in self._rows.items():
                table.add_row(Text(name, style="bold"), Text(words))
        return table

    @contextmanager
    def shown(self) -> Iterator["LiveTable"]:
        """Draws it; where nothing can be drawn, what is said is printed line by line."""
        if not self._console.is_terminal:
            yield self
            return
        with Live(self, console=self._console, refresh_per_second=8, transient=True):
            yield self


def ask(question: str) -> str | None:
    """A secret, typed by a person and never shown; None where nobody sits there."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    return getpass.getpass(f"{question}: ", stream=sys.stderr)


def reports_table(reports: Sequence[Report]) -> Table:
    """What was done."""
    table = Table("node", "outcome", "steps", "what holds", box=None, pad_edge=False)
    for report in reports:
        n_done = sum(step.outcome in ("changed", "planned") for step in report.steps)
        outcome = Text(report.outcome, style=_COLOURS.get(report.outcome, ""))
        words = "see below" if report.outcome == "failed" else report.message
        table.add_row(Text(report.node, style="bold"), outcome, str(n_done), Text(words))
    return table


def states_table(states: Sequence[NodeState]) -> Table:
    """How the nodes are."""
    table = Table("node", "state", "release", "kept up by", "restarts", "remark", box=None, pad_edge=False)
    for state in states:
        words = Text(state.state, style=_COLOURS.get(state.state, ""))
        cells = (state.release, state.service, str(state.n_restarts) if state.pid else "")
        remark = "see below" if state.state == "failed" else state.message
        table.add_row(Text(state.node, style="bold"), words, *cells, Text(remark))
    return table


def findings_table(findings: Sequence[Finding]) -> Table:
    """What the doctor found, and what to do."""
    table = Table("node", "about", "", "finding", "remedy", box=None, pad_edge=False)
    for finding in findings:
        level = Text(finding.level, style=_COLOURS.get(finding.level, ""))
        row = (Text(finding.about), level, Text(finding.message), Text(finding.remedy))
        table.add_row(Text(finding.node, style="bold"), *row)
    return table


def failed_report(node: str, error: DeployError) -> Report:
    """A failure in the place of a report."""
    return Report(node=node, outcome="failed", message=str(error))


def failed_state(node: str, error: DeployError) -> NodeState:
    """A failure in the place of a state."""
    return NodeState(node=node, state="failed", message=str(error))


def json_text(key: str, values: Sequence[Any]) -> str:
    """Values as JSON."""
    return json.dumps({key: [dataclasses.asdict(value) for value in values]}, indent=2)
