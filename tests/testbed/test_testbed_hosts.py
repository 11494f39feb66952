"""The testbed itself: hosts are bare and of their own, and nothing outlives them."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.errors import NoTestbedError
from deploy.testbed import missing_needs, running_testbed

pytestmark = [
    pytest.mark.testbed,
    pytest.mark.skipif(bool(missing_needs()), reason=f"there can be no testbed here: {'; '.join(missing_needs())}"),
]


def traces() -> dict[str, list[str]]:
    """Of testbeds on this machine: processes, namespaces, interfaces, folders."""
    processes = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return {
        "processes": sorted(
            " ".join(words) for words in processes if any(word.startswith("uml_dir=") for word in words)
        ),
        "namespaces": sorted(path.name for path in Path("/run/netns").glob("splitfront-*")),
        "interfaces": sorted(path.name for path in Path("/sys/class/net").glob("splitfront*")),
        "folders": sorted(map(str, Path("/run/splitfront-testbed").glob("*"))),
    }


class Up:
    """`splitfront testbed up` at work."""

    def __init__(self, folder: Path, n_hosts: int) -> None:
        words = [sys.executable, "-m", "coordinator", "testbed", "up", "--nodes", str(n_hosts), "--out", str(folder)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = ""

    def until(self, words: str) -> None:
        while words not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.said += self.process.communicate(timeout=60)[0]
        return self.process.returncode


def test_up_says_how_to_use_the_hosts_and_ctrl_c_takes_all_away(tmp_path) -> None:
    before = traces()
    up = Up(tmp_path / "testbed", 2)
    up.until("Ctrl-C ends them")
    assert "splitfront nodes install --cluster" in up.said
    login = next(line for line in up.said.splitlines() if line.strip().startswith("ssh "))
    known = tmp_path / "known_hosts"
    options = ["-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=accept-new"]
    program, *words = login.split()
    done = subprocess.run(
        [program, *options, *words, "hostname; uname -r; ls /work /opt"], capture_output=True, text=True, check=False
    )
    assert done.stdout.split()[0] == "host-1"
    assert done.stdout.split()[1] != os.uname().release
    assert "No such file" in done.stderr, "what lies on this machine cannot be seen there"
    assert up.end(signal.SIGINT) == 0, up.said
    assert not (tmp_path / "testbed").exists()
    assert traces() == before


def test_what_a_killed_testbed_left_is_removed_by_the_next_one(tmp_path) -> None:
    before = traces()
    up = Up(tmp_path / "testbed", 1)
    up.until("Ctrl-C ends them")
    with running_testbed(1):
        assert up.process.poll() is None, "one that is in use is left alone"
        assert len(traces()["namespaces"]) == len(before["namespaces"]) + 2
    up.end(signal.SIGKILL)
    assert traces() != before
    again = Up(tmp_path / "testbed", 1)
    again.until("Ctrl-C ends them")
    assert len(traces()["namespaces"]) == len(before["namespaces"]) + 1
    assert again.end(signal.SIGTERM) == 0, again.said
    assert traces() == before


def test_nothing_is_left_when_a_host_does_not_come_up(monkeypatch) -> None:
    before = traces()
    monkeypatch.setattr("deploy.testbed.machine.MEMORY_MEBIBYTES", 1)
    with pytest.raises(NoTestbedError, match="host-1"), running_testbed(1):
        pass
    assert traces() == before
