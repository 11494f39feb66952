import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from node_shards import build_shard, matmul_shard, spec, weights_of
from onnx import helper

from node_agent.agent import Agent
from node_agent.config import AgentConfig
from node_agent.errors import RequestRejectedError, ShardRejectedError
from node_agent.host.profiler import MIN_ROUNDS, _OpenSegment, draw_inputs, group_by_weight
from node_agent.messages import BlobRef, ProfileProgress, ProfileRequest, ProfileSegment, SegmentSamples, ShardRef


def chain_shard(n_layers: int, size: int = 128):
    """Takes about `n_layers` times as long as one layer."""
    names = ["x", *(f"h{index}" for index in range(n_layers - 1)), "y"]
    nodes = [helper.make_node("MatMul", [before, "w"], [after]) for before, after in itertools.pairwise(names)]
    shape = (size, size)
    return build_shard(nodes, (spec("x", shape),), (spec("y", shape),), {"w": weights_of(0, size, size)})


@pytest.fixture
def agent(tmp_path):
    made = Agent(AgentConfig(name="n", store=tmp_path / "a"))
    yield made
    made.close()


@pytest.fixture
def slow_agent(tmp_path):
    made = Agent(AgentConfig(name="n", store=tmp_path / "b", slowdown=1000.0))
    yield made
    made.close()


def request_of(agent, *shards, n_rounds=5, budget_seconds=30.0, seed=1, tolerance=0.0):
    for shard in shards:
        shard.put_into(agent)
    segments = tuple(ProfileSegment(name=f"s{index}", shard=shard.ref) for index, shard in enumerate(shards))
    return ProfileRequest(
        segments=segments, n_rounds=n_rounds, budget_seconds=budget_seconds, seed=seed, tolerance=tolerance
    )


def samples_of(events):
    """One value for each segment with all of its samples, by name."""
    joined = {}
    for event in events:
        if isinstance(event, SegmentSamples):
            before = joined[event.name].seconds if event.name in joined else ()
            joined[event.name] = replace(event, seconds=before + event.seconds)
    return [joined[name] for name in sorted(joined)]


def test_longer_segments_take_longer(agent):
    request = request_of(agent, chain_shard(8), chain_shard(1), n_rounds=15)
    events = list(agent.profile(request))
    long, short = samples_of(events)
    assert (long.name, short.name) == ("s0", "s1")
    assert len(long.seconds) == len(short.seconds) == 15
    assert 3 < np.median(long.seconds) / np.median(short.seconds) < 16
    assert long.session_seconds > 0
    assert long.memory_bytes >= 0
    assert isinstance(events[0], ProfileProgress)
    assert events[0].n_total == 2 * 16


def test_times_of_an_emulated_device_are_multiplied(agent, slow_agent):
    plain, slow = (
        np.median(samples_of(node.profile(request_of(node, chain_shard(4), n_rounds=9)))[0].seconds)
        for node in (agent, slow_agent)
    )
    assert 250 < slow / plain < 4000


def test_a_spent_budget_leaves_three_rounds(agent):
    request = request_of(agent, chain_shard(2), chain_shard(1), n_rounds=1000, budget_seconds=1e-9)
    assert [len(samples.seconds) for samples in samples_of(agent.profile(request))] == [MIN_ROUNDS] * 2


def test_the_budget_is_kept(agent):
    request = request_of(agent, chain_shard(8, 256), n_rounds=100_000, budget_seconds=0.5)
    started = time.perf_counter()
    (samples,) = samples_of(agent.profile(request))
    assert time.perf_counter() - started < 5
    assert len(samples.seconds) < 100_000


def test_a_profile_that_is_closed_stops_and_frees_the_node(agent):
    request = request_of(agent, chain_shard(8, 256), n_rounds=100_000, budget_seconds=600)
    events = agent.profile(request)
    assert isinstance(next(events), ProfileProgress)
    events.close()
    short = request_of(agent, chain_shard(1), n_rounds=1)
    assert len(samples_of(agent.profile(short))) == 1
    assert all(not users for users in agent._store._index._n_users.values())


def test_a_second_profile_is_told_to_wait(agent, monkeypatch):
    monkeypatch.setattr("node_agent.agent._PROFILE_WAIT_SECONDS", 0.05)
    request = request_of(agent, chain_shard(1), n_rounds=100_000, budget_seconds=600)
    first = agent.profile(request)
    next(first)
    with pytest.raises(RequestRejectedError, match="'n' is busy with another profile"):
        next(agent.profile(request))
    first.close()


