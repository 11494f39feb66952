"""Every command's help: examples, and lines that a terminal of 80 columns does not cut, for `nodes` and `testbed`."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from coordinator.cli import nodes_command, testbed_command

N_COLUMNS = 80


def commands_of(group: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    assert isinstance(group, click.Group)
    for part, command in group.commands.items():
        yield f"{name} {part}", command


COMMANDS = [
    ("nodes", nodes_command.command),
    *commands_of(nodes_command.command, "nodes"),
    *commands_of(testbed_command.command, "testbed"),
]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_help_has_examples_and_fits_a_terminal(name: str, command: click.Command) -> None:
    done = CliRunner().invoke(command, ["--help"], prog_name=f"splitfront {name}", terminal_width=N_COLUMNS)
    assert done.exit_code == 0
    assert "Examples:" in done.output
    assert f"  splitfront {name.split(maxsplit=1)[0]} " in done.output
    assert [line for line in done.output.splitlines() if len(line) > N_COLUMNS] == []
