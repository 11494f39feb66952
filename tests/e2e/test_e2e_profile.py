"""`splitfront profile` with real processes: what was timed is kept, whatever ends the command."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest
from e2e_commands import splitfront

N_SEGMENTS = re.compile(r"(\d+) units, (\d+) segments")
BATCH = ("--batch", "64")
"""A round over all segments takes about a second, so that a kill hits the first one."""
KNOWN = re.compile(r"local-1: (\d+) of (\d+) segments known, (\d+) to time(?:, (\d+) of them begun)?")


def cache_file(cache_home):
    return cache_home / "splitfront" / "profiles.sqlite"


def entries(cache_home):
    """Number of samples and whether the timing went on to its end, by key."""
    path = cache_file(cache_home)
    if not path.exists():
        return {}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            rows = connection.execute("SELECT graph_sha256, length(samples) / 8, share_seconds FROM entries").fetchall()
        except sqlite3.OperationalError:  # its tables are about to be made
            return {}
    return {digest: (n_samples, share > 0) for digest, n_samples, share in rows}


def profile(toy_model, folder, *options):
    done = splitfront("profile", toy_model, "--local", 1, "--profile-seconds", 1, "--out", folder, *options)
    assert done.returncode == 0, done.stderr
    return done


def timings(folder):
    (device,) = json.loads((folder / "profile.json").read_text())["devices"]
    return device, {(one["start"], one["stop"]): one for one in device["segments"]}


def killed_in_the_middle(toy_model, cache_home, folder):
    """Kills the coordinator in the first round, once half of the segments have a sample, and gives their number."""
    command = [sys.executable, "-m", "coordinator", "profile", toy_model, "--local", "1", "--out", folder, *BATCH]
    with subprocess.Popen(
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (announced := N_SEGMENTS.search(process.stderr.readline())):
            assert process.poll() is None
        deadline = time.monotonic() + 60
        while 2 * len(entries(cache_home)) < int(announced[2]):
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    return int(announced[2])


def test_a_killed_profile_goes_on_where_it_ended(toy_model, cache_home, tmp_path):
    n_segments = killed_in_the_middle(toy_model, cache_home, tmp_path / "killed")
    kept = entries(cache_home)
    assert n_segments / 2 <= len(kept)
    assert all(n_samples > 0 for n_samples, _ in kept.values())
    assert not any(is_complete for _, is_complete in kept.values()), "it was killed in the middle"
    done = profile(toy_model, tmp_path / "run", *BATCH)
    known = KNOWN.search(done.stdout)
    assert known, done.stdout
    n_known, n_total, n_to_time, n_begun = (int(number or 0) for number in known.groups())
    assert (n_total, n_known + n_to_time) == (n_segments, n_segments)
    assert n_known + n_begun == len(kept), "no segment that had a sample lost it"
    device, segments = timings(tmp_path / "run")
    after = entries(cache_home)
    assert len(segments) == len(after) == n_segments
    assert after.keys() >= kept.keys()
    if "are not used" in done.stdout:  # the machine changed its pace meanwhile, and it is said
        assert not any(one["is_cached"] for one in segments.values())
    else:
        assert sum(one["is_cached"] for one in segments.values()) == n_known
        assert all(after[digest][0] >= n_samples for digest, (n_samples, _) in kept.items())
        n_kept = sum(n_samples for n_samples, _ in kept.values())
        assert sum(one["n_samples"] for one in segments.values()) >= n_kept + 3 * n_to_time
    assert device["seconds"] > device["session_seconds"] > 0


@pytest.mark.slow
def test_a_second_profile_times_anchors_only_and_says_since_when(toy_model, cache_home, tmp_path):
    first = profile(toy_model, tmp_path / "first")
    assert "segments known" not in first.stdout
    assert f"Times are kept in {cache_file(cache_home)}" in first.stdout
    second = profile(toy_model, tmp_path / "second")
    known = KNOWN.search(second.stdout)
    assert known[1] == known[2]
    assert known[3] == "0"
    assert re.search(r"measured since 20\d\d-\d\d-\d\dT", second.stdout)
    _, segments = timings(tmp_path / "second")
    if "are not used" not in second.stdout:
        assert all(one["is_cached"] for one in segments.values())
        _, before = timings(tmp_path / "first")
        assert {span: one["seconds"] for span, one in segments.items()} == {
            span: one["seconds"] for span, one in before.items()
        }


@pytest.mark.slow
def test_a_fresh_profile_asks_the_cache_for_nothing(toy_model, cache_home, tmp_path):
    profile(toy_model, tmp_path / "first")
    before = entries(cache_home)
    fresh = profile(toy_model, tmp_path / "fresh", "--fresh")
    assert "segments known" not in fresh.stdout
    _, segments = timings(tmp_path / "fresh")
    assert not any(one["is_cached"] for one in segments.values())
    assert entries(cache_home).keys() == before.keys()


@pytest.mark.slow
def test_a_fresh_run_asks_the_cache_for_nothing(toy_model, cache_home, tmp_path):
    profile(toy_model, tmp_path / "first")
    brief = ("--profile-seconds", 1, "--correct-seconds", 0, "--bench-seconds", 0.5)
    done = splitfront("run", toy_model, "--local", 1, "--out", tmp_path / "fresh", "--fresh", *brief)
    assert done.returncode == 0, done.stderr
    assert "segments known" not in done.stdout
    assert "segments known" in splitfront("run", toy_model, "--local", 1, "--out", tmp_path / "known", *brief).stdout


def test_a_damaged_entry_is_named_and_measured_again(toy_model, cache_home, tmp_path):
    profile(toy_model, tmp_path / "first")
    with closing(sqlite3.connect(cache_file(cache_home))) as connection, connection:
        digest, samples = connection.execute("SELECT graph_sha256, samples FROM entries").fetchone()
        damaged = bytes([samples[0] ^ 1]) + samples[1:]
        connection.execute("UPDATE entries SET samples = ? WHERE graph_sha256 = ?", (damaged, digest))
    done = profile(toy_model, tmp_path / "second")
    (warning,) = [line for line in done.stdout.splitlines() if "Warning" in line]
    span = tuple(map(int, re.search(r"segment (\d+):(\d+) on 'local-1' is damaged", warning).groups()))
    known = KNOWN.search(done.stdout)
    assert (int(known[1]), int(known[3])) == (int(known[2]) - 1, 1)
    _, segments = timings(tmp_path / "second")
    assert not segments[span]["is_cached"]
    assert len(entries(cache_home)) == int(known[2])
    with closing(sqlite3.connect(cache_file(cache_home))) as connection:
        (now,) = connection.execute("SELECT samples FROM entries WHERE graph_sha256 = ?", (digest,)).fetchone()
    assert now != damaged


@pytest.mark.slow
def test_a_damaged_file_is_set_aside_and_all_is_measured(toy_model, cache_home, tmp_path):
    path = cache_file(cache_home)
    path.write_bytes(os.urandom(1 << 14))
    done = profile(toy_model, tmp_path / "run")
    assert "profiles.sqlite.damaged-1" in done.stdout
    assert "file is not a database" in done.stdout
    assert path.with_name("profiles.sqlite.damaged-1").stat().st_size == 1 << 14
    _, segments = timings(tmp_path / "run")
    assert len(entries(cache_home)) == len(segments)


@pytest.mark.slow
def test_a_cache_folder_that_cannot_be_written_is_a_warning(toy_model, tmp_path, monkeypatch):
    """No cache of models either can be there: an ONNX file needs none."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    done = profile(toy_model, tmp_path / "run")
    assert "cannot be used (Not a directory): this run goes on without it" in done.stdout
    assert timings(tmp_path / "run")[1]


