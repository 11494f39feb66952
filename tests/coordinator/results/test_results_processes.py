"""Stores that several processes write to, and those whose writers are killed."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from store_writer import N_SAMPLES, SWEEP

from coordinator.errors import ResultStoreError
from coordinator.results.store import open_store

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def start_writer(url, owner, lease_seconds):
    """Its lines on standard output are what it was told to be kept."""
    command = [sys.executable, HERE / "store_writer.py", url, owner, str(lease_seconds)]
    return subprocess.Popen(
        command, env={"PYTHONPATH": str(ROOT), "PATH": ""}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stored(url):
    """(case key, repeat) of each run that is there, with all its samples, in the order of the sweep."""
    with open_store(url, is_made=False) as store:
        runs = store.runs(SWEEP.name, with_samples=True)
    assert all(run.state == "done" and len(run.samples) == N_SAMPLES for run in runs)
    return [(run.case_key, run.repeat) for run in runs]


def test_coordinators_share_a_sweep_out_and_lose_nothing(store_url):
    writers = [start_writer(store_url, f"owner-{number}", 600) for number in range(3)]
    said = [writer.communicate(timeout=90) for writer in writers]
    assert [(writer.returncode, errors) for writer, (_, errors) in zip(writers, said, strict=True)] == [(0, "")] * 3
    lines = [line for out, _ in said for line in out.splitlines()]
    assert sorted(lines) == sorted(f"{key} {repeat}" for key, repeat in SWEEP.order), "each by one of them, and once"
    assert stored(store_url) == list(SWEEP.order)


@pytest.mark.parametrize("n_kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_kill_loses_nothing_that_was_recorded(tmp_path, n_kills):
    url, rng = str(tmp_path / "results.sqlite"), random.Random(11)
    told = set()
    for number in range(n_kills):
        writer = start_writer(url, f"owner-{number}", 0)
        with writer:
            # It goes on while we read, so that the kill comes at any moment of what follows.
            for _ in range(rng.randint(1, 60 // n_kills - 1)):
                key, repeat = writer.stdout.readline().split()
                told.add((key, int(repeat)))
            writer.kill()
            told |= {(key, int(repeat)) for key, repeat in map(str.split, writer.stdout.read().splitlines())}
        there = stored(url)
        assert len(there) == len(set(there))
        assert told <= set(there)
        assert len(there) <= len(told) + number + 1, "what was recorded, and not yet told when the kill came"
    out, errors = start_writer(url, "last", 600).communicate(timeout=90)
    assert errors == ""
    assert stored(url) == list(SWEEP.order)
    assert len(out.splitlines()) == len(SWEEP.order) - len(there)


def test_a_server_that_nobody_runs_is_told_in_one_line():
    with pytest.raises(ResultStoreError) as caught:
        open_store("postgresql://me:secret@127.0.0.1:1/results?password=hidden")
    assert "postgresql+psycopg://me:***@127.0.0.1:1/results cannot be used" in str(caught.value)
    assert [word for word in ("secret", "hidden", "\n") if word in str(caught.value)] == []
