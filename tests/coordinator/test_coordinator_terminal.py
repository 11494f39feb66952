"""What becomes of a command when nobody reads what it prints."""

import subprocess
import sys

import pytest

A_THREAD_PRINTS = """
import sys, threading, time
from coordinator.cli.terminal import Terminal

terminal = Terminal(as_json={as_json})

def work():
    sys.stdin.readline()
    terminal.say("one")
    terminal.print_json_line("1")

threading.excepthook = lambda _: None
try:
    threading.Thread(target=work, daemon=True).start()
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit("taken off")
"""


@pytest.mark.parametrize("as_json", [False, True])
def test_a_command_whose_output_nobody_reads_ends_in_order_though_a_thread_printed(as_json):
    code = A_THREAD_PRINTS.format(as_json=as_json)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command:
        command.stdout.close()
        command.stdin.write("go\n")
        command.stdin.close()
        err = command.stderr.read()
        assert command.wait(60) == 1, err
    assert "taken off" in err
    assert "BrokenPipeError" not in err
