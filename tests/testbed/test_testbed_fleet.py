"""Bare hosts become a fleet that computes over a slow network, and are left as they were."""

import contextlib
import json
import socket
import time
from itertools import pairwise, permutations

import pytest
from e2e_commands import splitfront
from host_state import unlike

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(540)]

INSTALL_SECONDS = 60.0
"""From a bare host to a healthy agent, but for sending the packages."""
DELAY_SECONDS = 0.02
BYTES_PER_SECOND = 50e6 / 8
SENT_BYTES = 12_000_000


def round_trip_seconds(address: str) -> float:
    """The least of several connections that are refused: the kernels see to them alone, and cores may be busy."""
    trips = []
    for _ in range(21):
        with socket.socket() as trial:
            began = time.perf_counter()
            with contextlib.suppress(ConnectionRefusedError):
                trial.connect((address, 9))
            trips.append(time.perf_counter() - began)
    return min(trips)


def bytes_per_second(bed, name: str) -> float:
    """At which a host sends."""
    with bed.runner(name) as runner:
        runner.run("true")
        began = time.perf_counter()
        n_bytes = len(runner.run(f"head -c {SENT_BYTES} /dev/zero").stdout)
        return n_bytes / (time.perf_counter() - began)


def only_links_of_a_line(names: list[str]) -> str:
    """What a cluster file says so that only those links are probed that a plan over all nodes in their order uses."""
    ends = ["client", *names, "client"]
    used = set(pairwise(ends))
    unused = [(one, other) for one, other in permutations(["client", *names], 2) if (one, other) not in used]
    lines = (f"    - {{from: {one}, to: {other}, both: false, forbidden: true}}\n" for one, other in unused)
    return f"links:\n  between:\n{''.join(lines)}"


def install(bed) -> dict[str, dict[str, float]]:
    """Installs bare hosts; seconds of each step on each of them."""
    report = bed.json("install")["nodes"]
    assert {node["outcome"] for node in report} == {"changed"}
    return {node["node"]: {step["name"]: step["seconds"] for step in node["steps"]} for node in report}


def test_bare_hosts_become_a_fleet_on_a_slow_network_and_are_left_as_they_were(bed, tmp_path) -> None:
    before = bed.listings()

    bed.tell("boot", bed.testbed.boot_seconds)
    bed.tell("install, step by step", install(bed))
    with bed.timed("status"):
        states = bed.json("status")["nodes"]
    assert [(state["state"], state["service"]) for state in states] == [("healthy", "supervisor")] * 3
    with bed.timed("second install"):
        again = bed.json("install")["nodes"]
    assert {node["outcome"] for node in again} == {"unchanged"}
    assert all("nothing to do" in node["message"] for node in again)

    hosts = bed.testbed.hosts
    bed.tell("round trips as they are", [round_trip_seconds(host.address) for host in hosts])
    with bed.timed("shape"):
        assert set(bed.outcomes("shape", "--delay", "20ms", "--rate", "50mbit", "--yes").values()) == {"changed"}
    rate = bytes_per_second(bed, bed.names[0])
    bed.tell("rate when shaped, as SSH sees it, Mbit/s", rate * 8 / 1e6)
    assert rate <= BYTES_PER_SECOND * 1.05
    trips = [round_trip_seconds(host.address) for host in hosts]
    bed.tell("round trips when shaped", trips)
    assert trips == pytest.approx([DELAY_SECONDS] * 3, rel=0.1)

    folder, line = tmp_path / "run", bed.cluster.with_name("line.yaml")
    line.write_text(bed.cluster.read_text() + only_links_of_a_line(bed.names))
    with bed.timed("run"):
        done = splitfront(
            *("run", "mobilenet_v2", "--cluster", line, "--out", folder),
            # The least memory on the fullest host: by a plan over all three.
            *("--objectives", "latency,memory", "--choose", "memory"),
            *("--profile-seconds", 1, "--correct-seconds", 0, "--bench-seconds", 1),
            timeout=400,
        )
    assert done.returncode == 0, done.stderr + bed.call("logs")
    measurement = json.loads((folder / "measurement.json").read_text())
    latency_seconds = measurement["latency_seconds"]["p50"]["value"]
    stages = [stage["device"] for stage in measurement["plan"]["stages"]]
    bed.tell("run over", stages)
    bed.tell("latency p50", latency_seconds)
    bed.tell("largest relative error", measurement["max_relative_error"])
    assert set(stages) == set(bed.names)
    assert latency_seconds >= len(stages) * DELAY_SECONDS, "each host delays what it sends"
    assert measurement["n_requests"] > 0
    assert measurement["n_errors"] == 0
    assert measurement["max_relative_error"] <= 1e-5

    with bed.timed("uninstall"):
        assert set(bed.outcomes("uninstall").values()) == {"changed"}
    assert unlike(before, bed.listings()) == ""


@pytest.mark.slow
def test_a_bare_host_is_installed_within_a_minute(bed) -> None:
    """Holds where nothing else runs on the machine that has the hosts."""
    seconds_of = install(bed)
    bed.outcomes("uninstall")
    for name, steps in seconds_of.items():
        assert sum(steps.values()) - steps["send"] <= INSTALL_SECONDS, (name, steps)
