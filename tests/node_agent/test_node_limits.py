"""Limits of an agent: each is kept, and its refusal names it with its value."""

import os
import shutil
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from hostile_kit import BOOL, INT64, model, node, scalar, value
from node_processes import running_agent
from node_shards import BuiltShard, blob_of, matmul_shard, spec
from onnx import helper
from scarce_threads import no_threads_left
from system_tree import write_system

from node_agent.agent import Agent
from node_agent.client import NodeClient
from node_agent.config import AgentConfig
from node_agent.errors import RequestRejectedError, ShardRejectedError, StageFailedError, StoreFullError
from node_agent.host.run_watch import RunWatch
from node_agent.host.shard_store import ShardStore
from node_agent.limits import Limits, size_text
from node_agent.messages import ProfileRequest, ProfileSegment, SegmentSamples, ShardRef


@pytest.fixture
def agent_with(tmp_path):
    agents = []

    def make(**limits):
        agents.append(Agent(AgentConfig(name="n", store=tmp_path / f"store{len(agents)}", limits=Limits(**limits))))
        return agents[-1]

    yield make
    for agent in agents:
        agent.close()


def test_no_more_shards_are_open_than_the_limit_allows(agent_with):
    agent = agent_with(n_sessions=2)
    shard = matmul_shard()
    shard.put_into(agent)
    for epoch in (1, 2):
        agent.load_stage(shard.load(epoch=epoch))
    with pytest.raises(RequestRejectedError, match="2 shards are open, as many as --max-sessions 2 allows: unload"):
        agent.load_stage(shard.load(epoch=3))
    agent.unload_stage("d", last_epoch=1)
    agent.load_stage(shard.load(epoch=3))


def test_a_profile_opens_no_more_at_once_than_are_left(agent_with):
    agent = agent_with(n_sessions=2)
    shards = [matmul_shard(seed=seed) for seed in range(5)]
    for shard in shards:
        shard.put_into(agent)
    agent.load_stage(shards[0].load())
    segments = tuple(ProfileSegment(name=f"s{index}", shard=shard.ref) for index, shard in enumerate(shards))
    request = ProfileRequest(segments=segments, n_rounds=3, budget_seconds=1, seed=0, tolerance=0.0)
    timed = {event.name for event in agent.profile(request) if isinstance(event, SegmentSamples)}
    assert timed == {f"s{index}" for index in range(5)}


def test_no_more_shards_are_open_than_the_system_has_threads_for(tmp_path):
    write_system(
        tmp_path,
        {
            "proc/self/cgroup": "3:pids:/agents/one",
            "proc/self/mountinfo": "30 23 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids",
            "sys/fs/cgroup/pids/agents/pids.max": 200,
            "sys/fs/cgroup/pids/agents/pids.current": 100,
            "sys/fs/cgroup/pids/agents/one/pids.max": "max",
            "sys/fs/cgroup/pids/agents/one/pids.current": 90,
        },
    )
    agent = Agent(AgentConfig(name="n", store=tmp_path / "store", n_threads=11), system=tmp_path)
    shard = matmul_shard()
    shard.put_into(agent)
    assert agent._opener.n_left == 3  # of 10 threads each, with 64 left for all else
    agent.load_stage(shard.load())
    write_system(tmp_path, {"sys/fs/cgroup/pids/agents/pids.current": 191})
    with pytest.raises(RequestRejectedError, match="needs 10 more threads, the system lets the agent start 9: unload"):
        agent.load_stage(shard.load(epoch=2))
    agent.close()


def test_a_shard_that_was_refused_leaves_its_session_to_others(agent_with):
    agent = agent_with(n_sessions=1)
    good = matmul_shard()
    good.put_into(agent)
    agent.put_blob(blob_of(b"rubbish"), (b"rubbish",))
    for _ in range(3):
        with pytest.raises(ShardRejectedError):
            agent.load_stage(good.load(shard=ShardRef(graph=blob_of(b"rubbish"))))
    agent.load_stage(good.load())