def test_segments_are_grouped_when_their_weights_are_too_many():
    def segment(name, n_bytes):
        return ProfileSegment(name=name, shard=ShardRef(graph=BlobRef(sha256=name, n_bytes=n_bytes)))

    segments = [segment("a", 40), segment("b", 50), segment("c", 20), segment("d", 500), segment("e", 1)]
    groups = [[part.name for part in group] for group in group_by_weight(segments, 100)]
    assert groups == [["a", "b"], ["c"], ["d"], ["e"]]
    assert len(group_by_weight(segments, 1000)) == 1


def test_groups_give_the_same_samples(agent, monkeypatch):
    monkeypatch.setattr("node_agent.host.profiler._MAX_OPEN_BYTES", 1)
    shards = [matmul_shard(seed) for seed in range(3)]
    found = samples_of(agent.profile(request_of(agent, *shards, n_rounds=4)))
    assert [(samples.name, len(samples.seconds)) for samples in found] == [("s0", 4), ("s1", 4), ("s2", 4)]


class FakeSession:
    seconds = 0.25

    def __init__(self, *inputs):
        self.inputs = inputs


@given(st.lists(st.lists(st.floats(1e-7, 1e3), max_size=5), max_size=12))
def test_parts_joined_are_what_was_measured(parts):
    """However the samples of a segment are spread over events, none is lost, doubled or out of order."""
    segment = _OpenSegment("s", FakeSession(), {}, 7)
    sent = []
    for part in parts:
        for seconds in part:
            segment.keep(seconds)
        sent.append(segment.take_unsent())
    kept = [seconds for part in parts for seconds in part]
    assert [seconds for samples in sent for seconds in samples.seconds] == kept
    assert segment.ordered == sorted(kept)
    assert {(samples.session_seconds, samples.memory_bytes) for samples in sent} <= {(0.25, 7)}
    assert segment.take_unsent().seconds == ()


def test_a_tight_segment_is_left_alone_while_others_are_timed(agent, monkeypatch):
    """The second segment's times are made to jump, so that it never is tight."""
    jumps = itertools.cycle([1.0, 9.0])
    once = _OpenSegment.time_once

    def jumping(segment):
        return once(segment) if segment.name == "s0" else next(jumps)

    monkeypatch.setattr(_OpenSegment, "time_once", jumping)
    request = request_of(agent, chain_shard(2), chain_shard(1), n_rounds=300, budget_seconds=60, tolerance=0.3)
    events = list(agent.profile(request))
    clear, jumpy = samples_of(events)
    assert len(clear.seconds) < 100
    assert len(jumpy.seconds) == 300
    assert events[-1].what == "1 of 2 segments are tight"


def test_progress_grows_to_its_end_in_every_group(agent, monkeypatch):
    monkeypatch.setattr("node_agent.host.profiler._MAX_OPEN_BYTES", 1)
    monkeypatch.setattr("node_agent.host.profiler._REPORT_SECONDS", 0.0)
    monkeypatch.setattr("node_agent.host.profiler._REPORT_SHARE", 1e9)
    shards = [matmul_shard(seed) for seed in range(3)]
    request = request_of(agent, *shards, n_rounds=40, budget_seconds=0.02, tolerance=0.3)
    done = [event.n_done for event in agent.profile(request) if isinstance(event, ProfileProgress)]
    assert done == sorted(done)
    assert done[-1] == 3 * 41


def test_inputs_are_drawn_by_their_type():
    session = FakeSession(
        spec("f", (1000,)), spec("h", (4,), "float16"), spec("i", (3,), "int64"), spec("b", (2,), "bool"), spec("s", ())
    )
    inputs = draw_inputs("s0", session, np.random.default_rng(0))
    assert abs(inputs["f"].std() - 1) < 0.1
    assert inputs["h"].dtype == np.float16
    assert not inputs["i"].any()
    assert inputs["b"].all()
    assert inputs["s"].shape == ()


def test_an_input_of_unknown_size_is_named():
    with pytest.raises(ShardRejectedError, match="'x' of segment 's0'"):
        draw_inputs("s0", FakeSession(spec("x", (2, -1))), np.random.default_rng(0))
