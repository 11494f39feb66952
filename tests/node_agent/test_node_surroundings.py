import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from system_tree import write_system

from node_agent.agent import Agent
from node_agent.config import AgentConfig
from node_agent.host import thermal
from node_agent.host.surroundings import (
    Surroundings,
    Watch,
    doubts,
    others_cores,
    parse_busy_seconds,
    parse_own_swap,
    parse_swapped_pages,
    read_surroundings,
)

QUIET = Surroundings(
    monotonic_seconds=10.0, busy_seconds=100.0, own_seconds=5.0, free_bytes=1 << 30, total_bytes=4 << 30
)
LATER = replace(QUIET, monotonic_seconds=20.0)

STAT = """\
cpu  900 0 90 9000 50 7 8 30 11 12
cpu0 500 20 30 4000 20 9 9 10 11 12
cpu1 300 0 50 5000 30 9 9 20 11 12
cpu10 7000 0 0 0 0 0 0 0 0 0
intr 16509877 0 0
"""


def test_nothing_is_said_of_a_quiet_machine():
    assert doubts(QUIET, QUIET, LATER) == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"free_bytes": 12 << 20}, "Only 12 MiB of memory are free."),
        ({"own_swap_bytes": (1 << 20) + 1}, "2 MiB of this node lie in swap."),
        ({"n_swapped_pages": 1}, "The machine is swapping."),
        ({"is_throttled": True}, "The processor is throttled by low voltage or heat."),
        (
            {"throttle_counts": {"cpu0/core_throttle_count": 4}},
            "Heat has throttled the processor since the node started.",
        ),
        ({"is_held_slow": True}, "The governor 'powersave' keeps the processor at its lowest frequency."),
        (
            {"busy_seconds": 110.0, "own_seconds": 7.5},
            "Other processes use 75 % of a core of those that this node runs on.",
        ),
    ],
)
def test_each_disturbance_has_its_sentence(changes, sentence):
    start = replace(QUIET, throttle_counts={"cpu0/core_throttle_count": 3})
    assert doubts(start, replace(start), replace(start, monotonic_seconds=20.0, **changes)) == (sentence,)


def test_what_this_process_uses_makes_no_neighbour():
    busy = replace(LATER, busy_seconds=120.0, own_seconds=25.0)
    assert others_cores(QUIET, busy) == 0
    assert doubts(QUIET, QUIET, busy) == ()
    a_little = replace(LATER, busy_seconds=101.9)
    assert others_cores(QUIET, a_little) == pytest.approx(0.19)
    assert doubts(QUIET, QUIET, a_little) == ()
    assert others_cores(QUIET, QUIET) == 0


def test_throttling_is_told_from_the_start_and_swapping_from_the_last_look():
    before = replace(QUIET, throttle_counts={"a": 4}, n_swapped_pages=7)
    start = replace(QUIET, throttle_counts={"a": 3}, n_swapped_pages=3)
    assert doubts(start, before, before) == ("Heat has throttled the processor since the node started.",)
    assert not thermal.has_risen({"a": 3}, {"a": 3, "b": 9})


def test_only_the_chosen_cores_count_and_neither_idling_nor_interrupts_nor_guests_twice():
    assert parse_busy_seconds(STAT, (0,), 100.0) == pytest.approx(5.6)
    assert parse_busy_seconds(STAT, (0, 1), 100.0) == pytest.approx(9.3)
    assert parse_busy_seconds(STAT, (9,), 100.0) == 0
    assert parse_busy_seconds("cpu0 1 2 3", (0,), 1.0) == 6


def test_swap_is_read():
    assert parse_own_swap("VmRSS:\t  10 kB\nVmSwap:\t    2048 kB\nThreads:\t1\n") == 2 << 20
    assert parse_own_swap("VmRSS:\t10 kB\n") == 0
    assert parse_swapped_pages("pgpgin 5\npswpin 3\npswpout 4\npswpin_other 9\n") == 7


def test_a_machine_is_read_as_it_is(tmp_path):
    system = write_system(
        tmp_path,
        {
            "proc/stat": STAT,
            "proc/self/status": "VmSwap:\t8 kB",
            "proc/vmstat": "pswpin 5",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "powersave",
            "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": 3,
            "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": 4,
            "sys/devices/platform/soc/soc:firmware/get_throttled": "50005",
        },
    )
    read = read_surroundings((1,), system)
    assert read.busy_seconds > 0
    assert (read.own_swap_bytes, read.n_swapped_pages) == (8 << 10, 5)
    assert (read.is_held_slow, read.is_throttled) == (True, True)
    assert read.throttle_counts == {"cpu1/core_throttle_count": 3}
    assert 0 < read.free_bytes < read.total_bytes
    assert read.own_seconds > 0


