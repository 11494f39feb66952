import os
import threading
from types import SimpleNamespace

import pytest
from node_shards import blob_of, matmul_shard

from node_agent.errors import (
    AgentConfigError,
    BlobCorruptError,
    BlobMissingError,
    RequestRejectedError,
    StoreFullError,
)
from node_agent.host.shard_store import ShardStore
from node_agent.host.store_index import PROTECTED_SECONDS
from node_agent.messages import BlobRef, ShardRef

QUOTA = 1000


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    opened = ShardStore(tmp_path, QUOTA, clock)
    yield opened
    opened.close()


def content_of(number: int, n_bytes: int = 300) -> bytes:
    return bytes([number]) * n_bytes


def put(store: ShardStore, number: int, n_bytes: int = 300) -> BlobRef:
    blob = blob_of(content_of(number, n_bytes))
    store.put(blob, (content_of(number, n_bytes),))
    return blob


def files_of(store: ShardStore) -> set[str]:
    return {path.name for path in store.folder.iterdir()} - {".lock"}


def test_content_comes_in_chunks_and_lies_under_its_digest(store):
    content = os.urandom(500)
    blob = blob_of(content)
    assert store.missing((blob, blob)) == (blob,)
    store.put(blob, (content[:100], b"", content[100:]))
    assert store.path_of(blob).read_bytes() == content
    assert store.missing((blob,)) == ()
    assert store.stored_bytes == 500
    assert store.path_of(blob).stat().st_mode & 0o777 == 0o600


def test_a_blob_that_is_there_is_accepted_unread(store):
    blob = put(store, 1)
    store.put(blob, iter(lambda: pytest.fail("was read"), None))


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ((b"other conten",), "digest"),
        ((b"right conte",), "11 came"),
        ((b"right content", b"s"), "more came"),
        ((), "0 came"),
    ],
)
def test_content_that_is_not_what_was_announced_leaves_nothing(store, chunks, message):
    blob = blob_of(b"right content")
    if chunks == (b"other conten",):
        chunks = (b"other content",)
    with pytest.raises(BlobCorruptError, match=message):
        store.put(blob, chunks)
    assert files_of(store) == set()
    store.put(blob, (b"right content",))


def test_a_transfer_that_breaks_leaves_nothing_and_gives_its_room_back(store):
    blob = blob_of(bytes(QUOTA))

    def broken():
        yield bytes(500)
        raise ConnectionResetError("gone")

    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            store.put(blob, broken())
    assert files_of(store) == set()
    store.put(blob, (bytes(QUOTA),))


@pytest.mark.parametrize("sha256", ["", "../x", "AB" * 32, "ab" * 31, "ab" * 32 + "\n", ".lock"])
def test_only_digests_are_names(store, sha256):
    blob = BlobRef(sha256=sha256, n_bytes=1)
    for call in (lambda: store.put(blob, (b"a",)), lambda: store.missing((blob,)), lambda: store.path_of(blob)):
        with pytest.raises(RequestRejectedError, match="no sha256"):
            call()


def test_leftovers_are_removed_and_content_is_found_again(tmp_path):
    first = ShardStore(tmp_path, QUOTA)
    blob = put(first, 1)
    first.close()
    (tmp_path / ".incoming-left").write_bytes(b"half")
    (tmp_path / "notes.txt").write_bytes(b"not ours")
    second = ShardStore(tmp_path, QUOTA)
    assert files_of(second) == {blob.sha256, "notes.txt"}
    assert second.missing((blob,)) == ()
    second.close()


def test_a_folder_has_one_agent(tmp_path, store):
    with pytest.raises(AgentConfigError, match="Another agent"):
        ShardStore(tmp_path, QUOTA)
    store.close()
    again = ShardStore(tmp_path, QUOTA)
    again.close()
    store._lock_file = os.open(os.devnull, os.O_RDONLY)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AgentConfigError, match=r"file/store"):
        ShardStore(tmp_path / "file" / "store", QUOTA)


def test_what_was_not_used_for_longest_goes_first(store, clock):
    first, second, third = (put(store, number) for number in range(3))
    clock.now += PROTECTED_SECONDS
    store.path_of(first)
    clock.now += PROTECTED_SECONDS
    fourth = put(store, 4)
    assert files_of(store) == {first.sha256, third.sha256, fourth.sha256}
    assert store.missing((second,)) == (second,)


def test_use_is_remembered_by_later_agents(tmp_path, clock):
    store = ShardStore(tmp_path, QUOTA, clock)
    blobs = [put(store, number) for number in range(3)]
    for number, blob in enumerate(blobs):
        os.utime(tmp_path / blob.sha256, (number, number))
    store.path_of(blobs[0])
    store.close()
    later = ShardStore(tmp_path, QUOTA, clock)
    put(later, 4)
    assert blobs[1].sha256 not in files_of(later)
    assert blobs[0].sha256 in files_of(later)
    later.close()


