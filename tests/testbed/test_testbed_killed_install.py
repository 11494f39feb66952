"""An install that is killed at any moment is finished by running it again."""

import random
import signal
import subprocess
import sys
import time

import pytest
from fake_release import fake_wheel
from host_state import unlike

pytestmark = [pytest.mark.testbed, pytest.mark.slow, pytest.mark.timeout(1500)]

N_KILLS = 10
PAYLOAD_BYTES = 20_000_000
"""In the package, so that it is sent and unpacked for about as long as real ones in relation to all else."""


def test_a_killed_install_is_finished_by_running_it_again(bed, tmp_path) -> None:
    wheel = fake_wheel(tmp_path, "1.0", payload=random.Random(5).randbytes(PAYLOAD_BYTES))
    words = [sys.executable, "-m", "coordinator", "nodes", "install", "--wheel", wheel, "--cluster", bed.cluster]
    before = bed.listings()
    began = time.monotonic()
    bed.call("install", "--wheel", wheel)
    whole_seconds = time.monotonic() - began
    bed.call("uninstall")

    chance = random.Random(7)
    for part in range(N_KILLS):  # a moment in each tenth, so that all steps are met
        moment = (part + chance.random()) / N_KILLS * whole_seconds
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        reached = process.communicate()[0].decode().strip().splitlines()
        bed.tell(f"killed after {moment:.1f} of {whole_seconds:.1f} s", reached[-1:])
        bed.call("install", "--wheel", wheel)
        assert set(bed.outcomes("install", "--wheel", wheel).values()) == {"unchanged"}
        bed.call("uninstall")
        assert unlike(before, bed.listings()) == ""
