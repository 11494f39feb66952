"""What the commands of `splitfront pki` share: the folder, the passphrase, lives, and how results are told."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

PASSPHRASE_VARIABLE = "SPLITFRONT_PKI_PASSPHRASE"  # noqa: S105 - the name of a variable

pki_option = click.option(
    "--pki",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("pki"),
    show_default=True,
    help="Folder of the authority.",
)

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help=f"First line: passphrase of the authority's key.  [default: {PASSPHRASE_VARIABLE}, or it is asked for]",
)


def days_option(text: str, *, default: float | None = 30.0, name: str = "--days") -> Callable[[Any], Any]:
    """An option for how long something lives."""
    return click.option(
        name, type=click.FloatRange(min=0, min_open=True), default=default, show_default=default is not None, help=text
    )


def read_passphrase(given: Path | None, *, is_new: bool = False) -> str:
    """The passphrase: from a file, the environment, or whoever sits at the terminal. It is never shown.

    Raises:
        click.UsageError: It is nowhere, and nobody can be asked.
    """
    if given is not None:
        lines = given.read_text(encoding="utf-8").splitlines()
        return lines[0] if lines else ""
    if PASSPHRASE_VARIABLE in os.environ:
        return os.environ[PASSPHRASE_VARIABLE]
    if not sys.stdin.isatty():
        raise click.UsageError(
            f"The authority's key has a passphrase: give --passphrase-file, or set {PASSPHRASE_VARIABLE}."
        )
    return str(click.prompt("Passphrase of the authority", hide_input=True, confirmation_prompt=is_new, err=True))


def tell(text: str, facts: Mapping[str, object], *, as_json: bool) -> None:
    """Prints a result, for people or for a script."""
    click.echo(json.dumps(facts, indent=2) if as_json else text)
