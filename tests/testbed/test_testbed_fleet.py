"""Bare hosts become a fleet that computes over a slow network, and are left as they were."""

import difflib
import json
import socket
import statistics
import time

import pytest

from coordinator.__main__ import run

pytestmark = [pytest.mark.testbed, pytest.mark.timeout(540)]

INSTALL_SECONDS = 60.0
DELAY_SECONDS = 0.02


def test_bare_hosts_become_a_fleet_on_a_slow_network_and_are_left_as_they_were(bed, tmp_path) -> None:
    before = bed.listings()

    began = time.monotonic()
    report = bed.json("install")
    took = time.monotonic() - began
    assert {node["outcome"] for node in report["nodes"]} == {"changed"}
    for node in report["nodes"]:
        print(node["node"], {step["name"]: step["seconds"] for step in node["steps"]})
    print("install took", took)
    assert {node["state"] for node in bed.json("status")["nodes"]} == {"healthy"}
    began = time.monotonic()
    again = bed.json("install")
    print("again", time.monotonic() - began)
    assert all("nothing to do" in node["message"] for node in again["nodes"])
    bed.call("uninstall")
    after = bed.listings()
    for name in bed.names:
        print("\n".join(difflib.unified_diff(before[name].splitlines(), after[name].splitlines(), lineterm="", n=0)))
    assert before == after
    run_it(bed, tmp_path)


def run_it(bed, tmp_path):
    bed.call("install")
    def trip(host):
        trips = []
        for _ in range(20):
            began = time.perf_counter()
            with socket.create_connection((host.address, 22)):
                trips.append(time.perf_counter() - began)
        return statistics.median(trips)
    print("trips", [trip(h) for h in bed.testbed.hosts])
    b = time.monotonic(); bed.call("shape", "--delay", "20ms", "--rate", "50mbit", "--yes"); print("shape", time.monotonic() - b)
    print("trips", [trip(h) for h in bed.testbed.hosts])
    b = time.monotonic(); print(bed.call("doctor", "--all", status=0)); print("doctor", time.monotonic() - b)
    bed.capture.readouterr()
    b = time.monotonic()
    got = run(["run", "mobilenet_v2", "--cluster", str(bed.cluster), "--out", str(tmp_path / "run"), "--profile-seconds", "5", "--correct-seconds", "0", "--bench-seconds", "1"])
    print("run", got, time.monotonic() - b, "".join(bed.capture.readouterr())[-6000:])
    b = time.monotonic(); bed.call("uninstall"); print("uninstall", time.monotonic() - b)
    after = bed.listings()
    assert 0
