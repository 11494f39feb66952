"""The look of the terminal's tables."""

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from coordinator.report.names import printable, shorten

LEAST_NAME_WIDTH = 8


class ShrinkingName:
    """A name on one line that gives up its middle where the table is too wide; the numbers beside it stay whole.

    Its column must not be `no_wrap`: only columns that could wrap are made narrower.
    """

    def __init__(self, name: str, most: int = 60) -> None:
        self._name = shorten(printable(name), most)

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(shorten(self._name, options.max_width), no_wrap=True)

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        width = min(len(self._name), options.max_width)
        return Measurement(min(LEAST_NAME_WIDTH, width), width)


def plain_table(title: str) -> Table:
    """A table without lines between its columns."""
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        header_style="dim",
        collapse_padding=True,
    )
