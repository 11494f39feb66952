"""Every call that takes a name is given names that look like paths: nothing is written outside the store."""

import hashlib
import re
import secrets
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from node_processes import ROOT, running_agent
from node_shards import matmul_shard, spec

from node_agent.client import NodeClient
from node_agent.dataplane.plane import open_sender, subscribe
from node_agent.dataplane.planes import PLANES
from node_agent.errors import NodeError
from node_agent.messages import (
    BlobRef,
    CodecProfileRequest,
    NextHop,
    ProbeRequest,
    ProfileRequest,
    ProfileSegment,
    ShardRef,
    SubscribeFrame,
    TensorFrame,
)
from node_agent.wire import agent_pb2, agent_pb2_grpc
from node_agent.wire_codec import to_wire

MARK = f"splitfront-{secrets.token_hex(6)}"
"""In every name, so that a file made by one of them is found wherever it lies."""
HOSTILE_NAMES = (
    f"../{MARK}",
    f"../../{MARK}",
    "../" * 20 + f"tmp/{MARK}",
    f"/tmp/{MARK}",
    f"//tmp/{MARK}",
    f"/{MARK}",
    f"./{MARK}",
    f"~/{MARK}",
    f"~root/{MARK}",
    f"$HOME/{MARK}",
    f"`touch /tmp/{MARK}`",
    f"$(touch /tmp/{MARK})",
    f"; touch /tmp/{MARK}",
    f"| tee /tmp/{MARK}",
    f"{MARK}/../../{MARK}",
    f"..\\{MARK}",
    f"C:\\{MARK}",
    f"\\\\server\\{MARK}",
    f"file:///tmp/{MARK}",
    f"%2e%2e%2f{MARK}",
    f"..%c0%af{MARK}",
    f"..\u2215{MARK}",
    f"\uff0e\uff0e/{MARK}",
    f"{MARK}\0",
    f"{MARK}\n../{MARK}",
    f"{MARK}\r\n",
    f"/dev/shm/{MARK}",
    f"/proc/self/cwd/{MARK}",
    f"/proc/self/fd/1/{MARK}",
    f".incoming-{MARK}",
    f".partial-{MARK}",
    f".lock/{MARK}",
    f".tried.json/{MARK}",
    "ab" * 32 + f"/../{MARK}",
    "ab" * 32 + f"/{MARK}",
    f"{MARK}/" * 60,
    f"{MARK}" * 200,
    f"*/_ORT_MEM_ADDR_/{MARK}",
    f"-rf {MARK}",
    f"CON.{MARK}",
)
STORED = re.compile(r"\.lock|\.tried\.json|[0-9a-f]{64}")


def tree_of(folder):
    """Everything below a folder, with what it holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        found[str(path.relative_to(folder))] = (facts.st_mode, facts.st_size, facts.st_mtime_ns, content)
    return found


def marked_elsewhere():
    """Files with the mark in the folders that the names point to."""
    folders = ("/", "/tmp", "/dev/shm", "/root", Path.home(), ROOT, ROOT.parent, "/home", "/var/tmp")
    return [path for folder in map(Path, folders) if folder.is_dir() for path in folder.iterdir() if MARK in path.name]


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """Folder around the store, with files that must stay as they are; the agent's log is elsewhere."""
    folder = tmp_path_factory.mktemp("outside")
    (folder / "secret").write_text("kept")
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "secret").write_text("kept")
    return folder


@pytest.fixture(scope="module")
def agent(tmp_path_factory, outside):
    store = outside / "deep" / "er" / "store"
    with running_agent(tmp_path_factory.mktemp("log"), "--store", str(store), "--name", f"../{MARK}") as started:
        yield started


@pytest.fixture(scope="module")
def client(agent):
    with NodeClient.connect(agent.address) as connected:
        yield connected