def test_a_shard_above_the_memory_that_is_left_names_the_limit(agent_with):
    held = np.ones(64 << 20, np.int8)  # as much as the limit allows, beside what the process has
    agent = agent_with(memory_bytes=held.nbytes)
    shard = matmul_shard()
    shard.put_into(agent)
    with pytest.raises(ShardRejectedError, match=r"than the 0 bytes that the limit \(--max-memory, 64 MiB\) leaves"):
        agent.load_stage(shard.load())


def counting_shard():
    """Counts to the number that comes in: how long it takes is the sender's to choose."""
    inputs = [value("i", (), INT64), value("c", (), BOOL), value("before", (2,))]
    outputs = [value("go", (), BOOL), value("v", (2,))]
    body = helper.make_graph([node("Identity", "c", "go"), node("Add", "before before", "v")], "b", inputs, outputs)
    made = model(
        [node("Reshape", "n none", "count"), node("Loop", "count yes x", "m", body=body)],
        [scalar("yes", True, bool), scalar("none", [], np.int64)],
        inputs=[value("x", (2,)), value("n", (1,), INT64)],
    )
    content = made.SerializeToString()
    tensors = (spec("x", (2,)), spec("n", (1,), "int64")), (spec("y", (2,)),)
    return BuiltShard(ShardRef(graph=blob_of(content)), {blob_of(content).sha256: content}, *tensors)


def test_a_run_that_never_ends_is_ended_and_the_session_goes_on(agent_with):
    agent = agent_with(run_seconds=1)
    shard = counting_shard()
    shard.put_into(agent)
    session = agent._opener.open(shard.ref)
    quick = {"x": np.ones(2, np.float32), "n": np.array([3])}
    session.run(quick)
    started = time.monotonic()
    with pytest.raises(StageFailedError, match=r"a run was ended: it took more than the limit, --run-seconds 1$"):
        session.run(quick | {"n": np.array([2**62])})
    assert 0.9 < time.monotonic() - started < 30
    np.testing.assert_array_equal(session.run(quick)["y"], [9, 9])
    session.close()


class FakeSession:
    def __init__(self, running_since):
        self.running_since = running_since
        self.reasons = []

    def interrupt(self, reason):
        self.reasons.append(reason)


def test_the_longest_run_ends_when_memory_is_over():
    watch = RunWatch(60.0, 1 << 30, lambda: (1 << 30) + 1)
    idle, old, new = FakeSession(None), FakeSession(1.0), FakeSession(2.0)
    watch.look((idle, old, new), now=3.0)
    assert old.reasons == ["the agent holds 1 GiB of memory, above the limit, --max-memory 1 GiB"]
    assert idle.reasons == new.reasons == []


def test_short_runs_are_not_ended_for_memory():
    session = FakeSession(2.9)
    RunWatch(60.0, 0, lambda: 5).look((session,), now=3.0)
    assert session.reasons == []


def test_nobody_watches_when_there_is_nothing_to_watch():
    watch = RunWatch(60.0, 0, lambda: 5)
    session = FakeSession(None)
    watch.add(session)
    assert "run watch" in {thread.name for thread in threading.enumerate()}
    watch.remove(session)
    watch.remove(session)
    deadline = time.monotonic() + 10
    while "run watch" in {thread.name for thread in threading.enumerate()} and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "run watch" not in {thread.name for thread in threading.enumerate()}


def test_runs_are_watched_once_there_are_threads_again():
    watch = RunWatch(60.0, 0, lambda: 5)
    with no_threads_left(), pytest.raises(RuntimeError):
        watch.add(FakeSession(None))
    session = FakeSession(time.monotonic() - 100)
    watch.add(session)
    deadline = time.monotonic() + 10
    while not session.reasons and time.monotonic() < deadline:
        time.sleep(0.01)
    watch.remove(session)
    assert session.reasons


