"""Bundles: what is packed, and what is unpacked from files that nobody vouches for."""

import csv
import hashlib
import json
import os
import random
import shutil
import stat
import zipfile
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_builders import bits, sample_run, sample_sweep

from coordinator.__main__ import run
from coordinator.bundle.archive import MANIFEST, Manifest, is_safe, pack, unpack
from coordinator.bundle.packing import bundle_folder
from coordinator.bundle.replay import replay
from coordinator.config.sweep_file import load_sweep
from coordinator.errors import BundleError, SweepUnknownError
from coordinator.results.store import open_store

FILES = {"run.json": b"{}", "deep/er/trace.json": b"[1, 2]" * 999, "empty.json": b""}


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def draw_table(sweep, runs, folder):
    """As a report would: a table of figures."""
    path = folder / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for run in runs:
            seconds = sum(sample.latency_seconds for sample in run.samples)
            writer.writerow(
                [sweep.name, run.case_key, *(repr(run.figures[name]) for name in sorted(run.figures)), seconds]
            )
    return [path]


@pytest.fixture
def sweep_folder(tmp_path):
    folder = tmp_path / "paper"
    sweep = sample_sweep()
    with open_store(str(folder / "results.sqlite")) as store:
        store.add_sweep(sweep)
        for case in (2, 0, 1):
            store.record(sample_run(sweep, case=case))
    study = folder / "clusters" / "lab" / "mobilenet_v2-batch-1-0123456789ab"
    study.mkdir(parents=True)
    (study / "profile.json").write_text('{"schema": "splitfront/profile/1", "seed": 3, "versions": {"onnx": "1.2"}}')
    return folder


def test_what_was_packed_is_unpacked(tmp_path):
    manifest = Manifest(kind="run", commands=(("splitfront", "run"),), seeds=(1, 2), versions=({"python": "3.11"},))
    packed = pack(tmp_path / "a.zip", manifest, FILES)
    assert unpack(tmp_path / "a.zip", tmp_path / "out") == packed
    assert (packed.kind, packed.commands, packed.seeds) == ("run", (("splitfront", "run"),), (1, 2))
    found = tree(tmp_path / "out")
    assert json.loads(found.pop(MANIFEST))["files"]["run.json"]["sha256"] == hashlib.sha256(b"{}").hexdigest()
    assert found == FILES
    assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "out"}


def test_equal_content_gives_equal_bytes_whatever_the_order_and_the_time(tmp_path, monkeypatch):
    pack(tmp_path / "a.zip", Manifest(kind="run"), FILES)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    old = os.umask(0o077)
    try:
        pack(tmp_path / "b.zip", Manifest(kind="run"), dict(reversed(FILES.items())))
    finally:
        os.umask(old)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == [MANIFEST, *sorted(FILES)]
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "a/../../evil", "/etc/evil", "a//b", "./a", "a/.", "..", "", "a/", "C:/evil", "a\\b", "a:stream"),
        *("a\0b", "a\nb", "nul.", " a", "a /b", "\udce4"),
    ],
)
def test_names_that_could_lead_elsewhere_are_refused(tmp_path, name):
    assert not is_safe(name)
    with pytest.raises(BundleError, match="cannot hold a file of this name"):
        pack(tmp_path / "a.zip", Manifest(kind="run"), {name: b""})


@given(st.text(st.characters(codec="utf-8"), max_size=20))
@settings(max_examples=50)
def test_safe_names_stay_below(name):
    if is_safe(name):
        assert os.path.normpath("/target/" + name) == "/target/" + name


def forged(path, files, *, names=None, change=lambda content: content, mode=0o100644, extra=()):
    """A bundle as somebody else's program might write it: nothing is checked."""
    members = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "n_bytes": len(content)}
        for name, content in files.items()
        if names is None or name in names
    }
    content = {"schema": "splitfront/bundle/1", "kind": "run", "commands": [], "seeds": [], "versions": []}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MANIFEST, json.dumps(change(content | {"files": members})))
        for name, inner in [*files.items(), *extra]:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            archive.writestr(entry, inner)
    return path


def told(bundle, folder):
    """What the error says; nothing may have been written."""
    before = {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")}
    with pytest.raises(BundleError) as caught:
        unpack(bundle, folder)
    assert {path: path.stat().st_mtime_ns for path in folder.parent.rglob("*")} == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["../evil.json", "/tmp/evil.json", "a/../../evil.json", "..\\evil.json"])