def test_what_a_system_does_not_tell_is_no_fault(tmp_path):
    read = read_surroundings((0,), tmp_path)
    assert (read.busy_seconds, read.own_swap_bytes, read.n_swapped_pages, read.throttle_counts) == (0, 0, 0, {})
    assert not read.is_throttled
    assert not read.is_held_slow


def test_a_real_neighbour_on_the_same_core_is_noticed():
    core = min(os.sched_getaffinity(0))
    program = f"import os; os.sched_setaffinity(0, {{{core}}}); print(1, flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as neighbour:
        try:
            neighbour.stdout.readline()
            watch = Watch()
            deadline = time.monotonic() + 20
            while not any(said.startswith("Other processes use ") for said in watch.doubts()):
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            neighbour.kill()


def test_an_agent_tells_all_that_its_machine_tells(tmp_path):
    core = min(os.sched_getaffinity(0))
    rapl = "sys/class/powercap/intel-rapl:0"
    system = write_system(
        tmp_path / "system",
        {
            f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor": "powersave",
            "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp",
            "sys/class/thermal/thermal_zone0/temp": 72000,
            "sys/devices/platform/soc/soc:firmware/get_throttled": "4",
            f"{rapl}/name": "package-0",
            f"{rapl}/energy_uj": 5_000_000,
            f"{rapl}/max_energy_range_uj": 9_000_000,
            "proc/self/cgroup": "0::/part",
            "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw",
            "sys/fs/cgroup/cgroup.controllers": "cpu",
            "sys/fs/cgroup/part/cpu.max": "2000 5000",
        },
    )
    agent = Agent(AgentConfig(name="n", store=tmp_path / "store", optimisation="basic"), system=system)
    write_system(system, {f"{rapl}/energy_uj": 1_000_000})
    described, status = agent.describe(), agent.status()
    agent.close()
    assert (described.governor, described.temperature_class, described.cpu_limit) == ("powersave", "warm", 0.4)
    assert (described.energy_meter, described.optimisation, described.slowdown) == ("rapl", "basic", 0.0)
    assert (status.temperature_celsius, status.joules) == (72.0, pytest.approx(5.0))
    assert "The processor is throttled by low voltage or heat." in status.warnings
    assert "The governor 'powersave' keeps the processor at its lowest frequency." in status.warnings
    assert not any("quota" in warning for warning in status.warnings)


def test_looking_again_at_once_says_the_same():
    watch = Watch()
    assert watch.doubts() == watch.doubts()


ZONES = "sys/class/thermal/thermal_zone"


def test_the_hottest_zone_of_the_processor_counts(tmp_path):
    zones = {"0": ("acpitz", 99000), "1": ("x86_pkg_temp", 45000), "2": ("cpu-thermal", 61500), "3": ("soc", -274000)}
    for number, (kind, temperature) in zones.items():
        write_system(tmp_path, {f"{ZONES}{number}/type": kind, f"{ZONES}{number}/temp": temperature})
    write_system(tmp_path, {f"{ZONES}4/type": "cpu", "sys/class/hwmon/hwmon0/name": "k10temp"})
    write_system(tmp_path, {"sys/class/hwmon/hwmon0/temp1_input": 90000})
    assert thermal.temperature_celsius(tmp_path) == 61.5


def test_sensors_serve_where_there_is_no_zone(tmp_path):
    files = {"name": "k10temp", "temp1_input": 55250, "temp2_input": "oops"}
    write_system(tmp_path, {f"sys/class/hwmon/hwmon2/{name}": content for name, content in files.items()})
    write_system(tmp_path, {"sys/class/hwmon/hwmon1/name": "nvme", "sys/class/hwmon/hwmon1/temp1_input": 70000})
    assert thermal.temperature_celsius(tmp_path) == 55.25
    assert thermal.temperature_celsius(tmp_path / "none") == 0


@pytest.mark.parametrize(
    ("celsius", "name"),
    [(0, ""), (20, "cool"), (59.9, "cool"), (60, "warm"), (79.9, "warm"), (80, "hot"), (105, "hot")],
)
def test_temperatures_have_classes(celsius, name):
    assert thermal.temperature_class(celsius) == name


@pytest.mark.parametrize(
    ("text", "is_throttled"), [("0", False), ("50000", False), ("1", True), ("8", True), ("", False)]
)
def test_a_pi_is_throttled_by_what_holds_now(tmp_path, text, is_throttled):
    write_system(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": text})
    assert thermal.is_throttled(tmp_path) is is_throttled
