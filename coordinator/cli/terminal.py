"""The terminal: progress on standard error, results on standard output."""

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from coordinator.cli.progress_lines import ProgressLines

NO_TERMINAL_WIDTH = 160
"""Signs of a line in a file or a pipe, where nothing is gained by shortening names; COLUMNS says otherwise."""


class Terminal:
    """What a command says while it works. With `as_json` standard output is kept for the JSON."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._out = _wide(Console(stderr=as_json))
        self._err = _wide(Console(stderr=True))

    def show(self, renderable: RenderableType) -> None:
        """Prints a table or a line for people."""
        self._out.print(renderable)

    def say(self, text: str) -> None:
        """Prints a line for people; nothing in it is markup."""
        with _ending_with_the_reader():
            self._out.print(text, markup=False, highlight=False, soft_wrap=True)

    def tell(self, text: str, facts: Mapping[str, object]) -> None:
        """Says what is there to know for people, and prints the same for a script, where that was asked for."""
        self.say(text)
        self.print_json_line(json.dumps(facts, indent=2))

    def print_json(self, path: Path) -> None:
        """Prints an artefact for a script, where that was asked for."""
        if self.as_json:
            click.echo(path.read_text(encoding="utf-8"))

    def print_json_line(self, line: str) -> None:
        """Prints one of several values for a script, where that was asked for."""
        if self.as_json:
            with _ending_with_the_reader():
                click.echo(line)

    @contextmanager
    def progress(self, title: str) -> Iterator["ProgressLanes | ProgressLines"]:
        """Bars for one step, one for each lane; lines now and then where standard error cannot draw."""
        self._err.print(Text(title, style="bold cyan"), soft_wrap=True)
        if not self._err.is_interactive:
            lines = ProgressLines(lambda line: self._err.print(Text(line), soft_wrap=True))
            yield lines
            lines.end()
            return
        bars = Progress(
            TextColumn("{task.fields[lane]}", style="bold", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left", style="dim"),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._err,
            transient=True,
        )
        with bars:
            yield ProgressLanes(bars)


@contextmanager
def _ending_with_the_reader() -> Iterator[None]:
    """Where nobody reads what is printed, the command ends in order, whichever of its threads found that out."""
    try:
        yield
    except (BrokenPipeError, SystemExit):  # by click and by rich
        if threading.current_thread() is not threading.main_thread():
            os.kill(os.getpid(), signal.SIGINT)
        raise


def _wide(console: Console) -> Console:
    if console.width < 1 or (not console.is_terminal and "COLUMNS" not in os.environ):
        console.width = NO_TERMINAL_WIDTH
    return console


class ProgressLanes:
    """Draws what is reported; until then that something goes on. A lane appears when it is first heard of.

    Called from several threads.
    """

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._waiting = bars.add_task("", total=None, lane="…")
        self._lock = threading.Lock()

    def __call__(self, lane: str, n_done: int, n_total: int, what: str = "") -> None:
        """Moves the bar of a lane."""
        with self._lock:
            self._bars.update(self._waiting, visible=False)
            if lane not in self._tasks:
                self._tasks[lane] = self._bars.add_task(what, total=n_total, lane=lane)
        self._bars.update(self._tasks[lane], completed=n_done, total=n_total, description=what)