@pytest.mark.slow
def test_a_device_too_small_for_the_whole_is_profiled_in_pieces(toy_model, tmp_path):
    """1.5 MiB of weights: prefixes and suffixes are as long as 1 MiB allows, and every unit is timed."""
    path = tmp_path / "small.yaml"
    path.write_text("name: small\nnodes:\n  - {name: a, local: true, memory: 1MiB, threads: 1}\n")
    folder = tmp_path / "run"
    done = splitfront("profile", toy_model, "--cluster", path, "--profile-seconds", 1, "--out", folder)
    assert done.returncode == 0, done.stderr
    _, segments = timings(folder)
    graph = json.loads((folder / "graph.json").read_text())
    weights = [
        sum(layer["weight_bytes"] for layer in graph["layers"][unit["start"] : unit["stop"]]) for unit in graph["units"]
    ]
    n_units = len(weights)
    assert {(unit, unit + 1) for unit in range(n_units)} <= segments.keys()
    assert (0, n_units) not in segments
    for start, stop in segments:
        assert sum(weights[start:stop]) < 1 << 20
    longest_prefix = max(stop for start, stop in segments if start == 0)
    longest_suffix = min(start for start, stop in segments if stop == n_units)
    assert sum(weights[: longest_prefix + 1]) >= 1 << 20
    assert sum(weights[longest_suffix - 1 :]) >= 1 << 20


def test_a_profile_is_shown_and_drawn_without_a_node(toy_model, tmp_path):
    folder = tmp_path / "run"
    profiled = profile(toy_model, folder)
    done = splitfront("profile", "--show", folder, "--json")
    assert done.returncode == 0, done.stderr
    for words in ("noisiest segment", "sessions", "tight", "local-1"):
        assert words in done.stderr
        assert words in profiled.stdout
    for name, start in (("times.png", b"\x89PNG"), ("times.svg", b"<?xml"), ("times.html", b"<!doctype html>")):
        assert (folder / "figures" / name).read_bytes().startswith(start)
        assert name in done.stderr
    assert json.loads(done.stdout)["devices"][0]["seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((), "--show RUN"), (("toy.onnx", "--show", "."), "leave MODEL out"), (("--show", "nowhere"), "nowhere")],
)
def test_wrong_use_of_show_is_explained(arguments, words):
    done = splitfront("profile", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_show_of_a_folder_without_a_profile_says_what_makes_one(tmp_path):
    done = splitfront("profile", "--show", tmp_path)
    assert done.returncode == 1
    assert "splitfront profile" in done.stderr
    assert "Traceback" not in done.stderr
