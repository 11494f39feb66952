"""Examining machines: gathers the facts, and measures the links between them."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from shlex import quote

from deploy.doctor.findings import GOOD, PROBLEM, Facts, Finding, findings_of
from deploy.doctor.links import parse_link, sink_command, source_command
from deploy.errors import DeployError
from deploy.facts.conditions import CONDITIONS
from deploy.facts.fact import Fact, gather
from deploy.facts.machine import MACHINE
from deploy.facts.network import NETWORK
from deploy.inventory import Host
from deploy.operations import Survey, survey
from deploy.runner import Runner

_PROVIDERS = "import onnxruntime; print('\\n'.join(onnxruntime.get_available_providers()))"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found about one machine."""

    findings: tuple[Finding, ...]
    is_installed: bool
    """Whether an agent was installed there."""


def examine(runner: Runner, host: Host) -> Examination:
    """Gathers the facts about one machine, and judges them.

    Raises:
        HostUnreachableError: The connection broke.
    """
    found = survey(runner, host)
    asked_at = time.time()
    clock = gather(runner, MACHINE).time_seconds - (asked_at + time.time()) / 2
    facts = Facts(
        host=host,
        machine=found.machine,
        conditions=gather(runner, CONDITIONS),
        network=gather(runner, NETWORK),
        installed=found.installed,
        layout=found.layout,
        clock_seconds=clock,
        providers=gather(runner, _providers_fact(found)),
    )
    return Examination(findings=findings_of(facts), is_installed=bool(found.installed.current))


def _providers_fact(found: Survey) -> Fact[tuple[str, ...]]:
    python = quote(f"{found.layout.current}/bin/python")
    command = f"[ -x {python} ] && {python} -IBc {quote(_PROVIDERS)} 2>/dev/null"
    return Fact(name="providers", command=command, parse=lambda text: tuple(text.split()))


def examine_links(nodes: Sequence[tuple[Runner, Host]]) -> Iterator[Finding]:
    """Round trip and rate of each way between two machines, one after another so that none disturbs another."""
    for (runner, host), (other_runner, other) in permutations(nodes, 2):
        try:
            yield _examine_link(runner, host, other_runner, other)
        except DeployError as exc:
            yield Finding(node=host.name, about=f"link to {other.name}", level=PROBLEM, message=str(exc))


def _examine_link(runner: Runner, host: Host, other_runner: Runner, other: Host) -> Finding:
    sink = other_runner.lines(sink_command(is_loopback=other.agent.is_loopback))
    port = next(sink, "").removeprefix("port ")
    asked = runner.run(source_command(other.address, int(port))) if port.isdecimal() else None
    figures = parse_link(asked.stdout) if asked else None
    for _ in sink:
        continue
    about = f"link to {other.name}"
    if figures is None:
        why = asked.last_words if asked else "nothing could listen there"
        remedy = f"check the address of {other.name}, its firewall, and whether both are on one network"
        message = f"{other.address} cannot be reached from there: {why}"
        return Finding(node=host.name, about=about, level=PROBLEM, message=message, remedy=remedy)
    trip, rate = figures.round_trip_seconds * 1e3, figures.bytes_per_second * 8 / 1e6
    return Finding(node=host.name, about=about, level=GOOD, message=f"round trip {trip:.2g} ms, {rate:.3g} Mbit/s")
