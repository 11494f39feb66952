import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hostile_work import endless_loop
from node_processes import running_agent
from node_shards import blob_of, build_shard, matmul_shard, spec
from onnx import helper

from node_agent.client import NodeClient
from node_agent.errors import NodeError, ShardRejectedError
from node_agent.host.facts import held_bytes
from node_agent.host.runtime import RuntimeOptions
from node_agent.host.shard_store import ShardStore
from node_agent.host.trials import confinement, system_calls
from node_agent.host.trials.helper_process import helper_environment
from node_agent.host.trials.record import TrialRecord
from node_agent.host.trials.trials import Trials
from node_agent.limits import Limits
from node_agent.messages import ShardRef

ROOT = Path(__file__).parents[2]

OPTIONS = RuntimeOptions(n_threads=1, providers=("CPUExecutionProvider",))
MEMORY = 512 << 20


class Place:
    """A store and the trials of its shards."""

    def __init__(self, folder):
        self.folder = folder
        self.store = ShardStore(folder, 64 << 20)
        self.missing_blobs, self.put_blob = self.store.missing, self.store.put
        self.made = []
        self.left = MEMORY

    def trials(self, options=OPTIONS, runtime="onnxruntime 1", trial_seconds=1.0, **more):
        self.made.append(
            Trials(
                self.folder,
                options,
                Limits(trial_seconds=trial_seconds),
                runtime=runtime,
                memory_limit=MEMORY,
                memory_left=lambda: self.left,
                **more,
            )
        )
        return self.made[-1]

    def put(self, content):
        self.store.put(blob_of(content), (content,))
        return ShardRef(graph=blob_of(content))

    def close(self):
        for trials in self.made:
            trials.close()
        self.store.close()


@pytest.fixture
def place(tmp_path):
    opened = Place(tmp_path)
    yield opened
    opened.close()


def helper_of(trials):
    return psutil.Process(trials._helper._process.pid)


def test_a_shard_is_tried_once_and_known_to_later_agents(place):
    shard = matmul_shard()
    shard.put_into(place)
    place.trials().check(shard.ref)
    later = place.trials()
    later.check(shard.ref)
    assert later._helper._process is None
    (n_bytes,) = json.loads((place.folder / ".tried.json").read_text())["memory_bytes"].values()
    assert 0 <= n_bytes < 100 << 20
    assert (place.folder / ".tried.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("optimisation", ["none", "basic", "extended", "all"])
def test_a_shard_of_many_weights_may_open_all_their_files(place, optimisation):
    names = [f"w{i}" for i in range(200)]
    tensors = ["x", *(f"t{i}" for i in range(1, 200)), "y"]
    nodes = [helper.make_node("Add", [tensors[i], names[i]], [tensors[i + 1]]) for i in range(200)]
    weights = {name: np.full((4, 8), i, np.float32) for i, name in enumerate(names)}
    shard = build_shard(nodes, (spec("x", (4, 8)),), (spec("y", (4, 8)),), weights)
    shard.put_into(place)
    options = RuntimeOptions(n_threads=1, providers=OPTIONS.providers, optimisation=optimisation)
    place.trials(options).check(shard.ref)


def test_an_agent_may_open_as_many_files_as_the_system_allows():
    work = (
        "import resource as r; from node_agent.host.descriptors import allow_many_files as allow;"
        "r.setrlimit(r.RLIMIT_NOFILE, (100, 500)); allow(); print(*r.getrlimit(r.RLIMIT_NOFILE))"
    )
    assert subprocess.check_output([sys.executable, "-c", work], cwd=ROOT, text=True) == "500 500\n"


@pytest.mark.parametrize("change", [{"runtime": "onnxruntime 2"}, {"options": "basic"}])
def test_another_runtime_or_level_has_all_tried_again(place, change):
    shard = matmul_shard()
    shard.put_into(place)
    place.trials().check(shard.ref)
    if "options" in change:
        change = {"options": RuntimeOptions(n_threads=1, providers=OPTIONS.providers, optimisation="basic")}
    other = place.trials(**change)
    other.check(shard.ref)
    assert other._helper._process is not None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"environment": "e", "memory_bytes": {"a": "b"}}', b"\xff"])