@pytest.mark.parametrize("named", ["run watch", "compute", "leases"])
def test_a_stage_for_which_there_is_no_thread_leaves_its_session_to_others(agent_with, named):
    agent = agent_with(n_sessions=1)
    shard = matmul_shard()
    shard.put_into(agent)
    with no_threads_left(named), pytest.raises(RuntimeError):
        agent.load_stage(shard.load(lease_seconds=0.2))
    agent.load_stage(shard.load(lease_seconds=0.2))
    deadline = time.monotonic() + 10
    while agent.list_stages() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not agent.list_stages()


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1 << 20, "1 MiB"), (3 << 29, "1.5 GiB")]
)
def test_sizes_are_said_as_people_say_them(n_bytes, text):
    assert size_text(n_bytes) == text


def test_the_limit_of_memory_is_a_share_unless_it_is_told():
    assert Limits().memory_limit(1000) == 800
    assert Limits(memory_bytes=7).memory_limit(1000) == 7


# --- a disk that fills while a blob comes in


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 48 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", folder], capture_output=True, text=True, check=False
        )
        if shutil.which("mount")
        else None
    )
    if mounted is None or mounted.returncode:
        pytest.skip(f"may not mount a file system: {mounted.stderr.strip() if mounted else 'there is no mount'}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith((".lock", ".tried")))


def fill(folder: Path, n_left: int) -> Path:
    """Takes the room of a file system but for some bytes, while others may be writing."""
    path = folder / "somebody-else"
    with path.open("wb") as file:
        for _ in range(1000):
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - n_left)
                return path
    raise AssertionError("the disk cannot be filled")


def test_a_disk_that_fills_in_the_middle_of_a_push_keeps_nothing_half_written(small_disk):
    store = ShardStore(small_disk, 1 << 30)
    content = os.urandom(20 << 20)
    blob = blob_of(content)

    def chunks():
        yield content[: 4 << 20]
        fill(small_disk, 1 << 20)
        yield content[4 << 20 :]

    with pytest.raises(StoreFullError, match=f"Cannot write blob {blob.sha256} of 20971520 bytes: No space left"):
        store.put(blob, chunks())
    assert names_in(small_disk) == ["somebody-else"]
    assert store.stored_bytes == 0
    (small_disk / "somebody-else").unlink()
    store.put(blob, (content,))
    assert names_in(small_disk) == [blob.sha256]
    store.close()


def test_an_agent_on_a_full_disk_refuses_goes_on_and_takes_the_blob_when_there_is_room(small_disk, tmp_path):
    content, filled = os.urandom(20 << 20), threading.Event()
    blob = blob_of(content)
    with (
        running_agent(tmp_path / "log", "--store", str(small_disk)) as agent,
        NodeClient.connect(agent.address) as client,
    ):

        def chunks():
            for start in range(0, len(content), 1 << 20):
                if start == 8 << 20:
                    fill(small_disk, 1 << 19)
                    filled.set()
                yield content[start : start + (1 << 20)]

        with pytest.raises(StoreFullError, match=blob.sha256):
            client.put_blob(blob, chunks())
        assert filled.wait(10)
        assert names_in(small_disk) == ["somebody-else"]
        (again,) = client.missing_blobs((blob,))
        assert again.n_have == 0
        with pytest.raises(StoreFullError, match=r"the disk of .* has 0|the disk of .* 0, "):
            client.put_blob(blob, (content,))
        (small_disk / "somebody-else").unlink()
        client.put_blob(blob, (content,))
        assert client.missing_blobs((blob,)) == ()
        assert psutil.pid_exists(agent.process.pid)


def test_a_write_that_fails_keeps_nothing(tmp_path, monkeypatch):
    """As above, where no file system may be mounted."""
    store = ShardStore(tmp_path, 1 << 30)
    content = os.urandom(3 << 20)
    real, n_writes = os.write, 0

    def write(descriptor, piece):
        nonlocal n_writes
        n_writes += 1
        if n_writes == 3:
            raise OSError(28, "No space left on device")
        return real(descriptor, piece)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StoreFullError, match="No space left on device"):
        store.put(blob_of(content), (content[i : i + (1 << 20)] for i in range(0, len(content), 1 << 20)))
    monkeypatch.undo()
    assert names_in(tmp_path) == []
    assert store.stored_bytes == 0
    store.close()
