import os
import re
import subprocess
from dataclasses import replace

import pytest
import recordings
from deploy_builders import host, machine

from deploy.apply import apply_steps
from deploy.errors import DeployError, StepFailedError
from deploy.facts.network import parse_network
from deploy.planning.shaping import Shape, check_shaping, plan_shaping, shape_command, shaped_interfaces
from deploy.runner import LocalRunner

NETWORK = parse_network(recordings.PI_NETWORK)
SLOW = Shape(delay_seconds=0.02, jitter_seconds=0.001, bytes_per_second=6.25e6, loss=0.001)


def test_delay_and_loss_are_netems_and_the_rate_is_tbfs() -> None:
    first, second = shape_command("eth0", SLOW).splitlines()
    assert first == ("tc qdisc replace dev eth0 root handle 5f1a: netem delay 20000us 1000us loss 0.1% limit 100000")
    assert second == (
        "tc qdisc replace dev eth0 parent 5f1a: handle 5f1b: tbf rate 50000000bit burst 62500 latency 400ms"
    )
    assert shape_command("eth0", Shape(bytes_per_second=1e6)).count("\n") == 0


def test_a_timer_is_armed_before_anything_is_changed_and_disarmed_last() -> None:
    timer, shape, confirm = plan_shaping("eth0", SLOW, NETWORK)
    assert [step.name for step in (timer, shape, confirm)] == ["timer", "shape", "confirm"]
    assert "tc qdisc del dev eth0 root handle 5f1a:" in timer.command
    assert all(step.as_root for step in (timer, shape, confirm))


def test_only_our_own_shaping_is_taken_away() -> None:
    assert shaped_interfaces(NETWORK.qdiscs) == ("wlan0",)
    assert plan_shaping("eth0", None, NETWORK) == ()
    (clear,) = plan_shaping("wlan0", None, NETWORK)
    assert "handle 5f1a:" in clear.command


@pytest.mark.parametrize(
    ("interface", "shape", "changes", "words"),
    [
        ("eth0", SLOW, {}, "carries this SSH connection"),
        ("eth7", SLOW, {}, "there is no interface 'eth7'"),
        ("wlan0", Shape(), {}, "nothing is to be shaped"),
        ("wlan0", SLOW, {"tools": frozenset()}, "install iproute2"),
        ("wlan0", SLOW, {"sudo": ""}, "needs root"),
    ],
)
def test_what_is_missing_or_rash_is_said(interface, shape, changes, words) -> None:
    with pytest.raises(DeployError, match=words):
        check_shaping(interface, shape, machine(**changes), NETWORK, is_sure=False)


def test_shaping_the_ssh_interface_needs_to_be_said() -> None:
    check_shaping("eth0", SLOW, machine(), NETWORK, is_sure=True)
    check_shaping("eth0", None, machine(), NETWORK, is_sure=False)
    assert host().name == "pi-1"


def test_a_kernel_that_lacks_netem_is_told_with_what_helps_and_nothing_stays(tmp_path) -> None:
    """By a `tc` that says what that of such a kernel says."""
    calls = tmp_path / "calls"
    (tmp_path / "tc").write_text(
        f'#!/bin/sh\necho "$*" >>{calls}\n'
        "case $* in *tbf*) echo 'Error: Specified qdisc kind is unknown.' >&2; exit 2;; esac\n"
    )
    (tmp_path / "tc").chmod(0o755)
    _, shape, _ = plan_shaping("eth0", SLOW, NETWORK)
    runner = LocalRunner({"PATH": f"{tmp_path}:/usr/bin:/bin"})
    with pytest.raises(StepFailedError, match=r"no netem or no tbf: .*`emulated: true`"):
        apply_steps([replace(shape, as_root=False)], runner, str(tmp_path / "lock"))
    netem, tbf, clear = calls.read_text().splitlines()
    assert "netem" in netem
    assert "tbf" in tbf
    assert clear == "qdisc del dev eth0 root handle 5f1a:"


@pytest.mark.testbed
@pytest.mark.skipif(os.getuid() != 0, reason="network namespaces need root")
def test_the_kernel_takes_the_commands_and_the_timer_undoes_them() -> None:
    """In a network namespace of its own; where the kernel lacks netem, the rate alone."""
    name = f"splitfront-{os.getpid()}"

    def inside(command: str) -> subprocess.CompletedProcess[str]:
        words = ["ip", "netns", "exec", name, "/bin/sh", "-ec", command]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)

    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("network namespaces cannot be made here")
    try:
        inside("ip link add name sfa type veth peer name sfb; ip link set sfa up; ip link set sfb up")
        shape = SLOW
        if "kind is unknown" in inside("tc qdisc add dev sfb root netem delay 1ms").stderr:
            assert "`emulated: true`" in inside(plan_shaping("sfa", SLOW, parse_network(""))[1].command).stderr
            shape = Shape(bytes_per_second=6.25e6)
        timer, apply, _ = plan_shaping("sfa", shape, parse_network(""))
        early = re.sub(r"sleep \d+", "sleep 0.2", timer.command)
        assert inside(f"{apply.command}\ntc qdisc show dev sfa").returncode == 0
        assert shaped_interfaces(inside("tc qdisc show").stdout.splitlines()) == ("sfa",)
        inside(f"{early} wait")
        assert shaped_interfaces(inside("tc qdisc show").stdout.splitlines()) == ()
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
