"""What a store keeps of blobs whose transfers were cut."""

import os
import threading
import time

import pytest
from node_shards import blob_of
from test_node_store import Clock, files_of

from node_agent.errors import BlobCorruptError, RequestRejectedError, StoreFullError
from node_agent.host.incoming import LEAST_PARTIAL_BYTES, PARTIAL_SECONDS, SILENT_SECONDS
from node_agent.host.shard_store import ShardStore
from node_agent.host.store_index import PROTECTED_SECONDS, partial_name
from node_agent.messages import BlobRef

MEBIBYTE = 1 << 20
QUOTA = 20 * MEBIBYTE
CONTENT = os.urandom(8 * MEBIBYTE)
BLOB = blob_of(CONTENT)
HALF = 4 * MEBIBYTE


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    opened = ShardStore(tmp_path, QUOTA, clock)
    yield opened
    opened.close()


def cut(store: ShardStore, content: bytes = CONTENT, n_bytes: int = HALF, n_have: int = 0) -> BlobRef:
    """A transfer that breaks when so many bytes are there; what is missing afterwards."""

    def chunks():
        for start in range(n_have, n_bytes, MEBIBYTE):
            yield content[start : min(start + MEBIBYTE, n_bytes)]
        raise ConnectionResetError("gone")

    blob = blob_of(content)
    with pytest.raises(ConnectionResetError):
        store.put(BlobRef(sha256=blob.sha256, n_bytes=blob.n_bytes, n_have=n_have), chunks())
    (missing,) = store.missing((blob,))
    return missing


def test_what_came_is_kept_and_the_rest_is_enough(store):
    missing = cut(store)
    assert missing == BlobRef(sha256=BLOB.sha256, n_bytes=len(CONTENT), n_have=HALF)
    assert store.stored_bytes == HALF
    store.put(missing, (CONTENT[HALF:],))
    assert store.path_of(BLOB).read_bytes() == CONTENT
    assert files_of(store) == {BLOB.sha256}
    assert store.stored_bytes == len(CONTENT)


def test_it_may_be_cut_again_and_again(store):
    n_have = 0
    for n_bytes in range(MEBIBYTE, len(CONTENT), MEBIBYTE):
        n_have = cut(store, n_bytes=n_bytes, n_have=n_have).n_have
        assert n_have == n_bytes
        assert files_of(store) == {partial_name(BLOB.sha256)}
    store.put(cut(store, n_bytes=len(CONTENT), n_have=n_have), ())
    assert store.path_of(BLOB).read_bytes() == CONTENT


def test_a_sender_that_ends_early_may_go_on(store):
    with pytest.raises(BlobCorruptError, match=f"{HALF} came"):
        store.put(BLOB, (CONTENT[:HALF],))
    (missing,) = store.missing((BLOB,))
    assert missing.n_have == HALF
    store.put(missing, (CONTENT[HALF:],))
    assert store.path_of(BLOB).read_bytes() == CONTENT


@pytest.mark.parametrize("place", [0, HALF - 1])
def test_a_beginning_that_does_not_verify_is_thrown_away_and_sent_anew(store, place):
    missing = cut(store)
    with (store.folder / partial_name(BLOB.sha256)).open("r+b") as file:
        file.seek(place)
        file.write(bytes([CONTENT[place] ^ 1]))
    with pytest.raises(BlobCorruptError, match=f"first {HALF} bytes were kept"):
        store.put(missing, (CONTENT[HALF:],))
    assert files_of(store) == set()
    assert store.missing((BLOB,)) == (BLOB,)
    store.put(BLOB, (CONTENT,))


def test_a_sender_that_goes_on_elsewhere_is_told_to_ask(store):
    for n_have in (1, HALF):
        with pytest.raises(BlobCorruptError, match=rf"goes on at {n_have} bytes.*ask again"):
            store.put(BlobRef(sha256=BLOB.sha256, n_bytes=len(CONTENT), n_have=n_have), (CONTENT[n_have:],))
    missing = cut(store)
    (store.folder / partial_name(BLOB.sha256)).unlink()
    with pytest.raises(BlobCorruptError, match="ask again"):
        store.put(missing, (CONTENT[HALF:],))
    with pytest.raises(RequestRejectedError, match="cannot go on at"):
        store.put(BlobRef(sha256=BLOB.sha256, n_bytes=5, n_have=6), ())


def test_a_sender_may_go_on_before_the_end_of_what_is_there(store):
    cut(store)
    store.put(BlobRef(sha256=BLOB.sha256, n_bytes=len(CONTENT), n_have=1000), (CONTENT[1000:],))
    assert store.path_of(BLOB).read_bytes() == CONTENT


def test_a_whole_transfer_takes_the_place_of_a_beginning(store):
    cut(store)
    store.put(BLOB, (CONTENT,))
    assert files_of(store) == {BLOB.sha256}
    assert store.stored_bytes == len(CONTENT)