def test_nothing_is_written_outside_of_the_folder(tmp_path, name):
    bundle = forged(tmp_path / "a.zip", {"run.json": b"{}", name: b"evil"})
    assert "do not trust it" in told(bundle, tmp_path / "out")


def test_a_link_is_unpacked_as_a_file(tmp_path):
    bundle = forged(tmp_path / "a.zip", {"link.json": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    unpack(bundle, tmp_path / "out")
    assert not (tmp_path / "out" / "link.json").is_symlink()


def test_files_that_clash_are_refused(tmp_path):
    bundle = forged(tmp_path / "a.zip", {"a": b"file", "a/b": b"below it"})
    assert "as a file and as a folder" in told(bundle, tmp_path / "out")
    with pytest.warns(UserWarning, match="Duplicate name"):
        forged(tmp_path / "a.zip", {"a.json": b"one"}, extra=[("a.json", b"two")])
    assert "holds a file twice" in told(bundle, tmp_path / "out")


def test_endless_zeros_are_refused_before_they_are_unpacked(tmp_path):
    def enlarge(content):
        content["files"]["a.json"]["n_bytes"] = 1 << 40
        return content

    bundle = forged(tmp_path / "a.zip", {"a.json": b"0" * 99}, change=enlarge)
    assert "has 99 bytes, not 1099511627776" in told(bundle, tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"names": []}, "'a.json' is missing, or is not in its manifest"),
        ({"change": lambda content: content | {"schema": "splitfront/bundle/3"}}, "version 3, this splitfront knows 2"),
        ({"change": lambda content: content | {"schema": "other"}}, "no bundle of splitfront"),
        ({"change": lambda content: content | {"kind": "cake"}}, "no bundle of splitfront"),
        ({"change": lambda content: content | {"files": {"a.json": {"sha256": "00"}}}}, "cannot be read"),
        ({"change": lambda content: [content]}, "no bundle of splitfront"),
    ],
)
def test_other_files_and_versions_are_told(tmp_path, options, words):
    assert words in told(forged(tmp_path / "a.zip", {"a.json": b"{}"}, **options), tmp_path / "out")


