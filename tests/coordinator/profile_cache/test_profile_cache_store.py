import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.profile_cache import Entry, ProfileCache, default_cache_file, store
from coordinator.profile_cache.entry import from_row, to_row

DEVICE = "f" * 64
ENTRY = Entry(
    seconds=(0.25, 0.125, 1e-7), session_seconds=0.02, memory_bytes=2**40, measured_at="2026-01-02T03:04:05+00:00"
)

NOW = datetime(2026, 1, 3, tzinfo=UTC)


def digest_of(number):
    return f"{number:064x}"


@pytest.fixture
def said():
    return []


@pytest.fixture
def open_cache(tmp_path, said):
    opened = []

    def make(path=tmp_path / "cache" / "profiles.sqlite", *, now=NOW):
        opened.append(ProfileCache(path, said.append, now=lambda: now))
        return opened[-1]

    yield make
    for cache in opened:
        cache.close()


def load(cache, *numbers, device=DEVICE):
    return cache.load(device, {digest_of(number): f"segment {number}:{number + 1} on 'a'" for number in numbers})


def change_file(cache, statement, *values):
    with sqlite3.connect(cache.path) as connection:
        connection.execute(statement, values)
    connection.close()


@given(
    st.lists(st.floats(1e-9, 1e9), max_size=20),
    st.floats(0, 1e6),
    st.integers(0, 2**60),
    st.floats(0, 1e6),
)
def test_entries_survive_their_columns_to_the_last_bit(seconds, session_seconds, memory_bytes, share_seconds):
    entry = Entry(
        seconds=tuple(seconds),
        session_seconds=session_seconds,
        memory_bytes=memory_bytes,
        share_seconds=share_seconds,
        measured_at="then",
    )
    assert from_row(to_row(entry)) == entry


def test_what_was_saved_is_there_for_the_next_process(open_cache, said):
    first = open_cache()
    first.save(DEVICE, {digest_of(1): ENTRY, digest_of(2): replace(ENTRY, session_seconds=0, share_seconds=1)})
    first.close()
    second = open_cache()
    assert load(second, 1, 2, 3) == {
        digest_of(1): ENTRY,
        digest_of(2): replace(ENTRY, session_seconds=0.0, share_seconds=1.0),
    }
    assert load(second, 1, device="0" * 64) == {}
    assert said == []


def test_a_later_entry_takes_the_place_of_an_earlier_one(open_cache):
    cache = open_cache()
    longer = replace(ENTRY, seconds=(*ENTRY.seconds, 3.0))
    for entry in (ENTRY, longer):
        cache.save(DEVICE, {digest_of(1): entry})
    assert load(cache, 1) == {digest_of(1): longer}


DAMAGES = {
    "samples": bytes(24),
    "session_seconds": 0.021,
    "memory_bytes": 7,
    "share_seconds": "much",
    "measured_at": "yesterday",
    "checksum": b"",
}


@pytest.mark.parametrize("column", DAMAGES)
def test_a_damaged_entry_is_said_once_and_removed(open_cache, said, column):
    cache = open_cache()
    cache.save(DEVICE, {digest_of(number): ENTRY for number in (1, 2)})
    statement = f"UPDATE entries SET {column} = ? WHERE graph_sha256 = ?"
    change_file(cache, statement, DAMAGES[column], digest_of(1))
    for _ in range(2):
        assert load(cache, 1, 2) == {digest_of(2): ENTRY}
    assert len(said) == 1
    assert "segment 1:2 on 'a'" in said[0]
    assert "measured again" in said[0]


def test_an_entry_under_the_key_of_another_one_is_damaged(open_cache, said):
    cache = open_cache()
    cache.save(DEVICE, {digest_of(1): ENTRY})
    change_file(cache, "UPDATE entries SET graph_sha256 = ?", digest_of(9))
    assert load(cache, 9) == {}
    assert "segment 9:10" in said[0]


def garbage(content):
    return b"no database at all, but long enough to have a header " * 400


def garbled_pages(content):
    return content[:4096] + bytes([0xA5]) * (len(content) - 4096)


