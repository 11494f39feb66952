"""Exports, and what imports make of them."""

import csv
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from result_builders import bits, measured_sweeps, sample_run, sample_sweep

from coordinator.errors import ResultStoreError, RunKnownError, SweepConflictError
from coordinator.results.exchange import keep, measured, write
from coordinator.results.formats import WRITERS, read_exported
from coordinator.results.store import open_store

FORMATS = list(WRITERS)


def stored(folder, *sweeps):
    """A store with sweeps of two runs each."""
    store = open_store(str(folder / "results.sqlite"))
    for sweep in sweeps:
        store.add_sweep(sweep)
        store.record(sample_run(sweep, case=1, n_samples=5))
        store.record(sample_run(sweep, case=1, repeat=1, state="failed", n_samples=0))
    return store


def export(sweeps, kind, path):
    with WRITERS[kind](path) as writer:
        write(sweeps, writer)
    return path


def content(sweeps):
    """All of it, to compare."""
    return bits([(sweep, list(runs)) for sweep, runs in sweeps])


@pytest.mark.parametrize("kind", FORMATS)
@given(found=st.lists(measured_sweeps(), max_size=2, unique_by=lambda one: one[0].name))
@settings(max_examples=10, deadline=None)
def test_everything_comes_back_to_the_last_bit(kind, found, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "exported"
    export(((sweep, iter(runs)) for sweep, runs in found), kind, path)
    assert content(read_exported(path)) == content(found)


def test_exports_of_before_resources_were_kept_are_read(tmp_path):
    sweep = sample_sweep()
    run = sample_run(sweep, resources=())
    as_json, as_csv = tmp_path / "old.json", tmp_path / "old"
    for kind, path in (("json", as_json), ("csv", as_csv)):
        export([(sweep, iter([run]))], kind, path)
    found = json.loads(as_json.read_text())
    del found["sweeps"][0]["runs"][0]["resources"]
    as_json.write_text(json.dumps(found | {"schema": "splitfront/results/1"}))
    with (as_csv / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (as_csv / "runs.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [name for name in rows[0] if name != "resources"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    for path in (as_json, as_csv):
        assert content(read_exported(path)) == content([(sweep, [run])])


@pytest.mark.parametrize("kind", FORMATS)
def test_a_store_goes_into_another_one_and_its_export_is_the_same(kind, tmp_path, store_url):
    with stored(tmp_path, sample_sweep("one"), sample_sweep("two", n_cases=2)) as store:
        first = export(measured(store, ()), kind, tmp_path / "first")
    with open_store(store_url if store_url.startswith("postgres") else f"{store_url}.other") as other:
        progress = []
        brought = keep(read_exported(first), other, lambda n_done, name: progress.append((n_done, name)))
        assert (brought.sweeps, brought.n_new_runs, brought.n_known_runs) == (("one", "two"), 4, 0)
        assert progress == [(1, "one"), (2, "one"), (3, "two"), (4, "two")]
        assert keep(read_exported(first), other).n_known_runs == 4
        second = export(measured(other, ("one", "two")), kind, tmp_path / "second")
    files = [first] if first.is_file() else sorted(first.iterdir())
    for file in files:
        twin = second if file == first else second / file.name
        assert twin.read_bytes() == file.read_bytes()


def test_one_sweep_is_exported_alone(tmp_path):
    with stored(tmp_path, sample_sweep("one"), sample_sweep("two")) as store:
        path = export(measured(store, ["two"]), "csv", tmp_path / "exported")
    assert [sweep.name for sweep, _ in read_exported(path)] == ["two"]


def test_csv_is_what_other_programs_read(tmp_path):
    with stored(tmp_path, sample_sweep()) as store:
        path = export(measured(store, ()), "csv", tmp_path / "exported")
    with (path / "samples.csv").open(newline="") as file:
        samples = list(csv.DictReader(file))
    assert [float(row["sent_seconds"]) for row in samples] == [number / 7 for number in range(5)]
    assert json.loads(samples[2]["compute_seconds"]) == [0.2, 1e-300]


def test_parquet_is_what_other_programs_read(tmp_path):
    from pyarrow import parquet

    with stored(tmp_path, sample_sweep()) as store:
        path = export(measured(store, ()), "parquet", tmp_path / "exported")
    table = parquet.read_table(path / "samples.parquet")
    assert table["sent_seconds"].to_pylist() == [number / 7 for number in range(5)]
    assert str(table.schema.field("request").type) == "int64"


def test_json_is_what_other_programs_read(tmp_path):
    with stored(tmp_path, sample_sweep()) as store:
        path = export(measured(store, ()), "json", tmp_path / "exported.json")
    (sweep,) = json.loads(path.read_text())["sweeps"]
    assert sweep["spec"]["rate"] == 1.5
    assert sweep["cases"][0]["plan"]["stages"][0]["device"] == "pi-1"
    assert sweep["runs"][0]["figures"]["throughput_per_second"] == "Infinity"
    assert sweep["runs"][0]["samples"][1]["sent_seconds"] == 1 / 7


@pytest.mark.parametrize("kind", FORMATS)
def test_a_failed_export_leaves_the_former_one(kind, tmp_path):
    with stored(tmp_path, sample_sweep()) as store:
        path = export(measured(store, ()), kind, tmp_path / "exported")
        with pytest.raises(ResultStoreError, match="no sweep 'other'"):
            export(measured(store, ["paper", "other"]), kind, path)
    assert [sweep.name for sweep, _ in read_exported(path)] == ["paper"]
    assert list(tmp_path.rglob(".*")) == []


def test_what_is_there_is_not_overwritten(tmp_path):
    sweep = sample_sweep()
    with stored(tmp_path, sweep) as store:
        with pytest.raises(SweepConflictError):
            keep(iter([(sample_sweep(seed=8), iter(()))]), store)
        with pytest.raises(RunKnownError):
            keep(iter([(sweep, iter([sample_run(sweep, case=1, n_samples=4)]))]), store)
        assert len(store.runs("paper", with_samples=True)[0].samples) == 5


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_is_told_in_one_line(kind, tmp_path):
    with stored(tmp_path, sample_sweep()) as store:
        path = export(measured(store, ()), kind, tmp_path / "exported")
    right, rng, faults = content(read_exported(path)), random.Random(3), []
    for file in [path] if path.is_file() else sorted(path.iterdir()):
        whole = file.read_bytes()
        for _ in range(8):
            damaged, place = bytearray(whole), rng.randrange(len(whole))
            damaged[place] ^= 1 << rng.randrange(8)
            for attempt in (bytes(damaged), whole[:place]):
                file.write_bytes(attempt)
                try:
                    assert content(read_exported(path)) == right or may_differ(kind, file)
                except ResultStoreError as error:
                    faults.append(str(error))
        file.write_bytes(whole)
    assert len(faults) > 6
    assert [said for said in faults if "\n" in said] == []


def may_differ(kind, file):
    """When a sweep was made, and by which versions, is not what tells sweeps apart; no digest has it."""
    return kind == "json" or file.stem == "sweeps"


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("samples", lambda lines: lines[:1] + lines[2:], "among its samples, is damaged"),
        ("samples", lambda lines: lines + lines[-1:], "among its samples, is damaged"),
        ("samples", lambda lines: [*lines, lines[-1].replace(',"0",', ',"7",')], "damaged|belongs to nothing"),
        ("runs", lambda lines: [lines[0], *lines[2:]], "samples has a row of .* belongs to nothing"),
        ("cases", lambda lines: lines[:-1], "Sweep 'paper' is damaged"),
        ("runs", lambda lines: [lines[0].replace("seconds", "hours"), *lines[1:]], "row 1, has no seconds"),
        ("samples", lambda lines: [lines[0], lines[1].replace("0.0", "fast"), *lines[2:]], "sent_seconds cannot be"),
        ("sweeps", lambda lines: [], "belongs to nothing"),
    ],
)
def test_rows_that_were_lost_added_or_changed_are_told(tmp_path, table, change, words):
    with stored(tmp_path, sample_sweep()) as store:
        path = export(measured(store, ()), "csv", tmp_path / "exported")
    file = path / f"{table}.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(change(lines)))
    with pytest.raises(ResultStoreError, match=words):
        content(read_exported(path))


def test_what_is_no_export_is_told(tmp_path):
    (tmp_path / "other.json").write_text('{"schema": "splitfront/plan/1"}')
    (tmp_path / "text.json").write_text("hello")
    for name, words in (
        ("nothing", "There is no"),
        (".", "holds neither sweeps.csv nor sweeps.parquet"),
        ("other.json", "wanted the schema 'splitfront/results/2', got 'splitfront/plan/1'"),
        ("text.json", "no JSON"),
    ):
        with pytest.raises(ResultStoreError, match=words):
            list(read_exported(tmp_path / name))
