"""What a machine is: system, processor, Python, memory, disk, and what the login may do there."""

import re
from dataclasses import dataclass

from deploy.facts.fact import Fact, KeyLines

_COMMAND = r"""
echo "kernel $(uname -s)"
echo "machine $(uname -m)"
echo "bits $(getconf LONG_BIT 2>/dev/null)"
echo "libc $(getconf GNU_LIBC_VERSION 2>/dev/null)"
ls /lib/ld-musl-* >/dev/null 2>&1 && echo "musl yes"
[ -r /etc/os-release ] && . /etc/os-release && echo "system $PRETTY_NAME"
[ -r /proc/device-tree/model ] && echo "board $(tr -d '\000' </proc/device-tree/model)"
echo "uid $(id -u)"
echo "login $(id -un)"
echo "home $HOME"
command -v sudo >/dev/null && { sudo -n true 2>/dev/null && echo "sudo free" || echo "sudo asks"; }
[ -d /run/systemd/system ] && echo "systemd $(systemctl --version 2>/dev/null | sed -n '1s/systemd \([0-9]*\).*/\1/p')"
for name in python3 python3.11 python3.12 python3.13 python3.14 $SPLITFRONT_PYTHON; do
  path=$(command -v "$name" 2>/dev/null) || continue
  "$path" -c 'import struct, sys; print("python", sys.executable, "%d.%d" % sys.version_info[:2], '\
'sys.implementation.name, struct.calcsize("P") * 8)' 2>/dev/null
done
echo "cores $(getconf _NPROCESSORS_ONLN 2>/dev/null)"
sed -n 's/^MemTotal: *\([0-9]*\) kB/memory_kib \1/p; s/^MemAvailable: *\([0-9]*\) kB/available_kib \1/p' /proc/meminfo
for folder in /opt /var "$HOME"; do
  [ -d "$folder" ] && df -Pk "$folder" 2>/dev/null | awk -v f="$folder" 'NR == 2 { print "disk", $4, f }'
done
echo "time $(date +%s)"
for tool in flock tc sha256sum; do command -v $tool >/dev/null && echo "tool $tool"; done
"""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Interpreter:
    """A Python of a machine."""

    version: tuple[int, int]
    path: str
    implementation: str
    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine as its login sees it."""

    kernel: str
    machine: str
    """As `uname -m` has it: that of the kernel, which may run 32-bit programs."""
    bits: int | None
    """Of the programs."""
    glibc: tuple[int, int] | None
    """None: another C library, or none that says so."""
    is_musl: bool
    system: str
    board: str
    uid: int
    login: str
    home: str
    sudo: str
    """`free` without a password, `asks` for one, or empty."""
    systemd: int | None
    """Version of the systemd that runs the machine; None: it does not."""
    pythons: tuple[Interpreter, ...]
    n_cores: int | None
    memory_bytes: int
    available_bytes: int
    free_bytes: dict[str, int]
    """On the disks of some folders."""
    time_seconds: int
    """Its clock, since 1970."""
    tools: frozenset[str]

    @property
    def may_become_root(self) -> bool:
        """Whether root can be had, perhaps by a password."""
        return self.uid == 0 or bool(self.sudo)


def parse_machine(text: str) -> Machine:
    """The machine that the output of the command describes."""
    lines = KeyLines.of(text)
    return Machine(
        kernel=lines.first("kernel"),
        machine=lines.first("machine"),
        bits=lines.number("bits"),
        glibc=_version(lines.first("libc").removeprefix("glibc ")),
        is_musl=bool(lines.first("musl")),
        system=lines.first("system"),
        board=lines.first("board"),
        uid=lines.number("uid") or 0,
        login=lines.first("login"),
        home=lines.first("home") or "/",
        sudo=lines.first("sudo"),
        systemd=lines.number("systemd"),
        pythons=tuple(sorted({found for text in lines.every("python") if (found := _interpreter(text))}, reverse=True)),
        n_cores=lines.number("cores"),
        memory_bytes=(lines.number("memory_kib") or 0) * 1024,
        available_bytes=(lines.number("available_kib") or 0) * 1024,
        free_bytes=dict(map(_disk, lines.every("disk"))),
        time_seconds=lines.number("time") or 0,
        tools=frozenset(lines.every("tool")),
    )


MACHINE = Fact(name="system", command=_COMMAND, parse=parse_machine)


def _version(text: str) -> tuple[int, int] | None:
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _interpreter(text: str) -> Interpreter | None:
    match = re.fullmatch(r"(/.*) (\d+)\.(\d+) (\w+) (\d+)", text)
    if match is None:
        return None
    return Interpreter(
        path=match[1], version=(int(match[2]), int(match[3])), implementation=match[4], bits=int(match[5])
    )


def _disk(text: str) -> tuple[str, int]:
    free, _, folder = text.partition(" ")
    return folder, int(free) * 1024 if free.isdecimal() else 0
