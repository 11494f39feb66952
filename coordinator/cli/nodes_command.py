"""`splitfront nodes`."""

from pathlib import Path
from typing import Any

import click

from coordinator.cli.options import dry_run_option, json_option, together

nodes_options = together(
    click.argument("nodes", nargs=-1),
    click.option(
        "--cluster",
        "cluster_file",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("cluster.yaml"),
        show_default=True,
        help="Cluster file whose nodes have ssh sections.",
    ),
    click.option("--accept-new", is_flag=True, help="Takes and remembers the host keys of machines never seen before."),
    json_option,
)
wheel_option = click.option(
    "--wheel",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Wheel of splitfront to install.  [default: made from this installation]",
)
health_option = click.option(
    "--health-seconds",
    type=click.FloatRange(min=1, max=600),
    default=60.0,
    show_default=True,
    help="How long a started agent may take until it is healthy.",
)


@click.group(short_help="Install and look after agents on machines, over SSH.")
def command() -> None:
    """Installs agents on the machines of a cluster file and looks after them, over SSH.

    Needs on each machine an SSH server and Python 3.11 or newer: no internet, no pip. Host keys are always checked.
    NODES are names of nodes in the cluster file; without them all nodes that have an `ssh` section are meant.

    \b
    Examples:
      splitfront nodes doctor
      splitfront nodes install --dry-run
      splitfront nodes install pi-1 pi-2 --cluster cluster.yaml
      splitfront nodes shape pi-1 --delay 20ms --rate 50mbit --loss 0.1%
    """


@command.command(short_help="Take bare machines to running agents.")
@nodes_options
@wheel_option
@health_option
@dry_run_option
def install(*, wheel: Path | None, health_seconds: float, dry_run: bool, **common: Any) -> None:
    """Installs the agent on NODES and starts it; where all is as wanted, nothing is changed.

    Packages are gathered here for each machine's architecture and Python, and sent: machines need no internet. What was
    broken off goes on where it ended. When the new agent is not healthy in time, the one before it is brought back.

    \b
    Examples:
      splitfront nodes install --dry-run
      splitfront nodes install pi-1 pi-2 --accept-new
    """
    from coordinator.cli.nodes_run import run_install

    run_install(wheel=wheel, health_seconds=health_seconds, dry_run=dry_run, only_upgrade=False, **common)


@command.command(short_help="Install the present version where there is one already.")
@nodes_options
@wheel_option
@health_option
@dry_run_option
def upgrade(*, wheel: Path | None, health_seconds: float, dry_run: bool, **common: Any) -> None:
    """Brings installed agents to this version, with the newest packages that fit. Shard stores stay.

    When the new agent is not healthy in time, the one before it is brought back.

    \b
    Examples:
      splitfront nodes upgrade --dry-run
      splitfront nodes upgrade pi-1
    """
    from coordinator.cli.nodes_run import run_install

    run_install(wheel=wheel, health_seconds=health_seconds, dry_run=dry_run, only_upgrade=True, **common)


@command.command(short_help="Show how agents are.")
@nodes_options
def status(**common: Any) -> None:
    """Shows how the agents of NODES are, by asking each of them on its own machine.

    \b
    Examples:
      splitfront nodes status
      splitfront nodes status pi-1 --json
    """
    from coordinator.cli.nodes_run import run_status

    run_status(**common)


@command.command(short_help="Show agents' logs.")
@nodes_options
@click.option("--lines", "-n", "n_lines", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--follow", "-f", "follows", is_flag=True, help="Goes on with what comes then; Ctrl-C ends it.")
def logs(*, n_lines: int, follows: bool, **common: Any) -> None:
    """Prints the newest lines of the agents' logs.

    \b
    Examples:
      splitfront nodes logs pi-1 --lines 200
      splitfront nodes logs pi-1 --follow
    """
    from coordinator.cli.nodes_run import run_logs

    run_logs(n_lines=n_lines, follows=follows, **common)


@command.command(short_help="Start agents anew.")
@nodes_options
@health_option
@dry_run_option
def restart(*, health_seconds: float, dry_run: bool, **common: Any) -> None:
    """Starts the agents of NODES anew and waits until they are healthy.

    \b
    Examples:
      splitfront nodes restart pi-1
    """
    from coordinator.cli.nodes_run import run_restart

    run_restart(health_seconds=health_seconds, dry_run=dry_run, **common)


@command.command(short_help="Slow the network of machines, by their kernels.")
@nodes_options
@click.option("--delay", help="Of what the machine sends, one way, as 20ms.")
@click.option("--jitter", help="Standard deviation of the delay, as 2ms.")
@click.option("--rate", help="As 50mbit.")
@click.option("--loss", help="As 0.1%.")
@click.option("--clear", "is_cleared", is_flag=True, help="Shapes no more.")
@click.option("--interface", help="[default: that of the default route]")
@click.option("--yes", "is_sure", is_flag=True, help="Also the interface that carries the SSH connection.")
@dry_run_option
def shape(**options: Any) -> None:
    """Delays, limits and loses what NODES send, by tc (netem, tbf); needs root there.

    The machine undoes it by itself within 20 seconds if the connection does not survive it.

    \b
    Examples:
      splitfront nodes shape pi-1 --delay 20ms --rate 50mbit --loss 0.1% --yes
      splitfront nodes shape --clear
    """
    from coordinator.cli.nodes_run import run_shape

    run_shape(**options)


@command.command(short_help="Leave machines as they were.")
@nodes_options
@dry_run_option
def uninstall(*, dry_run: bool, **common: Any) -> None:
    """Takes away all that an install made on NODES, shard stores included; what else lies in its folder stays.

    \b
    Examples:
      splitfront nodes uninstall --dry-run
      splitfront nodes uninstall pi-1
    """
    from coordinator.cli.nodes_run import run_uninstall

    run_uninstall(dry_run=dry_run, **common)


@command.command(short_help="Find what is wrong with machines, and say what helps.")
@nodes_options
@click.option("--all", "shows_all", is_flag=True, help="Also what is in order.")
@click.option("--no-links", is_flag=True, help="Leaves out round trips and rates between the machines.")
def doctor(*, shows_all: bool, no_links: bool, **common: Any) -> None:
    """Examines NODES: system, Python, disk, memory, clock, throttling, accelerators, ports, firewall, links.

    Speaks to their agents, too, as a run would, and says why one does not answer: to a run all refusals of TLS look
    like a dead node. Nodes without an ssh section are only spoken to.

    Each finding comes with what helps. The exit status is 1 where something stands in the way of a node.

    \b
    Examples:
      splitfront nodes doctor
      splitfront nodes doctor pi-1 --all --no-links
    """
    from coordinator.cli.nodes_run import run_doctor

    run_doctor(shows_all=shows_all, has_links=not no_links, **common)
