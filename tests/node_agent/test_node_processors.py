import json
import os
import subprocess
import sys
import threading

import pytest
from node_processes import ROOT
from system_tree import write_system

from node_agent.config import cores_text, parse_cores
from node_agent.errors import AgentConfigError
from node_agent.host import processors

CPU0 = "sys/devices/system/cpu/cpu0/cpufreq"


@pytest.mark.parametrize(
    ("text", "cores", "written"),
    [
        ("0", (0,), "0"),
        ("0,2-3", (0, 2, 3), "0,2-3"),
        (" 3 , 1-2,2 ", (1, 2, 3), "1-3"),
        ("7,5,6,1", (1, 5, 6, 7), "1,5-7"),
        ("4-4", (4,), "4"),
    ],
)
def test_cores_are_read_and_written(text, cores, written):
    assert parse_cores(text) == cores
    assert cores_text(cores) == written
    assert parse_cores(written) == cores


@pytest.mark.parametrize("text", ["", ",", "a", "1-", "-1", "3-2", "0;1", "1.5", "0,,1", "4096", "0-99999", "²"])
def test_what_names_no_cores_says_what_does(text):
    with pytest.raises(AgentConfigError, match=r"names no cores: want numbers and ranges such as 0,2-3"):
        parse_cores(text)


def test_threads_follow_cores_and_quota():
    assert processors.default_threads((0, 1, 5), 0.0) == 3
    assert processors.default_threads((0, 1, 5), 0.4) == 1
    assert processors.default_threads((0, 1, 5), 1.5) == 2
    assert processors.default_threads((0, 1, 5), 8.0) == 3


def test_a_governor_is_named_where_there_is_one(tmp_path):
    assert processors.governor(0, tmp_path) == ""
    write_system(tmp_path, {f"{CPU0}/scaling_governor": "schedutil"})
    assert processors.governor(0, tmp_path) == "schedutil"


@pytest.mark.parametrize(
    ("governor", "driver", "is_held"),
    [
        ("powersave", "acpi-cpufreq", True),
        ("powersave", "intel_pstate", False),
        ("powersave", "amd-pstate-epp", False),
        ("performance", "acpi-cpufreq", False),
        ("ondemand", "cpufreq-dt", False),
    ],
)
def test_powersave_holds_a_core_slow_unless_the_processor_governs_itself(tmp_path, governor, driver, is_held):
    write_system(tmp_path, {f"{CPU0}/scaling_governor": governor, f"{CPU0}/scaling_driver": driver})
    assert processors.is_held_slow(0, tmp_path) is is_held


def test_existing_cores_are_those_that_are_on(tmp_path):
    write_system(tmp_path, {"sys/devices/system/cpu/online": "0-2,5"})
    assert processors.existing_cores(tmp_path) == (0, 1, 2, 5)
    assert set(processors.usable_cores()) <= set(processors.existing_cores())


def test_cores_that_do_not_exist_are_named_beside_those_that_do():
    before = processors.usable_cores()
    with pytest.raises(AgentConfigError, match=r"This machine has cores 0.*, but not 2222-2223: choose"):
        processors.confine_to((before[0], 2222, 2223))
    assert processors.usable_cores() == before


CONFINED = """
import json, os, sys, threading
from node_agent.host import processors
started, done = threading.Event(), threading.Event()
def wait():
    started.set()
    done.wait()
threading.Thread(target=wait).start()
started.wait()
processors.confine_to((int(sys.argv[1]),))
later = threading.Thread(target=done.wait)
later.start()
print(json.dumps([sorted(os.sched_getaffinity(int(thread))) for thread in os.listdir("/proc/self/task")]))
done.set()
"""


def test_all_threads_are_confined_those_before_and_those_after():
    """In a process of its own: the mask of this one is the test runner's."""
    core = processors.existing_cores()[0]
    command = [sys.executable, "-c", CONFINED, str(core)]
    masks = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert len(masks) >= 3
    assert all(mask == [core] for mask in masks)
    assert threading.active_count() >= 1
    assert len(os.sched_getaffinity(0)) == processors.n_cores()