def calls_with(name):
    """Each call that takes a name, given this one: (what, call of a client)."""
    good = matmul_shard(seed=1)
    blob = BlobRef(sha256=name, n_bytes=4)
    shard = ShardRef(graph=blob)
    named = spec(name, (2, 32))
    loads = {
        "deployment": good.load(deployment=name),
        "graph": good.load(shard=shard),
        "blob": good.load(shard=replace(good.ref, blobs=(*good.ref.blobs, blob))),
        "receives": good.load(receives=(*good.receives, named), sends=(*good.sends, named)),
        "type": good.load(receives=(replace(named, dtype=name),)),
        "address": good.load(n_stages=2, next_address=name),
        "plane": good.load(n_stages=2, next_address="127.0.0.1:1", next_plane=name),
        "hop": good.load(n_stages=2, next_hops=(NextHop(address=name, plane=name),)),
        "codec": good.load(n_stages=2, next_address="127.0.0.1:1", codec=name),
    }
    codecs = CodecProfileRequest(codecs=(name,), dtype="float32", sizes_bytes=(64,), n_rounds=1, seed=0)
    probe = ProbeRequest(target_address=name, sizes_bytes=(1,), n_rounds=1, n_messages=1, link=None, link_back=None)
    segments = {"segment": ProfileSegment(name=name, shard=good.ref), "profiled": ProfileSegment(name="s", shard=shard)}
    return [
        ("missing", lambda node: node.missing_blobs((blob,))),
        ("put", lambda node: node.put_blob(blob, (b"evil",))),
        ("put on", lambda node: node.put_blob(replace(blob, n_have=2), (b"il",))),
        *((what, lambda node, load=load: node.load_stage(load)) for what, load in loads.items()),
        ("unload", lambda node: node.unload_stage(name)),
        ("renew", lambda node: node.status((name,))),
        ("codecs", lambda node: node.profile_codecs(codecs)),
        ("type of codecs", lambda node: node.profile_codecs(replace(codecs, codecs=("none",), dtype=name))),
        ("probe", lambda node: node.probe_link(probe)),
        ("plane of a probe", lambda node: node.probe_link(replace(probe, target_address="127.0.0.1:1", plane=name))),
        *(
            (what, lambda node, segment=segment: list(node.profile(profile_of(segment))))
            for what, segment in segments.items()
        ),
    ]


def profile_of(segment):
    return ProfileRequest(segments=(segment,), n_rounds=1, budget_seconds=0.01, seed=0, tolerance=0.0)


def send_frames(agent, name):
    """The names that frames have, on both data planes."""
    for plane in PLANES:
        with suppress(NodeError):
            results = subscribe(plane, agent.at(plane), SubscribeFrame(deployment=name, epoch=1))
            results.close()
        with suppress(NodeError):
            sender = open_sender(plane, agent.at(plane))
            tensors = ((name, np.zeros(2, np.float32)),)
            sender.send(TensorFrame(deployment=name, epoch=1, request=1, stage=0, tensors=tensors))
            sender.close()


def test_there_are_enough_names():
    assert len(set(HOSTILE_NAMES)) >= 30


def test_every_name_of_the_contract_is_tried():
    """A text field that comes later must be added to `calls_with`, and here."""
    known = {
        *("BlobRef.sha256", "TensorSpec.name", "TensorSpec.dtype", "StageLoad.deployment", "StageLoad.next_address"),
        *("StageLoad.next_plane", "StageLoad.codec", "NextHop.address", "NextHop.plane", "StageUnload.deployment"),
        *("StatusRequest.renew", "ProfileSegment.name", "ProbeRequest.target_address", "ProbeRequest.plane"),
        *("CodecProfileRequest.codecs", "CodecProfileRequest.dtype"),
    }
    sent_to_a_node = {
        *("BlobRef", "TensorSpec", "StageLoad", "NextHop", "StageUnload", "StatusRequest", "ProfileSegment"),
        *("ProbeRequest", "CodecProfileRequest", "DescribeRequest", "BlobChunk", "LinkEmulation", "CodingPace"),
    }
    found = {
        f"{name}.{field.name}"
        for name in sent_to_a_node
        for field in agent_pb2.DESCRIPTOR.message_types_by_name[name].fields
        if field.type == field.TYPE_STRING
    }
    assert found == known


def test_names_that_look_like_paths_write_nothing_outside_the_store(agent, client, outside):
    matmul_shard(seed=1).put_into(client)
    store = outside / "deep" / "er" / "store"

    def outside_now():
        return {name: facts for name, facts in tree_of(outside).items() if not name.startswith("deep/er")}

    before, n_calls = outside_now(), 0
    for name in HOSTILE_NAMES:
        for _, call in calls_with(name):
            n_calls += 1
            with suppress(NodeError):
                call(client)
        send_frames(agent, name)
    assert n_calls > 30 * 15
    assert outside_now() == before
    assert [path.name for path in (outside / "deep" / "er").iterdir()] == ["store"]
    assert [path.name for path in store.iterdir() if not STORED.fullmatch(path.name)] == []
    assert marked_elsewhere() == []
    assert agent.process.poll() is None
    assert client.status().uptime_seconds > 0


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_what_is_no_digest_is_refused_in_one_line(agent, name):
    """Past our own client, which might refuse it earlier."""
    blob = to_wire(BlobRef(sha256=name, n_bytes=4))
    with grpc.insecure_channel(agent.address) as channel:
        stub = agent_pb2_grpc.NodeStub(channel)
        for call in (
            lambda: stub.MissingBlobs(agent_pb2.BlobList(blobs=[blob]), timeout=10),
            lambda: stub.PutBlob(iter([agent_pb2.BlobChunk(blob=blob, content=b"evil")]), timeout=10),
        ):
            with pytest.raises(grpc.RpcError) as refused:
                call()
            assert "is no sha256" in refused.value.details()
            assert "\n" not in refused.value.details()
