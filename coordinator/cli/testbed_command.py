"""`splitfront testbed`."""

from pathlib import Path

import click


@click.group(short_help="Hosts on this machine to try `splitfront nodes` on.")
def command() -> None:
    """Makes hosts on this machine, each with a Linux kernel, files, network and SSH server of its own.

    They behave like machines that were just set up, so that all of `splitfront nodes` can be tried and tested on them;
    what they compute is right, how fast they are says nothing about real machines.
    """


@command.command(short_help="Boot hosts, and end them with Ctrl-C.")
@click.option("--nodes", "n_hosts", type=click.IntRange(min=1, max=16), default=3, show_default=True)
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("testbed"),
    show_default=True,
    help="Folder for the cluster file, the key for SSH and the authority; they go with the hosts.",
)
def up(*, n_hosts: int, folder: Path) -> None:
    """Boots hosts, writes a cluster file for them, and stays until Ctrl-C ends them.

    Needs root and some packages of Debian, which `make testbed` installs. The hosts are in a network namespace and
    known to this machine only. Nothing of them is left behind; what a killed run left is removed by the next one.

    \b
    Examples:
      splitfront testbed up --nodes 3

    \b
    Then, on another terminal, as root:
      splitfront nodes install --cluster testbed/cluster.yaml
    """
    import signal

    from coordinator.cli.terminal import Terminal
    from coordinator.nodes.testbed_files import testbed_files
    from deploy.testbed import running_testbed

    terminal = Terminal()
    try:
        with running_testbed(n_hosts) as testbed, testbed_files(testbed, folder) as cluster:
            names = ", ".join(f"{host.name} ({host.address})" for host in testbed.hosts)
            terminal.say(
                f"Up after {testbed.boot_seconds:.1f} s: {names}. On another terminal, as root:\n"
                f"  splitfront nodes install --cluster {cluster}\n"
                f"  splitfront run mobilenet_v2 --cluster {cluster}\n"
                f"  splitfront nodes shape --delay 20ms --rate 50mbit --yes --cluster {cluster}\n"
                f"  ssh -i {folder / 'key'} root@{testbed.hosts[0].address}\n"
                "Ctrl-C ends them."
            )
            signal.pause()
    except KeyboardInterrupt:
        terminal.say("The hosts are gone.")
