"""Where on this machine a testbed is: a number, and by that its folder, namespace, interface and addresses.

A place is taken as long as somebody holds the lock of its folder, so that what a killed process left behind can be told
from a testbed that is in use.
"""

import contextlib
import fcntl
import ipaddress
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import NoTestbedError
from deploy.testbed.commands import run_command, run_ip

_ROOT = Path("/run/splitfront-testbed")
_MOST_PLACES = 16
_KILL_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One of the places that testbeds can have on a machine."""

    number: int

    @property
    def folder(self) -> Path:
        """What the hosts are made from, and their logs."""
        return _ROOT / str(self.number)

    @property
    def namespace(self) -> str:
        """Network namespace in which the hosts are."""
        return f"splitfront-{self.number}"

    @property
    def interface(self) -> str:
        """This machine's way to the hosts."""
        return f"splitfront{self.number}"

    @property
    def network(self) -> ipaddress.IPv4Network:
        """Addresses of the hosts, known to this machine alone."""
        return ipaddress.IPv4Network(f"10.83.{100 + self.number}.0/24")

    @property
    def own_address(self) -> str:
        """This machine's address among the hosts."""
        return str(self.network[1])

    def host_address(self, index: int) -> str:
        """Address of a host, counted from 0."""
        return str(self.network[11 + index])


@contextmanager
def taken_place() -> Iterator[Place]:
    """A free place, cleared of what was left there; cleared again at the end.

    Raises:
        NoTestbedError: All are taken.
    """
    remove_leftovers()
    for place in map(_place, range(_MOST_PLACES)):
        with _held(place) as is_held:
            if is_held and not _is_network_used(place):
                clear(place)
                place.folder.mkdir(mode=0o700, exist_ok=True)
                try:
                    yield place
                finally:
                    clear(place)
                    _forget(place)
                return
            if is_held:
                _forget(place)
    raise NoTestbedError(f"All {_MOST_PLACES} places for testbeds are taken: end one of them.")


def remove_leftovers() -> None:
    """Clears the places of testbeds whose processes are gone."""
    for folder in _ROOT.glob("[0-9]*"):
        place = _place(int(folder.name))
        with _held(place) as is_held:
            if is_held:
                clear(place)
                _forget(place)


def clear(place: Place) -> None:
    """Ends all processes of a place and takes its network away, as far as they are there.

    Raises:
        NoTestbedError: A process does not end.
    """
    if place.namespace in run_command("ip", "netns", "list").split():
        _end_processes(place.namespace)
        run_command("ip", "netns", "delete", place.namespace)
    if Path("/sys/class/net", place.interface).exists():
        run_ip([f"link delete {place.interface}"])
    for path in place.folder.glob("*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _place(number: int) -> Place:
    return Place(number=number)


def _forget(place: Place) -> None:
    with contextlib.suppress(OSError):
        place.folder.rmdir()
        _ROOT.rmdir()


@contextmanager
def _held(place: Place) -> Iterator[bool]:
    """Whether the lock of a place could be taken; it goes with the process."""
    place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield _is_locked(lock) and _is_there(place, lock)
    finally:
        os.close(lock)


def _is_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_there(place: Place, lock: int) -> bool:
    """Whether the folder is still the one that was locked: whoever had it before may have taken it away meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return place.folder.stat().st_ino == os.fstat(lock).st_ino
    return False


def _is_network_used(place: Place) -> bool:
    """Whether this machine sends some of the addresses elsewhere."""
    routes = json.loads(run_command("ip", "-4", "-json", "route", "show", "table", "all") or "[]")
    known = (ipaddress.ip_network(route["dst"]) for route in routes if route["dst"] != "default")
    return any(place.network.overlaps(network) for network in known if isinstance(network, ipaddress.IPv4Network))


def _end_processes(namespace: str) -> None:
    ends_at = time.monotonic() + _KILL_SECONDS
    while pids := run_command("ip", "netns", "pids", namespace).split():
        if time.monotonic() > ends_at:
            raise NoTestbedError(f"Processes {', '.join(pids)} of the testbed '{namespace}' do not end.")
        for pid in map(int, pids):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