def test_the_longer_beginning_is_kept(store):
    cut(store, n_bytes=3 * MEBIBYTE)
    assert cut(store, n_bytes=2 * MEBIBYTE).n_have == 3 * MEBIBYTE
    assert store.stored_bytes == 3 * MEBIBYTE


def test_too_little_is_not_kept(store):
    assert cut(store, n_bytes=LEAST_PARTIAL_BYTES - 1).n_have == 0
    assert files_of(store) == set()


def test_a_beginning_longer_than_the_blob_is_not_counted_on(store):
    cut(store)
    wrong = BlobRef(sha256=BLOB.sha256, n_bytes=1000)
    assert store.missing((wrong,)) == (wrong,)


def test_beginnings_count_in_the_quota_and_go_first(store, clock):
    first = os.urandom(6 * MEBIBYTE)
    store.put(blob_of(first), (first,))
    cut(store)
    last = os.urandom(8 * MEBIBYTE)
    with pytest.raises(StoreFullError, match="needs"):  # both are protected for a minute
        store.put(blob_of(os.urandom(11 * MEBIBYTE)), ())
    clock.now += PROTECTED_SECONDS
    store.put(blob_of(last), (last,))
    assert files_of(store) == {blob_of(first).sha256, partial_name(BLOB.sha256), blob_of(last).sha256}
    more = os.urandom(3 * MEBIBYTE)
    store.put(blob_of(more), (more,))
    assert partial_name(BLOB.sha256) not in files_of(store)
    assert blob_of(first).sha256 in files_of(store)


def test_going_on_needs_room_for_the_rest_only(store):
    content = os.urandom(18 * MEBIBYTE)
    missing = cut(store, content, n_bytes=15 * MEBIBYTE)
    store.put(missing, (content[15 * MEBIBYTE :],))
    assert store.stored_bytes == len(content)


def test_a_beginning_is_found_by_a_later_agent(tmp_path, clock):
    first = ShardStore(tmp_path, QUOTA, clock)
    cut(first)
    first.close()
    second = ShardStore(tmp_path, QUOTA, clock)
    (missing,) = second.missing((BLOB,))
    second.put(missing, (CONTENT[HALF:],))
    assert second.path_of(BLOB).read_bytes() == CONTENT
    second.close()


def test_what_a_killed_agent_left_is_a_beginning(tmp_path):
    left = f".incoming-{BLOB.sha256}-"
    (tmp_path / f"{left}{0:016x}").write_bytes(CONTENT[: 2 * MEBIBYTE])
    (tmp_path / f"{left}{1:016x}").write_bytes(CONTENT[:HALF])
    (tmp_path / f"{left}{2:016x}").write_bytes(CONTENT[:1000])
    (tmp_path / ".incoming-of-an-older-version").write_bytes(CONTENT)
    old = tmp_path / partial_name("0" * 64)
    old.write_bytes(CONTENT)
    long_ago = time.time() - PARTIAL_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    store = ShardStore(tmp_path, QUOTA)
    assert files_of(store) == {partial_name(BLOB.sha256)}
    assert store.missing((BLOB,))[0].n_have == HALF
    assert store.stored_bytes == HALF
    store.close()


class Sender:
    """A transfer in a thread of its own, which sends a half and then waits."""

    def __init__(self, store):
        self.has_sent_half, self._go_on = threading.Event(), threading.Event()
        self.error = None
        self._thread = threading.Thread(target=self._put, args=(store,))
        self._thread.start()
        assert self.has_sent_half.wait(10)

    def _put(self, store):
        try:
            store.put(BLOB, self._chunks())
        except RequestRejectedError as exc:
            self.error = exc

    def _chunks(self):
        yield CONTENT[:HALF]
        self.has_sent_half.set()
        self._go_on.wait(10)
        yield CONTENT[HALF:]

    def finish(self):
        self._go_on.set()
        self._thread.join(10)


def test_a_silent_senders_file_is_gone_on_with(store, clock):
    silent = Sender(store)
    assert store.missing((BLOB,)) == (BLOB,)
    clock.now += SILENT_SECONDS
    (missing,) = store.missing((BLOB,))
    assert missing.n_have == HALF
    store.put(missing, (CONTENT[HALF:],))
    assert store.path_of(BLOB).read_bytes() == CONTENT
    silent.finish()
    assert "Another transfer" in str(silent.error)
    assert files_of(store) == {BLOB.sha256}
    assert store.path_of(BLOB).read_bytes() == CONTENT


def test_a_silent_sender_that_speaks_again_keeps_its_file(store, clock):
    silent = Sender(store)
    clock.now += SILENT_SECONDS
    (missing,) = store.missing((BLOB,))
    silent.finish()
    assert silent.error is None
    store.put(missing, ())  # came meanwhile
    assert store.path_of(BLOB).read_bytes() == CONTENT
