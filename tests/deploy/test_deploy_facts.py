import os
from pathlib import Path

import pytest
import recordings
from deploy_builders import NOTHING, host, system_layout

from deploy.errors import UnsuitableHostError
from deploy.facts.conditions import CONDITIONS, parse_conditions
from deploy.facts.fact import gather
from deploy.facts.installed import installed_fact, parse_installed
from deploy.facts.machine import MACHINE, parse_machine
from deploy.facts.network import NETWORK, parse_network
from deploy.planning.suitability import Platform, choose_python, unsuitable_reasons
from deploy.runner import LocalRunner

PARSERS = [parse_machine, parse_conditions, parse_network, parse_installed]


def test_a_raspberry_pi() -> None:
    machine = parse_machine(recordings.PI_OS)
    assert machine.board == "Raspberry Pi 4 Model B Rev 1.4"
    assert (machine.glibc, machine.systemd, machine.bits) == ((2, 36), 252, 64)
    assert machine.may_become_root
    assert machine.free_bytes["/opt"] == 24117248 * 1024
    python, platform = choose_python(machine, host())
    assert python.version == (3, 11)
    assert str(platform) == "aarch64-glibc2.36-cp311"


@pytest.mark.parametrize(
    ("recording", "words"),
    [
        (recordings.PI_OS_32_BIT, ["32-bit under a 64-bit kernel"]),
        (recordings.PI_OS_ARMV7, ["armv7l is 32-bit", "64-bit Raspberry Pi OS"]),
        (recordings.UBUNTU_22, ["Python 3.10", "3.11 or newer"]),
        (recordings.ALPINE, ["musl"]),
        (recordings.PI_OS.replace("aarch64", "riscv64"), ["no packages for riscv64"]),
        (recordings.PI_OS.replace("2.36", "2.27"), ["glibc 2.27"]),
        (recordings.PI_OS.replace("Linux\nmachine", "Darwin\nmachine"), ["Darwin"]),
        ("", ["unknown system"]),
    ],
)
def test_machines_that_cannot_be_nodes_are_refused_with_each_reason(recording, words) -> None:
    with pytest.raises(UnsuitableHostError) as caught:
        choose_python(parse_machine(recording), host())
    assert all(word in str(caught.value) for word in words)


def test_debian_as_root_without_systemd_can_be_a_node() -> None:
    machine = parse_machine(recordings.DEBIAN)
    assert machine.systemd is None
    assert unsuitable_reasons(machine, host(scope="system")) == ()


def test_a_system_install_without_root_is_refused() -> None:
    machine = parse_machine(recordings.PI_OS.replace("sudo free\n", ""))
    assert "cannot become root" in unsuitable_reasons(machine, host(scope="system"))[0]
    assert unsuitable_reasons(machine, host(scope="user")) == ()


def test_the_systems_own_python_is_taken_unless_the_inventory_names_one() -> None:
    machine = parse_machine(recordings.PI_OS + "python /opt/py/bin/python3.13 3.13 cpython 64\n")
    assert choose_python(machine, host())[0].version == (3, 11)
    assert choose_python(machine, host(python="/opt/py/bin/python3.13"))[0].version == (3, 13)
    assert "correct python:" in unsuitable_reasons(machine, host(python="/no/python"))[0]


def test_platform_tags_go_from_the_newest_that_fits_to_the_oldest() -> None:
    tags = Platform(machine="aarch64", glibc=(2, 31), python=(3, 12)).tags
    assert tags[0] == "manylinux_2_31_aarch64"
    assert "manylinux_2_28_aarch64" in tags
    assert "manylinux_2_32_aarch64" not in tags
    assert tags[-2:] == ("manylinux2014_aarch64", "linux_aarch64")


def test_a_throttled_pi() -> None:
    conditions = parse_conditions(recordings.PI_CONDITIONS)
    assert conditions.throttled_now == ("the supply voltage is too low", "it is throttled")
    assert conditions.throttled_since_boot == ("the supply voltage is too low", "it is throttled")
    assert conditions.temperatures == (("cpu-thermal", 84.2),)
    assert conditions.is_synchronised is False
    assert parse_conditions(recordings.CALM_CONDITIONS).throttled_now == ()


def test_a_network() -> None:
    network = parse_network(recordings.PI_NETWORK)
    assert network.ssh_interface == "eth0"
    assert network.default_interface == "eth0"
    assert network.listening == {22, 631}
    assert network.shaping_kinds == {"netem"}
    assert network.firewalls == ("ufw", "iptables")
    wireless = next(item for item in network.interfaces if item.name == "wlan0")
    assert wireless.is_wireless
    assert wireless.bytes_per_second is None


def test_an_installation() -> None:
    installed = parse_installed(recordings.INSTALLED)
    assert installed.confirmed_release == installed.current == "0.1.0-0123456789"
    assert installed.confirmed_address == "127.0.0.1:50051"
    assert (installed.pid, installed.n_restarts) == (812, 3)
    assert installed.tls_files == {"node.pem": "33cc", "ca.pem": "44dd", "revoked.pem": "55ee", "node.key": "secret"}
    assert installed.has_lasting_certificate
    assert installed.partial_releases == {"0.2.0-abcdef0123"}


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("text", ["", "\n\n", "rubbish", "\x00\xff", "sh: 1: not found\npid x\nmemory_kib\npython a b"])
def test_parsers_take_whatever_a_machine_says(parse, text) -> None:
    parse(text)


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("name", [name for name in vars(recordings) if name.isupper()])
def test_parsers_take_output_that_breaks_off_anywhere(parse, name) -> None:
    text = getattr(recordings, name)
    for end in range(0, len(text), 7):
        parse(text[:end])


def test_the_commands_work_on_this_machine_and_change_nothing(tmp_path) -> None:
    runner = LocalRunner({"HOME": str(tmp_path), "PATH": os.environ["PATH"]})
    machine = gather(runner, MACHINE)
    assert (machine.kernel, machine.uid, machine.home) == ("Linux", os.getuid(), str(tmp_path))
    assert machine.memory_bytes > machine.available_bytes > 0
    assert gather(runner, NETWORK).interfaces
    gather(runner, CONDITIONS)
    layout = system_layout(has_systemd=False)
    if not any(Path(folder).exists() for folder in (layout.root, layout.state, layout.logs)):
        assert gather(runner, installed_fact(layout)) == NOTHING
    assert [*tmp_path.iterdir()] == []