def test_a_damaged_record_costs_trials_and_nothing_else(tmp_path, content):
    (tmp_path / ".tried.json").write_bytes(content)
    record = TrialRecord(tmp_path, "e")
    assert record.memory_of("a") is None
    record.keep("a", 5)
    assert TrialRecord(tmp_path, "e").memory_of("a") == 5


def test_a_record_is_never_written_through_a_link(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("kept")
    store = tmp_path / "store"
    store.mkdir()
    for name in (".tried.json", ".tried.json.new"):
        (store / name).symlink_to(outside)
    TrialRecord(store, "e").keep("a", 5)
    assert outside.read_text() == "kept"
    assert TrialRecord(store, "e").memory_of("a") == 5


def test_a_known_shard_that_no_longer_fits_is_refused_without_a_trial(place):
    shard = matmul_shard()
    shard.put_into(place)
    trials = place.trials()
    trials._record.keep(shard.ref.graph.sha256, 2 << 20)
    place.left = 1 << 20
    with pytest.raises(ShardRejectedError, match=r"needs more memory than .*--max-memory, 512 MiB.* it took 2 MiB"):
        trials.check(shard.ref)
    assert trials._helper._process is None


def test_a_shard_that_lost_a_bit_on_disk_is_refused(place):
    shard = matmul_shard()
    shard.put_into(place)
    path = place.folder / shard.ref.graph.sha256
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    with pytest.raises(ShardRejectedError, match="graph on the node's disk is damaged"):
        place.trials().check(shard.ref)


def test_a_link_in_the_store_is_refused(place):
    shard = matmul_shard()
    shard.put_into(place)
    path = place.folder / shard.ref.blobs[0].sha256
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(ShardRejectedError, match="is no plain file"):
        place.trials().check(shard.ref)


def test_a_run_that_fails_on_zeroes_is_no_fault_of_the_shard(place):
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    shard = build_shard(nodes, (spec("x", (4,)), spec("s", (2,), "int64")), (spec("y", (2, 2)),))
    shard.put_into(place)
    place.trials().check(shard.ref)


def test_sizes_that_a_graph_leaves_open_are_those_announced(place):
    content = helper.make_model(
        helper.make_graph(
            [helper.make_node("Relu", ["x"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", 1, ("n", 3))],
            [helper.make_tensor_value_info("y", 1, ("n", 3))],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    ).SerializeToString()
    shard = place.put(content)
    trials = place.trials()
    with pytest.raises(ShardRejectedError, match="nobody announces its sizes: write all into the shard"):
        trials.check(shard)
    trials.check(shard, (spec("x", (5, 3)),))


def test_a_helper_that_was_killed_is_started_again(place):
    trials = place.trials()
    for seed in range(2):
        shard = matmul_shard(seed=seed)
        shard.put_into(place)
        trials.check(shard.ref)
        one = helper_of(trials)
        one.kill()
        one.wait(5)


def test_the_helper_has_one_thread_and_is_kept(place):
    trials = place.trials()
    helpers = set()
    for seed in range(3):
        shard = matmul_shard(seed=seed)
        shard.put_into(place)
        trials.check(shard.ref)
        helpers.add(helper_of(trials).pid)
        assert helper_of(trials).num_threads() == 1
        assert helper_of(trials).children() == []
    assert len(helpers) == 1
    process = helper_of(trials)
    trials.close()
    assert not process.is_running()


def child_of(process):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if children := process.children():
            return children[0]
        time.sleep(0.002)
    raise AssertionError("no trial was begun")


def test_a_trial_that_crashes_is_told_by_its_signal(place, caplog):
    shard = place.put(endless_loop().SerializeToString())
    trials = place.trials(trial_seconds=60.0)
    trials.prepare()
    faults = []

    def check():
        try:
            trials.check(shard)
        except ShardRejectedError as exc:
            faults.append(str(exc))

    work = threading.Thread(target=check)
    work.start()
    child = child_of(helper_of(trials))
    child.send_signal(signal.SIGSEGV)
    work.join(20)
    (fault,) = faults
    assert "makes onnxruntime crash (SIGSEGV)" in fault
    (logged,) = (record for record in caplog.records if record.getMessage() == "shard refused")
    assert (logged.verdict, logged.detail) == ("crashed", "'SIGSEGV'")


def fail_to_load(client, load):
    with pytest.raises(NodeError):
        client.load_stage(load)


def test_a_trial_ends_with_an_agent_that_is_killed(tmp_path):
    content = endless_loop().SerializeToString()
    shard = matmul_shard()
    with running_agent(tmp_path, "--trial-seconds", "60") as agent, NodeClient.connect(agent.address) as client:
        client.put_blob(blob_of(content), (content,))
        load = shard.load(shard=ShardRef(graph=blob_of(content)))
        work = threading.Thread(target=fail_to_load, args=(client, load))
        work.start()
        process = psutil.Process(agent.process.pid)
        helper = child_of(process)
        child = child_of(helper)
        agent.kill()
        work.join(20)
        _, alive = psutil.wait_procs([helper, child], 10)
        assert alive == []


def test_what_cannot_be_limited_is_refused_and_said(place, monkeypatch):
    shard = matmul_shard()
    shard.put_into(place)
    trials = place.trials()
    assert trials.description == "limited"
    monkeypatch.setattr("node_agent.host.trials.helper_process._COMMAND", ("/nowhere/python",))
    with pytest.raises(ShardRejectedError, match=r"cannot be tried in a limited process .*--without-trials"):
        trials.check(shard.ref)
    assert trials.description.startswith("none: FileNotFoundError")


def test_trials_that_are_off_are_said_to_be(place):
    trials = place.trials(is_off=True)
    trials.check(ShardRef(graph=blob_of(b"never put")))
    assert trials.description == "none: --without-trials was given"


@pytest.mark.parametrize(
    ("machine", "providers", "said"),
    [
        (
            "riscv64",
            OPTIONS.providers,
            "limited, but system calls stay, since the system calls of riscv64 are not known",
        ),
        ("x86_64", ("CUDAExecutionProvider",), "limited, but memory is watched, but not bounded and system calls stay"),
    ],
)
def test_what_is_lacking_is_said(place, monkeypatch, machine, providers, said):
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert place.trials(RuntimeOptions(n_threads=1, providers=providers)).description.startswith(said)


def test_what_a_process_holds_is_its_memory_without_mapped_files() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        counted = psutil.Process(process.pid).memory_info()
        assert held_bytes(process.pid) == counted.rss - counted.shared
        assert held_bytes() > counted.rss - counted.shared
    finally:
        process.kill()
        process.communicate()
    assert held_bytes(process.pid) == 0


def test_a_helper_is_told_no_secrets():
    told = helper_environment(
        {
            "PATH": "/bin",
            "SPLITFRONT_TOKEN": "canary",
            "AWS_SECRET": "canary",
            "PATH_TO_SECRET": "canary",
            "CUDA_HOME": "/c",
        }
    )
    assert (told["PATH"], told["CUDA_HOME"]) == ("/bin", "/c")
    assert "canary" not in str(told)


def test_a_confined_process_can_read_and_compute_and_little_else(tmp_path):
    (tmp_path / "kept").write_text("kept")
    ended = subprocess.run(
        [sys.executable, Path(__file__).with_name("confined_work.py"), tmp_path],
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(ended.stdout)
    names = ("read", "compute", "memory", "thread", "niceness", "descriptors")
    done = {name: found.pop(name) for name in names}
    assert done.pop("niceness") >= confinement._NICENESS
    assert done == {"read": "kept", "compute": 1000.0, "memory": "MemoryError", "thread": "done", "descriptors": 5}
    assert set(found.values()) == {"EPERM"}, found
    assert sorted(path.name for path in Path(tmp_path).iterdir()) == ["kept"]


def test_a_filter_is_made_for_each_machine():
    for machine in ("x86_64", "aarch64"):
        content = system_calls.filter_for(machine)
        assert len(content) % 8 == 0
        assert len(content) // 8 < 4096