def test_what_is_no_zip_is_told(tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    assert "is no bundle, or is damaged" in told(tmp_path / "text.zip", tmp_path / "out")
    assert told(tmp_path / "nothing.zip", tmp_path / "out").startswith(f"There is no bundle {tmp_path}/nothing.zip: ")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    assert "has no manifest.json" in told(tmp_path / "other.zip", tmp_path / "out")


def test_a_folder_in_use_is_left_alone(tmp_path):
    pack(tmp_path / "a.zip", Manifest(kind="run"), FILES)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    assert "not empty" in told(tmp_path / "a.zip", tmp_path / "out")
    (tmp_path / "out" / "mine").unlink()
    unpack(tmp_path / "a.zip", tmp_path / "out")


def test_damage_anywhere_is_told_or_harmless(tmp_path):
    pack(tmp_path / "whole.zip", Manifest(kind="run"), FILES)
    whole, rng, n_told = (tmp_path / "whole.zip").read_bytes(), random.Random(2), 0
    for number in range(45):
        damaged, place = bytearray(whole), rng.randrange(len(whole))
        damaged[place] ^= 1 << rng.randrange(8)
        (tmp_path / "a.zip").write_bytes(damaged if number % 3 else whole[:place])
        try:
            unpack(tmp_path / "a.zip", tmp_path / "out")
        except BundleError:
            n_told += 1
            assert not (tmp_path / "out").exists()
        else:
            # The manifest tells of the others, and nothing tells of it but the digest of the whole.
            found = tree(tmp_path / "out")
            assert {name: found[name] for name in FILES} == FILES
            assert found.keys() == {*FILES, MANIFEST}
            shutil.rmtree(tmp_path / "out")
    assert n_told > 30


def test_a_sweep_is_packed_alike_however_its_store_came_about(sweep_folder, tmp_path):
    bundle_folder(sweep_folder, tmp_path / "a.zip")
    twin = tmp_path / "twin"
    shutil.copytree(sweep_folder / "clusters", twin / "clusters")
    sweep = sample_sweep()
    with open_store(str(twin) + "/results.sqlite") as store:
        store.add_sweep(sweep)
        for case in range(3):
            store.record(sample_run(sweep, case=case))
    (twin / "figures").mkdir()
    (twin / "report.html").write_text("drawn again")
    (twin / ".hidden.json").write_text("{}")
    (twin / "link.json").symlink_to("/etc/passwd")
    bundle_folder(twin, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_bundle_tells_how_its_sweep_came_about(sweep_folder, tmp_path):
    manifest = bundle_folder(sweep_folder, tmp_path / "a.zip")
    assert manifest.kind == "sweep"
    assert manifest.seeds == (7, 3)
    assert manifest.versions == ({"python": "3.11", "splitfront": "0.1.0"}, {"onnx": "1.2"})
    assert manifest.commands == (("splitfront", "sweep", "sweep-1.yaml", "--out", "DIR"),)
    assert sorted(manifest.files) == [
        "clusters/lab/mobilenet_v2-batch-1-0123456789ab/profile.json",
        *(f"results/{table}.csv" for table in ("cases", "runs", "samples", "sweeps")),
        "sweep-1.yaml",
    ]


ASKED = """
name: asked
models: [{source: TOY, name: toy}]
clusters: [cluster.yaml, {local: 2, subsets: [[local-2, local-1]]}]
conditions: [as-is, {name: drive, trace: drive.csv}, {name: slow, default: {delay: 2x, rate: 8mbit, loss: 0.7%}}]
plans: [block-level, {splits: [3]}]
repeats: {least: 2, most: 3, interval: null}
"""
CLUSTER = """
name: lab
nodes: [{name: a, local: true, memory: 300MiB}, {name: b, local: true, emulate: {slowdown: 2}}]
links: {default: {delay: 7ms, rate: 50mbit}}
"""


def test_the_command_in_the_manifest_can_be_run_where_it_is_unpacked(toy_model, tmp_path, monkeypatch, capsys):
    (tmp_path / "sweep.yaml").write_text(ASKED.replace("TOY", str(toy_model)))
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    (tmp_path / "drive.csv").write_text("seconds,rate\n0,3mbit\n1.5,4mbit\n")
    spec = json.loads(json.dumps(load_sweep(tmp_path / "sweep.yaml").spec))
    with open_store(str(tmp_path / "asked" / "results.sqlite")) as store:
        store.add_sweep(replace(sample_sweep("asked"), spec=spec))
    bundle_folder(tmp_path / "asked", tmp_path / "a.zip")
    (command,) = unpack(tmp_path / "a.zip", tmp_path / "out").commands
    told = []
    for folder, arguments in ((tmp_path, ["sweep", "sweep.yaml", "--out", "DIR"]), (tmp_path / "out", command[1:])):
        monkeypatch.chdir(folder)
        assert run([*arguments, "--dry-run"]) == 0
        told.append(capsys.readouterr().out)
    assert "cases" in told[0]
    assert told[0] == told[1]


def test_a_replayed_sweep_has_the_same_runs_the_same_tables_and_the_same_bundle(sweep_folder, tmp_path):
    bundle_folder(sweep_folder, tmp_path / "a.zip")
    done = replay(tmp_path / "a.zip", tmp_path / "out", draw_sweep=draw_table)
    with open_store(str(sweep_folder)) as first, open_store(str(tmp_path / "out")) as second:
        runs = first.runs("paper", with_samples=True)
        assert bits(second.sweep("paper")) == bits(first.sweep("paper"))
        assert bits(second.runs("paper", with_samples=True)) == bits(runs)
        (table,) = draw_table(first.sweep("paper"), runs, tmp_path)
    assert done.drawn == (tmp_path / "out" / "table.csv",)
    assert done.drawn[0].read_bytes() == table.read_bytes()
    bundle_folder(tmp_path / "out", tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_several_sweeps_are_drawn_each_in_a_folder_of_its_own(sweep_folder, tmp_path, store_url):
    with open_store(store_url) as store:
        for name in ("a", "../b", "c"):
            store.add_sweep(sample_sweep(name))
    bundle_folder(sweep_folder, tmp_path / "a.zip", store=store_url, sweeps=("a", "../b"))
    done = replay(tmp_path / "a.zip", tmp_path / "out", draw_sweep=draw_table)
    assert done.drawn == (tmp_path / "out" / "sweep-1" / "table.csv", tmp_path / "out" / "sweep-2" / "table.csv")
    with pytest.raises(SweepUnknownError):
        bundle_folder(sweep_folder, tmp_path / "b.zip", store=store_url, sweeps=("d",))


def test_a_folder_of_something_else_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"neither run.json nor results.sqlite"):
        bundle_folder(tmp_path, tmp_path / "a.zip")
    pack(tmp_path / "a.zip", Manifest(kind="sweep"), {"a.json": b""})
    with pytest.raises(BundleError, match="holds no results"):
        replay(tmp_path / "a.zip", tmp_path / "out", draw_sweep=draw_table)
