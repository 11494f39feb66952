"""What the commands of `splitfront nodes` share: connecting, working on all nodes at a time, showing what came out."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from coordinator.cli.nodes_view import (
    LiveTable,
    ask,
    failed_report,
    failed_state,
    findings_table,
    json_text,
    reports_table,
    states_table,
)
from coordinator.cli.terminal import Terminal
from coordinator.config import load_cluster
from coordinator.config.quantities import parse_bytes_per_second, parse_loss, parse_seconds
from coordinator.nodes import FleetAccess, asking_once, hosts_of, remote_nodes, speak_to_agents
from coordinator.profile_cache import default_cache_file
from deploy import operations
from deploy.apply import describe_step
from deploy.doctor.examination import examine, examine_links
from deploy.doctor.findings import PROBLEM, Finding, worst_first
from deploy.errors import DeployError, HostUnreachableError
from deploy.identity import Signer
from deploy.inventory import Host
from deploy.operations import NodeState, Planned, Report
from deploy.pki.folder import KEY
from deploy.planning.shaping import Shape
from deploy.planning.suitability import Platform
from deploy.planning.wanted import Wheel
from deploy.runner import Runner
from deploy.ssh import HostKeyRules
from deploy.wheels import gather_wheels

Value = TypeVar("Value")
Say = Callable[[str], None]
Plan = Callable[[Runner, Host, Say], Planned]

_NO_SSH_REMEDY = "check that the machine is up and its SSH server runs, and the node's `address` and `ssh: port`"


@contextmanager
def _access(hosts: Sequence[Host], *, accept_new: bool) -> Iterator[tuple[FleetAccess, dict[str, DeployError]]]:
    """Connections to machines, and why some have none."""
    rules = HostKeyRules(known_hosts=Path.home() / ".ssh" / "known_hosts", accept_new=accept_new)
    with FleetAccess(hosts, rules, ask) as access:
        yield access, access.connect()


def _carry_out(plan: Plan, *, as_json: bool, **common: Any) -> None:
    """Plans for each node and does it, or says what would be done. Ends with status 1 where a node failed."""
    terminal = Terminal(as_json=as_json)
    reports = _reports(plan, terminal, as_json=as_json, **common)
    terminal.print_json_line(json_text("nodes", reports))
    _show_reports(terminal, reports)
    _exit_where(any(report.outcome == "failed" for report in reports))


def _reports(
    plan: Plan,
    terminal: Terminal,
    *,
    nodes: Sequence[str],
    cluster_file: Path,
    accept_new: bool,
    as_json: bool,
    dry_run: bool,
) -> list[Report]:
    with _access(hosts_of(load_cluster(cluster_file), nodes), accept_new=accept_new) as (access, unreached):
        table = LiveTable([host.name for host in access.hosts], Console(stderr=True))

        def work(runner: Runner, host: Host) -> Report:
            def say(words: str) -> None:
                table.say(host.name, words)

            say("looks at what is there")
            planned = plan(runner, host, say)
            if dry_run:
                if not as_json:
                    _say_steps(terminal, planned)
                return planned.describe()
            return planned.apply(runner, lambda step: say(step.description))

        with table.shown():
            done = access.on_each(work)
    return _in_order(access.hosts, {**unreached, **done}, failed_report)


def _show_reports(terminal: Terminal, reports: Sequence[Report]) -> None:
    terminal.show(reports_table(reports))
    _tell_failures(terminal, {report.node: report.message for report in reports if report.outcome == "failed"})


def _say_steps(terminal: Terminal, planned: Planned) -> None:
    lines = [f"{planned.node}:", *(describe_step(step) for step in planned.steps)]
    terminal.say("\n".join(lines if planned.steps else [f"{planned.node}: nothing to do"]))


def _in_order(
    hosts: Sequence[Host],
    results: dict[str, Value | DeployError],
    on_failure: Callable[[str, DeployError], Value],
) -> list[Value]:
    """Results in the order of the inventory; failures in the form of results."""
    found = ((host.name, results[host.name]) for host in hosts if host.name in results)
    return [on_failure(name, value) if isinstance(value, DeployError) else value for name, value in found]


def _tell_failures(terminal: Terminal, failures: dict[str, str]) -> None:
    """Each in one whole line, which a table would break."""
    for node, message in failures.items():
        terminal.say(f"{node}: {message}")


def _exit_where(has_failed: bool) -> None:
    if has_failed:
        raise click.exceptions.Exit(1)


def run_install(
    *, wheel: Path | None, health_seconds: float, only_upgrade: bool, cluster_file: Path, **common: object
) -> None:
    """`nodes install` and `nodes upgrade`."""
    cache = default_cache_file().parent / "wheels"
    signer = _signer(load_cluster(cluster_file).security.pki)

    def plan(runner: Runner, host: Host, say: Say) -> Planned:
        def wheels(platform: Platform) -> tuple[Wheel, ...]:
            say(f"gathers packages for {platform}")
            return gather_wheels(platform, cache, has_gpu=host.agent.has_gpu, own=wheel, is_fresh=only_upgrade)

        return operations.install(
            runner, host, wheels, signer, health_seconds=health_seconds, only_upgrade=only_upgrade
        )

    _carry_out(plan, cluster_file=cluster_file, **common)  # type: ignore[arg-type] # click's options


def _signer(pki: Path | None) -> Signer | None:
    """What makes certificates; None where the folder has the files of this end only, or there is none."""
    return Signer(pki, asking_once(ask)) if pki is not None and (pki / KEY).exists() else None


def hand_revocations(cluster_file: Path, revoked: bytes, *, as_json: bool, dry_run: bool) -> list[Report]:
    """Gives all nodes that are reached over SSH the list of revoked certificates; shown unless it is for a script."""
    terminal = Terminal(as_json=as_json)
    reports = _reports(
        lambda runner, host, _: operations.hand_revocations(runner, host, revoked),
        terminal,
        nodes=(),
        cluster_file=cluster_file,
        accept_new=False,
        as_json=as_json,
        dry_run=dry_run,
    )
    _show_reports(terminal, reports)
    return reports


def run_restart(*, health_seconds: float, **common: object) -> None:
    """`nodes restart`."""
    _carry_out(
        lambda runner, host, _: operations.restart(runner, host, health_seconds=health_seconds),
        **common,  # type: ignore[arg-type] # click's options
    )


def run_uninstall(**common: object) -> None:
    """`nodes uninstall`."""
    _carry_out(lambda runner, host, _: operations.uninstall(runner, host), **common)  # type: ignore[arg-type] # click's options


def run_shape(
    *,
    delay: str | None,
    jitter: str | None,
    rate: str | None,
    loss: str | None,
    is_cleared: bool,
    interface: str | None,
    is_sure: bool,
    **common: object,
) -> None:
    """`nodes shape`."""
    if is_cleared and (delay or jitter or rate or loss):
        raise click.UsageError("--clear takes all shaping away: leave out --delay, --jitter, --rate and --loss.")
    try:
        shape = Shape(
            delay_seconds=parse_seconds(delay or 0),
            jitter_seconds=parse_seconds(jitter or 0),
            bytes_per_second=parse_bytes_per_second(rate) if rate else 0.0,
            loss=parse_loss(loss or 0),
        )
    except ValueError as exc:
        raise click.UsageError(f"{exc}.") from exc
    wanted = None if is_cleared else shape
    _carry_out(
        lambda runner, host, _: operations.shape_host(runner, host, wanted, interface=interface, is_sure=is_sure),
        **common,  # type: ignore[arg-type] # click's options
    )


def run_status(*, nodes: Sequence[str], cluster_file: Path, accept_new: bool, as_json: bool) -> None:
    """`nodes status`."""
    terminal = Terminal(as_json=as_json)
    with _access(hosts_of(load_cluster(cluster_file), nodes), accept_new=accept_new) as (access, unreached):
        states: list[NodeState] = _in_order(
            access.hosts, {**unreached, **access.on_each(operations.state)}, failed_state
        )
    terminal.print_json_line(json_text("nodes", states))
    terminal.show(states_table(states))
    _tell_failures(terminal, {state.node: state.message for state in states if state.state == "failed"})
    _exit_where(any(state.state != "healthy" for state in states))


def run_logs(
    *, n_lines: int, follows: bool, nodes: Sequence[str], cluster_file: Path, accept_new: bool, as_json: bool
) -> None:
    """`nodes logs`: each line with its node in front where there are several."""
    terminal = Terminal(as_json=as_json)
    with _access(hosts_of(load_cluster(cluster_file), nodes), accept_new=accept_new) as (access, unreached):
        is_one = len(access.hosts) == 1

        def work(runner: Runner, host: Host) -> list[str]:
            kept = []
            for line in operations.log_lines(runner, host, n_lines=n_lines, follows=follows):
                if follows:
                    terminal.say(line if is_one else f"{host.name}: {line}")
                else:
                    kept.append(line)
            return kept

        logs = {**unreached, **access.on_each(work)}
    for name, lines in logs.items():
        if isinstance(lines, DeployError):
            terminal.say(f"{name}: {lines}")
        else:
            for line in lines:
                terminal.say(line if is_one else f"{name}: {line}")
    texts = {name: str(lines) if isinstance(lines, DeployError) else lines for name, lines in logs.items()}
    terminal.print_json_line(json.dumps(texts, indent=2))
    _exit_where(any(isinstance(lines, DeployError) for lines in logs.values()))


def run_doctor(
    *,
    shows_all: bool,
    has_links: bool,
    nodes: Sequence[str],
    cluster_file: Path,
    accept_new: bool,
    as_json: bool,
) -> None:
    """`nodes doctor`: over SSH where it may, and to the agents of all nodes as a run would speak to them."""
    terminal, config = Terminal(as_json=as_json), load_cluster(cluster_file)
    remote = remote_nodes(config, nodes)
    managed = [node.name for node in remote if node.ssh]
    with _access(hosts_of(config, managed) if managed else (), accept_new=accept_new) as (access, unreached):
        findings: list[Finding] = []
        installed: set[str] = set()
        for name, result in {**unreached, **access.on_each(examine)}.items():
            if isinstance(result, DeployError):
                remedy = _NO_SSH_REMEDY if isinstance(result, HostUnreachableError) else ""
                findings.append(Finding(node=name, about="SSH", level=PROBLEM, message=str(result), remedy=remedy))
            else:
                findings += result.findings
                installed |= {name} if result.is_installed else set()
        findings += speak_to_agents(config, remote, bare={*managed} - installed)
        if has_links:
            reached = [(access.runner(host.name), host) for host in access.hosts if host.name not in unreached]
            findings += examine_links(reached)
    shown = worst_first(finding for finding in findings if shows_all or not finding.is_good)
    terminal.print_json_line(json_text("findings", shown))
    if shown:
        terminal.show(findings_table(shown))
    else:
        terminal.say(f"{len(remote)} nodes are in order.")
    _exit_where(any(finding.level == PROBLEM for finding in findings))