def test_what_a_stage_uses_is_never_evicted(store, clock):
    used = [put(store, number) for number in range(3)]
    shard = ShardRef(graph=used[0], blobs=tuple(used[1:]))
    with store.in_use(shard), store.in_use(shard):
        clock.now += 10 * PROTECTED_SECONDS
        with pytest.raises(StoreFullError, match=r"needs 300 bytes.* 100 left.* 0 bytes"):
            put(store, 4)
        assert len(files_of(store)) == 3
    put(store, 4)


def test_what_was_just_asked_for_is_kept_for_a_minute(store, clock):
    blobs = [put(store, number) for number in range(3)]
    clock.now += PROTECTED_SECONDS
    store.missing(blobs[:2])
    fourth = put(store, 4)
    assert files_of(store) == {blob.sha256 for blob in (*blobs[:2], fourth)}
    with pytest.raises(StoreFullError):
        put(store, 5)


def test_more_than_the_quota_is_refused_before_anything_goes(store, clock):
    kept = put(store, 1)
    clock.now += PROTECTED_SECONDS
    with pytest.raises(StoreFullError, match="needs 1001 bytes; the quota of 1000 bytes has 700 left"):
        put(store, 2, 1001)
    assert files_of(store) == {kept.sha256}


def test_a_full_disk_is_refused_before_writing(store, monkeypatch):
    usage = SimpleNamespace(total=0, used=0, free=(16 << 20) + 10)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(StoreFullError, match=r"has 1000 left, the disk of .* 10,"):
        put(store, 1)
    assert files_of(store) == set()


def test_two_transfers_cannot_promise_themselves_the_same_room(store):
    blob = blob_of(bytes(700))
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        begun.set()
        go_on.wait(10)
        yield bytes(700)

    transfer = threading.Thread(target=store.put, args=(blob, slow()))
    transfer.start()
    begun.wait(10)
    with pytest.raises(StoreFullError):
        put(store, 1, 400)
    go_on.set()
    transfer.join(10)
    assert files_of(store) == {blob.sha256}


def test_what_a_transfer_has_written_needs_no_further_room_on_the_disk(store, monkeypatch):
    def usage(folder):
        n_bytes = sum(path.stat().st_size for path in folder.iterdir())
        return SimpleNamespace(total=0, used=0, free=(16 << 20) + 900 - n_bytes)

    monkeypatch.setattr("shutil.disk_usage", usage)
    blob = blob_of(bytes(600))
    begun, go_on = threading.Event(), threading.Event()

    def slow():
        yield bytes(500)
        begun.set()
        go_on.wait(10)
        yield bytes(100)

    transfer = threading.Thread(target=store.put, args=(blob, slow()))
    transfer.start()
    begun.wait(10)
    with pytest.raises(StoreFullError, match=r"the disk of .* 300,"):
        put(store, 1, 301)
    kept = put(store, 1, 300)
    go_on.set()
    transfer.join(10)
    assert files_of(store) == {blob.sha256, kept.sha256}


def test_the_same_blob_may_come_twice_at_once(store):
    content = os.urandom(300)
    blob = blob_of(content)
    barrier = threading.Barrier(3)

    def chunks():
        barrier.wait(10)
        yield content

    transfers = [threading.Thread(target=store.put, args=(blob, chunks())) for _ in range(3)]
    for transfer in transfers:
        transfer.start()
    for transfer in transfers:
        transfer.join(10)
    assert files_of(store) == {blob.sha256}
    assert store.stored_bytes == 300


def test_missing_parts_of_a_shard_are_named(store):
    shard = matmul_shard().ref
    with pytest.raises(BlobMissingError, match=shard.graph.sha256), store.in_use(shard):
        pass
    with pytest.raises(BlobMissingError, match=shard.graph.sha256):
        store.path_of(shard.graph)


@pytest.mark.parametrize("which", [0, 1], ids=["graph", "blob"])
def test_what_lost_a_bit_on_disk_is_not_run_by_a_later_agent(tmp_path, which):
    shard = matmul_shard()
    blobs = (shard.ref.graph, *shard.ref.blobs)
    first = ShardStore(tmp_path, 1 << 20)
    for blob in blobs:
        first.put(blob, (shard.contents[blob.sha256],))
    first.close()
    damaged = blobs[which]
    content = bytearray(shard.contents[damaged.sha256])
    content[len(content) // 2] ^= 1
    (tmp_path / damaged.sha256).write_bytes(content)
    later = ShardStore(tmp_path, 1 << 20)
    with pytest.raises(BlobMissingError, match=f"Blob {damaged.sha256} was damaged"), later.in_use(shard.ref):
        pass
    assert later.missing(blobs) == (damaged,)
    later.put(damaged, (shard.contents[damaged.sha256],))
    with later.in_use(shard.ref):
        assert later.missing(blobs) == ()
    later.close()


def test_a_file_removed_by_hand_counts_as_missing(store):
    blob = put(store, 1)
    (store.folder / blob.sha256).unlink()
    assert store.missing((blob,)) == (blob,)
    put(store, 1)
    assert store.missing((blob,)) == ()
