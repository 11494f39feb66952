"""Slowing a real interface by the kernel: netem for delay and loss, tbf for the rate. Pure texts.

Ours carry a handle of their own, so that a discipline that somebody else set up is never taken for one of ours.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote

from deploy.errors import DeployError
from deploy.facts.machine import Machine
from deploy.facts.network import Network
from deploy.steps import Step

_HANDLE = "5f1a:"
_CHILD = "5f1b:"
_CONFIRM_SECONDS = 20
_FLAG = "/run/splitfront-shaping"
_LATENCY_MILLISECONDS = 400
_MIN_BURST_BYTES = 4096
_CLOCK_HERTZ = 100
_NO_DISCIPLINE = (
    "the kernel has no netem or no tbf: install its extra modules (linux-modules-extra), or have the agents wait "
    "instead of the kernel: `emulated: true` with delay, rate and loss at its links in the cluster file"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How an interface is to send."""

    delay_seconds: float = 0.0
    jitter_seconds: float = 0.0
    bytes_per_second: float = 0.0
    """0: as fast as it can."""
    loss: float = 0.0
    """Probability."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Queueing disciplines that the kernel must have."""
        has_netem = self.delay_seconds or self.jitter_seconds or self.loss
        return (*(("netem",) if has_netem else ()), *(("tbf",) if self.bytes_per_second else ()))


def shaped_interfaces(qdiscs: Iterable[str]) -> tuple[str, ...]:
    """Interfaces that we have shaped, of the lines of `tc qdisc show`."""
    found = (re.match(rf"qdisc \w+ {_HANDLE} dev (\S+) root", line) for line in qdiscs)
    return tuple(match[1] for match in found if match)


def clear_command(interface: str) -> str:
    """Takes our disciplines off an interface, and disarms what would do it later."""
    return f"rm -f {_flag(interface)}; tc qdisc del dev {quote(interface)} root handle {_HANDLE}"


def shape_command(interface: str, shape: Shape) -> str:
    """Puts disciplines on an interface: netem outside, so that the rate is that of the packets that are left."""
    device = quote(interface)
    netem = [f"delay {shape.delay_seconds * 1e6:.0f}us {shape.jitter_seconds * 1e6:.0f}us"]
    netem += [f"loss {shape.loss * 100:g}%"] if shape.loss else []
    netem += ["limit 100000"]
    tbf = (
        f"tbf rate {shape.bytes_per_second * 8:.0f}bit burst {_burst(shape.bytes_per_second)} "
        f"latency {_LATENCY_MILLISECONDS}ms"
    )
    parents = {"netem": f"netem {' '.join(netem)}", "tbf": tbf}
    root, *child = [parents[kind] for kind in shape.needs]
    commands = [f"tc qdisc replace dev {device} root handle {_HANDLE} {root}"]
    commands += [f"tc qdisc replace dev {device} parent {_HANDLE} handle {_CHILD} {inner}" for inner in child]
    return "\n".join(commands)


def _burst(bytes_per_second: float) -> int:
    """Bytes that may pass at once: what comes in a tick of the slowest clock that kernels have, of 100 Hz."""
    return max(_MIN_BURST_BYTES, round(bytes_per_second / _CLOCK_HERTZ))


def _flag(interface: str) -> str:
    return quote(f"{_FLAG}.{interface}")


def plan_shaping(interface: str, shape: Shape | None, network: Network) -> tuple[Step, ...]:
    """Steps that shape an interface, or with None undo that.

    A timer on the machine is armed first. It undoes all unless the last step, which needs the connection to have
    survived, disarms it.
    """
    is_shaped = interface in shaped_interfaces(network.qdiscs)
    if shape is None:
        clear = Step(
            name="clear",
            description=f"Shape {interface} no more",
            command=clear_command(interface),
            as_root=True,
            is_locked=False,
        )
        return (clear,) if is_shaped else ()
    flag, clear_text = _flag(interface), f"tc qdisc del dev {quote(interface)} root handle {_HANDLE}"
    timer = f"sleep {_CONFIRM_SECONDS}; [ -e {flag} ] && rm -f {flag} && {clear_text}"
    again = f"tc qdisc del dev {quote(interface)} root handle {_HANDLE} 2>/dev/null || true\n" if is_shaped else ""
    return (
        Step(
            name="timer",
            description=f"Undo the shaping by itself after {_CONFIRM_SECONDS} s, unless it is confirmed",
            command=f"touch {flag}; setsid sh -c {quote(timer)} </dev/null >/dev/null 2>&1 &",
            undo=f"rm -f {flag}",
            as_root=True,
            is_locked=False,
        ),
        Step(
            name="shape",
            description=f"Shape {interface}",
            command=again + _told(shape_command(interface, shape), clear_text),
            undo=clear_text,
            as_root=True,
            is_locked=False,
        ),
        Step(
            name="confirm",
            description="Keep it: the connection has survived",
            command=f"rm {flag}",
            as_root=True,
            is_locked=False,
        ),
    )


def _told(commands: str, clear: str) -> str:
    """`commands`, all or none of them; where the kernel lacks a discipline, with what can be done about that."""
    joined = " && ".join(commands.splitlines())
    return (
        f"if ! said=$({{ {joined}; }} 2>&1); then\n"
        f"{clear} 2>/dev/null || true\n"
        f"case $said in *'kind is unknown'*) said={quote(_NO_DISCIPLINE)};; esac\n"
        "printf '%s\\n' \"$said\" >&2; exit 1\n"
        "fi"
    )


def check_shaping(interface: str, shape: Shape | None, machine: Machine, network: Network, *, is_sure: bool) -> None:
    """Raises `DeployError` with what is missing, or where it would be rash."""
    known = {item.name: item for item in network.interfaces}
    problem = ""
    if interface not in known:
        problem = f"there is no interface {interface!r}: there are {', '.join(sorted(known))}"
    elif "tc" not in machine.tools:
        problem = "there is no tc: install iproute2"
    elif not machine.may_become_root:
        problem = f"shaping needs root, and '{machine.login}' has no sudo: emulate links in the data plane instead"
    elif shape is not None and not shape.needs:
        problem = "nothing is to be shaped: say --delay, --rate, --loss, or --clear"
    elif shape is not None and interface == network.ssh_interface and not is_sure:
        problem = f"{interface} also carries this SSH connection: say --yes to shape it nevertheless"
    if problem:
        raise DeployError(f"Cannot shape: {problem}.")
