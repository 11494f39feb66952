"""What is a store, what is none, and how that is told."""

import random
import re
import sqlite3

import psycopg
import pytest
from postgres_server import empty_database
from result_builders import sample_run, sample_sweep

from coordinator.errors import ResultStoreError
from coordinator.results.opening import STORE_FILE
from coordinator.results.store import open_store


@pytest.fixture
def file(tmp_path):
    """A store with a run, closed."""
    path = tmp_path / "results.sqlite"
    with open_store(str(path)) as store:
        sweep = sample_sweep()
        store.add_sweep(sweep)
        store.record(sample_run(sweep))
    return path


def change(path, statement):
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


def told(url_or_path, **options):
    """What the error says, in one line."""
    with pytest.raises(ResultStoreError) as caught:
        open_store(str(url_or_path), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_store_is_found_by_path_url_and_folder(file):
    assert file.name == STORE_FILE
    for name in (file, f"sqlite:///{file}", file.parent):
        with open_store(str(name), is_made=False) as store:
            assert store.sweeps() == ("paper",)
            assert store.name == str(file)


def test_folders_are_made_with_a_new_store_only(tmp_path):
    path = tmp_path / "new" / "folder" / "results.sqlite"
    assert "no result store" in told(path, is_made=False)
    assert not path.parent.exists()
    open_store(str(path)).close()
    assert path.exists()


def test_it_writes_ahead_and_to_the_disk(file):
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    with open_store(str(file)) as store, store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2, "FULL"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_newer_store_is_refused_as_such(store_url):
    with open_store(store_url) as store, store._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE splitfront_results SET version = 3")
    assert "version 3, this splitfront knows 2: install a newer one" in told(store_url)


def test_a_store_of_the_first_version_is_read_and_goes_on_as_one_of_this(store_url):
    sweep = sample_sweep()
    old = sample_run(sweep, resources=())
    with open_store(store_url) as store:
        store.add_sweep(sweep)
        store.record(old)
        with store._engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE runs DROP COLUMN resources")
            connection.exec_driver_sql("UPDATE splitfront_results SET version = 1")
    new = sample_run(sweep, repeat=1)
    for _ in range(2):
        with open_store(store_url, is_made=False) as store:
            store.record(old)
            store.record(new)
            assert store.runs("paper", with_samples=True) == (old, new)
            with store._engine.begin() as connection:
                assert connection.exec_driver_sql("SELECT version FROM splitfront_results").scalar() == 2


def test_what_a_run_took_cannot_be_forgotten_unseen(file):
    change(file, "UPDATE runs SET resources = '[]'")
    assert "damaged" in fault(file)


def test_a_file_of_something_else_is_left_as_it_is(tmp_path):
    text, foreign = tmp_path / "notes.txt", tmp_path / "music.sqlite"
    text.write_text("All work and no play." * 99)
    change(foreign, "CREATE TABLE songs (name TEXT)")
    content = foreign.read_bytes()
    assert "notes.txt cannot be used: file is not a database" in told(text)
    assert "music.sqlite is no result store: it holds other tables (songs)" in told(foreign)
    assert foreign.read_bytes() == content
    assert text.read_text().startswith("All work")


def test_a_database_that_serves_others_is_used_unless_names_clash(postgres):
    with empty_database(postgres) as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
        connection.execute("CREATE TABLE runs (runner TEXT)")
        assert "holds other tables (runs)" in told(url)
        connection.execute("DROP TABLE runs")
        with open_store(url) as store:
            assert store.sweeps() == ()


def fault(path):
    """What is told about a store when all of it is read; nothing where nothing is wrong."""
    try:
        with open_store(str(path), is_made=False) as store:
            return "" if store.sweep("paper") and store.runs("paper", with_samples=True) else "empty"
    except ResultStoreError as error:
        return str(error)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_told(file, share):
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    assert "damaged" in fault(file)


def test_damage_anywhere_is_told_in_one_line_or_harmless(tmp_path):
    path, rng, sweep = tmp_path / "results.sqlite", random.Random(5), sample_sweep()
    runs = [sample_run(sweep, case=case, n_samples=300) for case in range(3)]
    with open_store(str(path)) as store:
        store.add_sweep(sweep)
        for run in runs:
            store.record(run)
    whole, faults = path.read_bytes(), []
    for _ in range(30):
        damaged = bytearray(whole)
        place = rng.randrange(len(damaged) - 64)
        damaged[place : place + 64] = rng.randbytes(64)
        path.write_bytes(damaged)
        if said := fault(path):
            faults.append(said)
        else:
            with open_store(str(path)) as store:
                assert {run.position: run for run in store.runs("paper", with_samples=True)} == {
                    run.position: run for run in runs
                }
    assert len(faults) > 8
    assert [said for said in faults if not said.isprintable()] == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE runs SET seconds = 9", "Run .* is damaged"),
        ("UPDATE runs SET state = 'failed'", "Run .* is damaged"),
        ("UPDATE samples SET sent_seconds = 9 WHERE number = 1", "Run .* among its samples, is damaged"),
        ("DELETE FROM samples WHERE number = 1", "Run .* among its samples, is damaged"),
        ("UPDATE sweeps SET seed = 9", "Sweep 'paper' is damaged"),
        ("UPDATE cases SET condition = 'lte' WHERE position = 1", "Sweep 'paper' is damaged"),
    ],
)
def test_values_that_somebody_changed_are_told(file, statement, words):
    change(file, statement)
    assert re.search(words, fault(file))


def test_urls_that_cannot_be_are_told_without_their_passwords():
    assert "URL cannot be read (post gres://…)" in told("post gres://me:secret@[host/results")
    assert "needs a file" in told("sqlite://")
    assert "needs a file" in told("sqlite:///:memory:")
    assert "cannot be used" in told("madeup://me:secret@host/results")
    assert "needs the driver" in told("mysql://me:secret@host/results")


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    assert "Cannot make the folder" in told(tmp_path / "file" / "below" / "results.sqlite")
