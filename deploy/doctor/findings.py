"""From facts about a machine to findings with remedies. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deploy.facts.conditions import Conditions
from deploy.facts.installed import Installed
from deploy.facts.machine import Machine
from deploy.facts.network import Network
from deploy.inventory import Host
from deploy.layout import Layout
from deploy.planning.shaping import shaped_interfaces
from deploy.planning.suitability import NEEDED_BYTES, choose_python, unsuitable_reasons

GOOD, WARNING, PROBLEM = "good", "warning", "problem"
_LEVELS = (PROBLEM, WARNING, GOOD)

_LITTLE_MEMORY_BYTES = 256 << 20
_HOT_CELSIUS = 80.0
_CLOCK_SECONDS = 60
"""Certificates allow for a few minutes; a minute is worth a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a node."""

    node: str
    about: str
    level: str
    """`good`, `warning` (figures or comfort suffer) or `problem` (it cannot be a node as it is)."""
    message: str
    remedy: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing is to be done."""
        return self.level == GOOD


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the doctor looks at."""

    host: Host
    machine: Machine
    conditions: Conditions
    network: Network
    installed: Installed
    layout: Layout
    clock_seconds: float
    """How far the machine's clock is ahead of ours."""
    providers: tuple[str, ...]
    """Execution providers of the installed runtime; empty where none is installed."""


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Problems, then warnings, then what is in order; of each in the order that they came."""
    return tuple(sorted(findings, key=lambda finding: _LEVELS.index(finding.level)))


def findings_of(facts: Facts) -> tuple[Finding, ...]:
    """All findings about one machine."""
    rules = (_system, _privilege, _disk, _memory, _clock, _throttling, _governor, _accelerators, _port, _qdiscs)
    return tuple(
        Finding(node=facts.host.name, about=about, level=level, message=message, remedy=remedy)
        for rule in rules
        for about, level, message, remedy in rule(facts)
    )


Row = tuple[str, str, str, str]
"""(about, level, message, remedy)."""


def _system(facts: Facts) -> Iterator[Row]:
    machine = facts.machine
    reasons = unsuitable_reasons(machine, facts.host)
    for reason in reasons:
        message, _, remedy = reason.partition(": ")
        yield "system", PROBLEM, message, remedy
    if not reasons:
        python, platform = choose_python(machine, facts.host)
        words = f"{machine.board or machine.system or 'Linux'}, {platform.machine}, {python.path}"
        yield "system", GOOD, f"{words} ({python.version[0]}.{python.version[1]})", ""


def _privilege(facts: Facts) -> Iterator[Row]:
    machine, layout = facts.machine, facts.layout
    if not layout.is_system:
        remedy = "give the login sudo for a service that comes up with the machine, or install again after a start"
        yield "service", WARNING, "runs in the login user's home and does not come up with the machine", remedy
    elif not layout.has_systemd:
        remedy = "let the container's start command run `splitfront nodes restart`, or the agent itself"
        yield (
            "service",
            WARNING,
            "there is no systemd: our supervisor keeps the agent up, until the machine ends",
            remedy,
        )
    else:
        yield "service", GOOD, f"systemd {machine.systemd}", ""


def _disk(facts: Facts) -> Iterator[Row]:
    places = {"/opt", "/var"} if facts.layout.is_system else {facts.machine.home}
    for folder, free in facts.machine.free_bytes.items():
        if folder not in places:
            continue
        words = f"{free / 2**30:.1f} GiB are free below {folder}"
        if free < NEEDED_BYTES and not facts.installed.current:
            yield "disk", PROBLEM, words, f"free {NEEDED_BYTES / 2**20:.0f} MiB: packages and two releases need them"
        elif free < NEEDED_BYTES:
            yield "disk", WARNING, words, "an upgrade or a large model may not fit: free some"
        else:
            yield "disk", GOOD, words, ""


def _memory(facts: Facts) -> Iterator[Row]:
    available, total = facts.machine.available_bytes, facts.machine.memory_bytes
    words = f"{available / 2**20:.0f} of {total / 2**20:.0f} MiB are available"
    if available < _LITTLE_MEMORY_BYTES:
        yield "memory", WARNING, words, "end what else runs there (a desktop: `sudo systemctl set-default multi-user`)"
    else:
        yield "memory", GOOD, words, ""
    limit = facts.host.agent.memory_bytes
    if limit and limit > total:
        remedy = "lower memory: in the cluster file, or plans will not fit"
        yield (
            "memory",
            WARNING,
            f"the cluster file gives it {limit / 2**20:.0f} MiB, it has {total / 2**20:.0f}",
            remedy,
        )


def _clock(facts: Facts) -> Iterator[Row]:
    ahead = facts.clock_seconds
    words = f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    if abs(ahead) > _CLOCK_SECONDS:
        remedy = "set it (`sudo timedatectl set-ntp true`): certificates look expired or not yet valid otherwise"
        yield "clock", PROBLEM if facts.host.agent.tls.is_mutual else WARNING, words, remedy
    elif facts.conditions.is_synchronised is False:
        yield "clock", WARNING, "follows no time server", "`sudo timedatectl set-ntp true`"
    else:
        yield "clock", GOOD, "right to within a minute", ""


def _throttling(facts: Facts) -> Iterator[Row]:
    conditions = facts.conditions
    now, before = conditions.throttled_now, conditions.throttled_since_boot
    remedy = (
        "use the power supply that belongs to it and cool it (a heat sink, a fan); figures taken now are not its own"
    )
    if now:
        yield "throttling", WARNING, f"at this moment {' and '.join(now)}", remedy
    if past := [words for words in before if words not in now]:
        yield "throttling", WARNING, f"since its start, at some time {' and '.join(past)}", remedy
    hot = [f"{name} {celsius:.0f} °C" for name, celsius in conditions.temperatures if celsius >= _HOT_CELSIUS]
    if hot:
        yield "temperature", WARNING, ", ".join(hot), "cool it: most processors slow down at 80 to 90 °C"
    if not now and not before and not hot:
        highest = max((celsius for _, celsius in conditions.temperatures), default=None)
        yield "throttling", GOOD, "none" if highest is None else f"none, {highest:.0f} °C at most", ""


def _governor(facts: Facts) -> Iterator[Row]:
    slow = facts.conditions.governors - {"performance", "schedutil"}
    if slow:
        remedy = "for steady times: `echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor`"
        yield (
            "governor",
            WARNING,
            f"clocks are governed by {', '.join(sorted(slow))}: short stages start slowly",
            remedy,
        )
    n_cores, load = facts.machine.n_cores or 1, facts.conditions.load
    if load is not None and load > n_cores:
        words = f"{load:g} processes want to run on {n_cores} cores"
        yield "load", WARNING, words, "end what else runs there: stage times are not its own"


def _accelerators(facts: Facts) -> Iterator[Row]:
    host, providers = facts.host, facts.providers
    if any("nvidia" in device for device in facts.conditions.devices) and not host.agent.has_gpu:
        remedy = "write `gpu: true` into its ssh section and `providers: [CUDAExecutionProvider, CPUExecutionProvider]`"
        yield "providers", WARNING, "it has an NVIDIA card that is not used", remedy
    missing = [name for name in host.agent.providers if providers and name not in providers]
    if missing:
        remedy = "correct providers: in the cluster file, or install the runtime that has them (gpu: true for CUDA)"
        yield "providers", PROBLEM, f"its runtime lacks {', '.join(missing)}; it has {', '.join(providers)}", remedy
    elif providers:
        yield "providers", GOOD, ", ".join(providers), ""


def _port(facts: Facts) -> Iterator[Row]:
    host, network = facts.host, facts.network
    port = host.agent.port
    if port in network.listening and not facts.installed.is_active:
        remedy = f"`ss -ltnp 'sport = :{port}'` there says who: end it, or choose another port"
        yield "ports", PROBLEM, f"port {port} is taken by another program", remedy
    elif facts.installed.is_active and port not in network.listening:
        yield "ports", PROBLEM, f"the agent does not listen on port {port}", "`splitfront nodes logs` says why"
    else:
        yield "ports", GOOD, f"{port} is {'the agent' if facts.installed.is_active else 'free'}", ""
    if network.firewalls and not host.agent.is_loopback:
        ports = f"{port}" if not host.agent.tcp_port else f"{port} and {host.agent.tcp_port}"
        command = f"sudo ufw allow {port}/tcp" if "ufw" in network.firewalls else f"open TCP port {ports}"
        yield "firewall", WARNING, f"{', '.join(network.firewalls)} is active", f"let the cluster in: {command}"
    elif not host.agent.is_loopback:
        yield "firewall", GOOD, "none was seen", ""


def _qdiscs(facts: Facts) -> Iterator[Row]:
    shaped = shaped_interfaces(facts.network.qdiscs)
    if shaped:
        yield "shaping", WARNING, f"{', '.join(shaped)} is shaped by `nodes shape`", "`splitfront nodes shape --clear`"
    missing = sorted({"netem", "tbf"} - facts.network.shaping_kinds)
    if "tc" not in facts.machine.tools:
        yield "shaping", WARNING, "`nodes shape` would not work: there is no tc", "install iproute2"
    elif missing:
        remedy = (
            "only for `nodes shape`: install the kernel's extra modules (linux-modules-extra), or say emulated: true "
            "at its links"
        )
        yield "shaping", WARNING, f"the kernel may lack {' and '.join(missing)}", remedy
    else:
        yield "shaping", GOOD, "netem and tbf are there", ""