def half(content):
    return content[: len(content) // 2]


@pytest.mark.parametrize("damage", [garbage, garbled_pages, half])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(open_cache, said, damage):
    before = open_cache()
    before.save(DEVICE, {digest_of(number): ENTRY for number in range(500)})
    before.close()
    damaged = damage(before.path.read_bytes())
    before.path.write_bytes(damaged)
    cache = open_cache()
    assert load(cache, *range(500)) == {}
    cache.save(DEVICE, {digest_of(1): ENTRY})
    assert load(cache, 1) == {digest_of(1): ENTRY}
    (line,) = said
    assert "set aside as profiles.sqlite.damaged-1" in line
    assert cache.path.with_name("profiles.sqlite.damaged-1").read_bytes() == damaged


def test_a_second_damaged_file_has_a_name_of_its_own(open_cache, said):
    for number in (1, 2):
        path = open_cache().path
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(garbage(b""))
        cache = open_cache()
        assert load(cache, 1) == {}
        cache.close()
        assert path.with_name(f"profiles.sqlite.damaged-{number}").exists()
    assert len(said) == 2


@pytest.mark.parametrize("statement", ["PRAGMA user_version = 7", "DROP TABLE entries", "CREATE TABLE odd (a)"])
def test_tables_of_another_version_are_set_aside(open_cache, said, statement):
    cache = open_cache()
    if statement.startswith("CREATE"):
        cache.path.parent.mkdir()
    else:
        cache.save(DEVICE, {digest_of(1): ENTRY})
        cache.close()
    change_file(cache, statement)
    assert load(cache, 1) == {}
    cache.save(DEVICE, {digest_of(1): ENTRY})
    assert load(cache, 1) == {digest_of(1): ENTRY}
    assert len(said) == (0 if statement.startswith("DROP") else 1)


def test_a_folder_that_cannot_be_is_said_once_and_ends_nothing(open_cache, said, tmp_path):
    (tmp_path / "file").write_text("")
    cache = open_cache(tmp_path / "file" / "profiles.sqlite")
    for _ in range(3):
        cache.save(DEVICE, {digest_of(1): ENTRY})
        assert load(cache, 1) == {}
    (line,) = said
    assert "goes on without it" in line


def test_a_full_disk_is_said_once_and_ends_nothing(open_cache, said):
    cache = open_cache()
    cache.save(DEVICE, {digest_of(1): ENTRY})
    cache._connection.execute("PRAGMA max_page_count = 3")
    many = replace(ENTRY, seconds=(1.0,) * 10_000)
    for _ in range(2):
        cache.save(DEVICE, {digest_of(2): many})
    (line,) = said
    assert "full" in line
    assert open_cache().load(DEVICE, {digest_of(1): "", digest_of(2): ""}) == {digest_of(1): ENTRY}


def test_a_file_that_only_may_be_read_is_said_once_and_ends_nothing(open_cache, said):
    cache = open_cache()
    cache.save(DEVICE, {digest_of(1): ENTRY})
    cache._connection.execute("PRAGMA query_only = 1")
    for _ in range(2):
        cache.save(DEVICE, {digest_of(2): ENTRY})
    assert len(said) == 1
    assert "goes on without it" in said[0]


def test_one_that_finds_the_file_set_aside_by_another_goes_on_with_the_new_one(open_cache, said):
    path = open_cache().path
    path.parent.mkdir()
    path.write_bytes(garbage(b""))
    slow, quick = open_cache(), open_cache()
    slow._inode = path.stat().st_ino  # as if it had found the damage and was about to say so
    quick.save(DEVICE, {digest_of(1): ENTRY})
    slow._set_aside("damaged, as it seems")
    assert load(slow, 1) == {digest_of(1): ENTRY}
    assert len(said) == 1


def test_threads_of_two_coordinators_lose_nothing(open_cache, said):
    caches = [open_cache(), open_cache()]
    draw = np.random.default_rng(0)
    entries = {digest_of(number): replace(ENTRY, seconds=tuple(draw.random(30))) for number in range(160)}

    def save(number):
        for digest, entry in list(entries.items())[number::4]:
            caches[number % 2].save(DEVICE, {digest: entry})

    threads = [threading.Thread(target=save, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert load(open_cache(), *range(160)) == entries
    assert said == []


WRITER = """
import sys
from pathlib import Path
from coordinator.profile_cache import Entry, ProfileCache
with ProfileCache(Path(sys.argv[1]), lambda line: sys.exit(line)) as cache:
    for number in range(10_000):
        entry = Entry(seconds=(1.0,) * (number + 1), session_seconds=0.1, memory_bytes=1, measured_at="now")
        cache.save(sys.argv[2] * 64, {f"{number % 50:064x}": entry})
        print(number, flush=True)
"""


def test_a_kill_loses_nothing_that_was_saved(open_cache, said):
    """Two writers are killed while they write; what each said to be saved, or something later, is there and sound."""
    path = open_cache().path
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = {name: subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "ab"}
    last = {}
    for name, writer in writers.items():
        with writer:
            lines = [int(writer.stdout.readline()) for _ in range(120)]
            writer.kill()
            lines += map(int, writer.stdout.read().split())
        assert lines == list(range(lines[-1] + 1))
        last[name] = lines[-1]
    for name, number in last.items():
        found = load(open_cache(), *range(50), device=name * 64)
        assert len(found) == 50
        assert max(len(entry.seconds) for entry in found.values()) >= number + 1
    assert said == []


def test_the_file_is_where_caches_are(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_file() == tmp_path / "splitfront" / "profiles.sqlite"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_cache_file() == tmp_path / "home" / ".cache" / "splitfront" / "profiles.sqlite"


@pytest.mark.parametrize(
    ("share_seconds", "seconds", "is_known"),
    [
        (0.0, (1.0,) * 6, True),  # tight
        (0.0, (1.0,) * 5, False),  # too few to say so
        (0.0, (1.0, 2.0) * 20, False),  # broken off
        (0.5, (1.0, 2.0) * 20, True),  # nothing would be gained
        (0.3, (1.0, 2.0) * 20, False),  # it was given less time than it would be now
        (0.5, (), False),
    ],
)
def test_known_is_what_needs_no_timing(share_seconds, seconds, is_known):
    entry = replace(ENTRY, seconds=seconds, share_seconds=share_seconds)
    assert entry.is_known(tolerance=0.02, share_seconds=0.5) is is_known


def aged(days, n_samples=3):
    measured_at = (NOW - timedelta(days=days)).isoformat(timespec="seconds")
    return replace(ENTRY, measured_at=measured_at, seconds=(0.5,) * n_samples)


def test_what_is_too_old_is_forgotten_when_the_file_is_opened(open_cache, said):
    ages = {0: 0, 1: store.KEPT.days - 1, 2: store.KEPT.days + 1, 3: 9 * store.KEPT.days}
    open_cache().save(DEVICE, {digest_of(number): aged(days) for number, days in ages.items()})
    assert said == []
    assert load(open_cache(), *ages).keys() == {digest_of(0), digest_of(1)}
    assert said == ["The profile cache forgot 2 entries that were measured longest ago."]
    assert load(open_cache(), *ages).keys() == {digest_of(0), digest_of(1)}
    assert len(said) == 1


def test_of_too_much_the_newest_three_quarters_stay(open_cache, said):
    n_samples = store.MOST_BYTES // 8 // 8
    open_cache().save(DEVICE, {digest_of(number): aged(number, n_samples) for number in range(8)})
    assert load(open_cache(), *range(8)).keys() == {digest_of(number) for number in range(5)}
    assert said == ["The profile cache forgot 3 entries that were measured longest ago."]


def test_a_file_below_the_limits_is_not_written_to(open_cache):
    open_cache().save(DEVICE, {digest_of(0): aged(3)})
    with sqlite3.connect(open_cache().path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        assert load(open_cache(), 0)
        other.execute("ROLLBACK")
    other.close()
