"""The command group. A sub-command's module is imported when it is called or when its help is listed."""

import difflib
from importlib import import_module

import click

COMMANDS = (
    *(
        "demo",
        "init",
        "pki",
        "nodes",
        "testbed",
        "inspect",
        "profile",
        "search",
        "robust",
        "plan",
        "deploy",
        "bench",
        "run",
    ),
    *("report", "sweep", "results", "compare", "bundle", "replay"),
)
"""In the order of a first acquaintance; each lives in `coordinator.cli.NAME_command` as `command`."""


class LazyGroup(click.Group):
    """Finds its commands by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order in which help shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """The command of that name; an unknown one fails with the nearest names."""
        if cmd_name not in COMMANDS:
            near = difflib.get_close_matches(cmd_name, COMMANDS)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(COMMANDS)}."
            ctx.fail(f"No such command '{cmd_name}'. {hint}")
        command: click.Command = import_module(f"coordinator.cli.{cmd_name}_command").command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="splitfront", prog_name="splitfront")
def splitfront() -> None:
    """Splits a trained network over unequal machines, runs it as a pipeline, and measures it.

    \b
    Try it on this machine, nothing else needed:
      splitfront demo
    \b
    Your model on your cluster, all steps in one:
      splitfront init cluster.yaml
      splitfront run model.onnx --cluster cluster.yaml --out runs/first
    \b
    Step by step, each from the files of the step before:
      splitfront profile resnet18 --local 2 --out runs/r18
      splitfront search --run runs/r18
      splitfront plan --run runs/r18 --choose 'latency<=50ms'
      splitfront bench --run runs/r18
      splitfront report --run runs/r18
    """
