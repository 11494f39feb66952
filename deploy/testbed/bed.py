"""A testbed: hosts on this machine, on a network that exists for them only."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import NoTestbedError
from deploy.testbed.commands import run_command, run_ip
from deploy.testbed.machine import Machine, TestbedHost, make_key, tap_of
from deploy.testbed.needs import missing_needs
from deploy.testbed.place import Place, taken_place

MOST_HOSTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Testbed:
    """Hosts that are up."""

    __test__ = False  # not a test, whatever pytest makes of its name

    hosts: tuple[TestbedHost, ...]
    key: Path
    """With which root logs in."""
    boot_seconds: float
    """From the start of the first kernel until every SSH server answered."""


@contextmanager
def running_testbed(n_hosts: int) -> Iterator[Testbed]:
    """Hosts `host-1` to `host-N`, freshly booted. They and all that belongs to them are gone at the end.

    Raises:
        NoTestbedError: They cannot be had on this machine; says why.
    """
    missing = missing_needs()
    if missing:
        raise NoTestbedError(f"There can be no testbed here: {'; '.join(missing)}.")
    with taken_place() as place, ExitStack() as stack:
        _connect(place, n_hosts)
        key = place.folder / "key"
        make_key(key)
        began = time.monotonic()
        machines = []
        for index in range(n_hosts):
            machines.append(Machine(f"host-{index + 1}", index, place, key))
            stack.callback(machines[-1].end)
        for machine in machines:
            machine.wait_until_up()
        yield Testbed(hosts=tuple(machine.host for machine in machines), key=key, boot_seconds=time.monotonic() - began)


def _connect(place: Place, n_hosts: int) -> None:
    """A bridge in a namespace of its own, a cable from there to this machine, and the hosts' ends of theirs."""
    run_command("ip", "netns", "add", place.namespace)
    run_ip(
        [
            f"link add {place.interface} type veth peer name uplink netns {place.namespace}",
            f"address add {place.own_address}/{place.network.prefixlen} dev {place.interface}",
            # A host's network driver has room for packets of the usual size only, not for those that are cut later.
            f"link set {place.interface} gso_max_segs 1 up",
        ]
    )
    taps = [tap_of(index) for index in range(n_hosts)]
    run_ip(
        [
            "link add bridge type bridge",
            *(f"tuntap add dev {tap} mode tap" for tap in taps),
            *(f"link set {name} master bridge" for name in ("uplink", *taps)),
            *(f"link set {name} up" for name in ("lo", "bridge", "uplink", *taps)),
        ],
        namespace=place.namespace,
    )
