import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy import supervisor
from deploy.supervisor import Log, pause_after

PROGRAM = Path(supervisor.__file__)


def test_pauses_double_up_to_a_minute() -> None:
    assert [pause_after(n) for n in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert pause_after(7) == pause_after(10_000) == 60


def test_a_log_gives_way_to_a_new_one_and_one_old_one_is_kept(tmp_path) -> None:
    log = Log(tmp_path / "log", limit=100)
    for number in range(50):
        log.write(f"line {number:04}\n".encode())
    log.close()
    assert (tmp_path / "log").stat().st_size <= 100
    assert (tmp_path / "log.1").stat().st_size <= 100
    assert (tmp_path / "log").read_text().endswith("line 0049\n")
    assert {path.name for path in tmp_path.iterdir()} == {"log", "log.1"}


def test_words_that_a_full_disk_does_not_take_are_lost_and_later_ones_are_not(tmp_path) -> None:
    (tmp_path / "log").symlink_to("/dev/full")
    log = Log(tmp_path / "log", limit=100)
    log.write(b"lost\n")
    (tmp_path / "log").unlink()
    log.write(b"x" * 101)  # begins a new file
    log.write(b"kept\n")
    log.close()
    assert (tmp_path / "log").read_text().endswith("kept\n")


@pytest.fixture
def kept(tmp_path):
    """Calls the supervisor's program; nothing is left running."""

    def call(verb: str) -> dict[str, str]:
        words = [sys.executable, "-ESs", str(PROGRAM), verb, str(tmp_path / "settings.json")]
        run = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
        return dict(line.split() for line in run.stdout.splitlines())

    def settings(program: str) -> None:
        content = {
            "command": [sys.executable, "-uc", program],
            "folder": str(tmp_path),
            "working_folder": str(tmp_path),
            "user": None,
            "environment": {},
        }
        (tmp_path / "settings.json").write_text(json.dumps(content))

    call.settings = settings
    call.log = tmp_path / "agent.log"
    settings("")
    yield call
    call("stop")
    assert call("status") == {"active": "inactive"}


STAYS = "import sys; print('begins'); sys.stdin.buffer.read(); print('ends')"


def until(holds) -> None:
    ends_at = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_keeps_one_agent_up_and_ends_it(kept) -> None:
    kept.settings(STAYS)
    kept("start")
    until(lambda: kept("status").get("active") == "active")
    pid = int(kept("status")["pid"])
    kept("start")
    assert int(kept("status")["pid"]) == pid, "a second start changes nothing"
    kept("stop")
    assert not is_alive(pid)


def test_a_look_does_not_keep_an_agent_from_being_started(kept, tmp_path) -> None:
    kept.settings(STAYS)
    look = supervisor.open_pid_file({"folder": str(tmp_path)})
    assert supervisor.is_free(look)
    kept("start")
    until(lambda: kept("status").get("active") == "active")
    assert not supervisor.is_free(look)
    os.close(look)


def test_a_process_that_a_supervisor_long_gone_had_named_is_not_signalled(kept, tmp_path) -> None:
    with subprocess.Popen([sys.executable, "-c", STAYS], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as bystander:
        (tmp_path / "agent.pid").write_text(f"{bystander.pid} {bystander.pid} 0\n")
        look = supervisor.open_pid_file({"folder": str(tmp_path)})
        assert supervisor.is_free(look)
        kept("stop")
        assert bystander.poll() is None
        assert supervisor.take(look)
        assert supervisor.numbers(look) == (0, 0, 0)
        os.close(look)


def test_an_agent_whose_words_a_full_disk_does_not_take_stays_up(kept) -> None:
    kept.log.symlink_to("/dev/full")
    kept.settings(f"print('x' * 200_000); {STAYS}")
    kept("start")
    until(lambda: kept("status").get("active") == "active")
    pid = int(kept("status")["pid"])
    os.kill(pid, signal.SIGKILL)
    until(lambda: int(kept("status").get("pid", 0)) not in (0, pid))
    assert int(kept("status")["restarts"]) == 1


def test_an_agent_that_dies_is_started_again(kept) -> None:
    kept.settings(STAYS)
    kept("start")
    until(lambda: kept("status").get("active") == "active")
    pid = int(kept("status")["pid"])
    os.kill(pid, signal.SIGKILL)
    until(lambda: kept("status").get("active") == "active" and int(kept("status")["pid"]) != pid)
    assert int(kept("status")["restarts"]) == 1
    assert "ended with status -9; again in 1 s" in kept.log.read_text()


def test_an_agent_ends_with_a_supervisor_that_is_killed_and_another_one_can_be_started(kept, tmp_path) -> None:
    kept.settings(STAYS)
    kept("start")
    until(lambda: kept("status").get("active") == "active")
    watcher, agent, _ = map(int, (tmp_path / "agent.pid").read_text().split())
    os.kill(watcher, signal.SIGKILL)
    until(lambda: not is_alive(agent))
    assert kept("status") == {"active": "inactive"}
    kept("start")
    until(lambda: kept("status").get("active") == "active")


def test_a_command_that_cannot_be_started_is_told_in_the_log(kept, tmp_path) -> None:
    content = json.loads((tmp_path / "settings.json").read_text())
    content["command"] = [str(tmp_path / "missing")]
    (tmp_path / "settings.json").write_text(json.dumps(content))
    kept("start")
    until(lambda: kept.log.exists() and "cannot be started" in kept.log.read_text())
    assert kept("status")["active"] == "waiting"
