"""Memory of one message serves the next one."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from node_agent.host.allocator import keep_for_messages

if sys.argv[1] == "kept":
    keep_for_messages()

def n_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def handle():
    messages = [np.ones(600_000, np.uint8) for _ in range(8)]

for _ in range(3):
    handle()
before = n_faults()
for _ in range(50):
    handle()
print((n_faults() - before) / 50)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_a_process_that_keeps_memory_for_messages_asks_the_system_for_none():
    kept, left = (
        float(subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True).stdout)
        for how in ("kept", "left")
    )
    assert kept < 5
    assert left > 50  # else the C library has learned it, and this is to go
