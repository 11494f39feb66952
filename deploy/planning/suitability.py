"""Whether a machine can be a node, and with which Python and which packages. Pure."""

from dataclasses import dataclass

from deploy.errors import UnsuitableHostError
from deploy.facts.machine import Interpreter, Machine
from deploy.inventory import Host

OLDEST_PYTHON = (3, 11)
OLDEST_GLIBC = (2, 28)
"""That onnxruntime's packages are built for."""
MACHINES = ("aarch64", "x86_64")
NEEDED_BYTES = 600 << 20
"""On the disk: packages, two releases."""

_MACHINE_REASONS = {
    "armv7l": "armv7l is 32-bit, for which onnxruntime, numpy and grpcio publish no packages: install a 64-bit system "
    "(on a Raspberry Pi 3 or newer: the 64-bit Raspberry Pi OS)",
    "armv6l": "armv6l (Raspberry Pi 1 and Zero) is 32-bit and cannot run a 64-bit system: take a Zero 2, a 3 or newer",
    "i686": "i686 is 32-bit: install a 64-bit system",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What packages must be built for."""

    machine: str
    glibc: tuple[int, int]
    python: tuple[int, int]

    @property
    def tags(self) -> tuple[str, ...]:
        """Platform tags that fit, best first. Those of before 2014 have names of their own."""
        newest = min(self.glibc[1], 60)
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in range(newest, 16, -1)]
        return (*tags, f"manylinux2014_{self.machine}", f"linux_{self.machine}")

    def __str__(self) -> str:
        return f"{self.machine}-glibc{self.glibc[0]}.{self.glibc[1]}-cp{self.python[0]}{self.python[1]}"


def unsuitable_reasons(machine: Machine, host: Host) -> tuple[str, ...]:
    """Why a machine cannot be a node, each with its remedy; nothing where it can."""
    reasons = []
    if machine.kernel != "Linux":
        reasons.append(f"it runs {machine.kernel or 'an unknown system'}: only Linux can be installed over SSH")
    if machine.machine not in MACHINES:
        reasons.append(
            _MACHINE_REASONS.get(
                machine.machine, f"there are no packages for {machine.machine}: want aarch64 or x86_64"
            )
        )
    elif machine.bits == 32:
        reasons.append(f"its programs are 32-bit under a 64-bit kernel ({machine.machine}): install a 64-bit system")
    if machine.is_musl and machine.glibc is None:
        reasons.append(
            "its C library is musl (as in Alpine), for which onnxruntime publishes no packages: take Debian, Ubuntu, "
            "Raspberry Pi OS, or a container made from one of them"
        )
    elif machine.glibc is not None and machine.glibc < OLDEST_GLIBC:
        reasons.append(f"its C library is glibc {_dotted(machine.glibc)}, packages want 2.28: install a newer system")
    if (
        not machine.is_musl
        and machine.machine in MACHINES
        and machine.bits != 32
        and not fitting_pythons(machine, host)
    ):
        reasons.append(_python_reason(machine, host))
    if host.scope == "system" and not machine.may_become_root:
        reasons.append(f"'{machine.login}' cannot become root there: log in as root, install sudo, or use scope: user")
    return tuple(reasons)


def _python_reason(machine: Machine, host: Host) -> str:
    if host.python:
        return f"there is no usable Python 3.11 or newer at {host.python}: correct python: in the inventory"
    found = ", ".join(_dotted(python.version) for python in machine.pythons)
    return (
        f"it has {f'Python {found}' if found else 'no Python'}, a node needs 3.11 or newer: install one (Debian 12 and "
        "Ubuntu 24.04 have it) and name it with python: in the inventory if it is not in the PATH"
    )


def fitting_pythons(machine: Machine, host: Host) -> list[Interpreter]:
    """Interpreters that a node can run on, oldest first: packages for the newest Python come last."""
    return sorted(
        python
        for python in machine.pythons
        if python.version >= OLDEST_PYTHON
        and python.implementation == "cpython"
        and python.bits == 64
        and host.python in (None, python.path)
    )


def choose_python(machine: Machine, host: Host) -> tuple[Interpreter, Platform]:
    """The Python that a node runs on, and what its packages must be built for: the system's own, if it fits.

    Raises:
        UnsuitableHostError: The machine cannot be a node.
    """
    reasons = unsuitable_reasons(machine, host)
    if reasons:
        raise UnsuitableHostError(host.name, reasons)
    python = fitting_pythons(machine, host)[0]
    platform = Platform(machine=machine.machine, glibc=machine.glibc or OLDEST_GLIBC, python=python.version)
    return python, platform


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
