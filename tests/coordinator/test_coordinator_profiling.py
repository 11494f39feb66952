import signal
import threading
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest

from coordinator.fleet import on_each_node
from coordinator.profiling import (
    ProfileEffort,
    fit_spans,
    merge_profiles,
    profile_node,
    spans_to_profile,
    unmeasured_spans,
)
from node_agent.errors import ShardRejectedError
from node_agent.messages import SegmentSamples
from partitioner.profile import DeviceProfile, Profile, SegmentTiming
from partitioner.shard import Shard


def timing(start, stop, seconds):
    return SegmentTiming(
        start=start,
        stop=stop,
        seconds=seconds,
        low_seconds=seconds,
        high_seconds=seconds,
        n_samples=5,
        session_seconds=0.01,
        memory_bytes=1,
    )


def make_profile(**segments_of):
    devices = tuple(
        DeviceProfile(device=name, segments=tuple(segments), runtime="test", base_memory_bytes=7)
        for name, segments in segments_of.items()
    )
    return Profile(model_sha256="0" * 64, batch=1, n_units=4, devices=devices)


@pytest.mark.parametrize("n_units", [1, 2, 3, 10, 60, 500])
def test_spans_hold_every_unit_and_the_whole_and_nothing_twice(n_units):
    spans = spans_to_profile(n_units, seed=3)
    assert {(start, start + 1) for start in range(n_units)} <= set(spans)
    assert (0, n_units) in spans
    assert len(set(spans)) == len(spans)
    assert all(0 <= start < stop <= n_units for start, stop in spans)


def test_prefixes_are_spaced_by_factors():
    lengths = sorted(stop for start, stop in spans_to_profile(500, seed=0) if start == 0)
    assert all(later / earlier < 6 for earlier, later in pairwise(lengths))


def fitted(n_units, unit_bytes, memory_bytes):
    def weight_bytes(start, stop):
        return sum(unit_bytes[start:stop])

    spans = spans_to_profile(n_units, seed=3)
    return spans, fit_spans(spans, n_units, weight_bytes, memory_bytes), weight_bytes


def test_a_device_that_holds_the_whole_gets_all_spans():
    spans, found, _ = fitted(40, [3] * 40, 1000)
    assert found == spans


@pytest.mark.parametrize("memory_bytes", [4, 10, 40, 70])
def test_a_device_that_cannot_hold_the_whole_gets_the_longest_parts_of_it(memory_bytes):
    """All units, and each prefix, suffix and segment as long as its weights stay below the memory."""
    n_units = 40
    spans, found, weight_bytes = fitted(n_units, [1 + unit % 3 for unit in range(n_units)], memory_bytes)
    assert len(set(found)) == len(found)
    assert {(unit, unit + 1) for unit in range(n_units)} <= set(found)
    assert all(weight_bytes(*span) < memory_bytes for span in found)
    longest_prefix = max(stop for stop in range(1, n_units) if weight_bytes(0, stop) < memory_bytes)
    longest_suffix = min(start for start in range(1, n_units) if weight_bytes(start, n_units) < memory_bytes)
    assert {(0, longest_prefix), (longest_suffix, n_units)} <= set(found)
    for start, stop in set(spans) - set(found):
        inside = [span for span in found if start <= span[0] and span[1] <= stop]
        assert any(
            (span[0] == start and weight_bytes(start, span[1] + 1) >= memory_bytes)
            or (span[1] == stop and weight_bytes(span[0] - 1, stop) >= memory_bytes)
            for span in inside
        ), f"nothing of {start}:{stop} was kept as long as it can be"


def test_a_unit_that_alone_is_too_large_is_left_out():
    _, found, _ = fitted(6, [1, 1, 50, 1, 1, 1], 10)
    assert (2, 3) not in found
    assert {(0, 2), (3, 6)} <= set(found)


def test_merging_keeps_old_spans_and_prefers_new_times():
    older = make_profile(a=[timing(0, 1, 1.0), timing(0, 4, 4.0)], b=[timing(0, 4, 2.0)])
    merged = merge_profiles(older, make_profile(a=[timing(0, 4, 5.0), timing(1, 3, 2.0)]))
    seconds = {(d.device, s.start, s.stop): s.seconds for d in merged.devices for s in d.segments}
    assert seconds == {("a", 0, 1): 1.0, ("a", 0, 4): 5.0, ("a", 1, 3): 2.0, ("b", 0, 4): 2.0}
    assert merged.devices[0].base_memory_bytes == 7


def test_merging_adds_up_what_was_spent():
    older, newer = make_profile(a=[timing(0, 4, 4.0)]), make_profile(a=[timing(0, 1, 5.0)])
    spent = {"seconds": 10.0, "session_seconds": 2.0, "sending_seconds": 1.0}
    older, newer = (replace(one, devices=(replace(one.devices[0], **spent),)) for one in (older, newer))
    (merged,) = merge_profiles(older, newer).devices
    assert (merged.seconds, merged.session_seconds, merged.sending_seconds) == (20.0, 4.0, 2.0)


def test_unmeasured_spans_names_each_missing_stage_once():
    profile = make_profile(a=[timing(0, 2, 1.0)], b=[])
    missing = unmeasured_spans(profile, [("a", 0, 2), ("b", 2, 4), ("b", 2, 4), ("a", 0, 3)])
    assert missing == {"b": ((2, 4),), "a": ((0, 3),)}
    assert unmeasured_spans(profile, [("a", 0, 2)]) == {}


class PickyNode:
    """Its runtime knows all operators but that of unit 1; what is longer than two units it refuses if told to."""

    def __init__(self, refused=(1,), most_units=99):
        self.refused, self.most_units = refused, most_units

    def missing_blobs(self, _blobs):
        return ()

    def profile(self, request):
        for segment in request.segments:
            start, stop = map(int, segment.name.split(":"))
            if any(unit in range(start, stop) for unit in self.refused) or stop - start > self.most_units:
                raise ShardRejectedError(f"No kernel for a layer of {segment.name}.")
        for segment in request.segments:
            yield SegmentSamples(name=segment.name, seconds=(1.0, 1.0, 1.0), session_seconds=0.1, memory_bytes=1)


def profiled_by(client):
    graph = SimpleNamespace(weight_bytes=lambda *_: 0, n_units=4)

    def cut(start, stop):
        return Shard(start=start, stop=stop, graph=b"", sha256=f"{start}{stop}", blobs=(), receives=(), sends=())

    description = SimpleNamespace(runtime="fake", providers=("Fake",), n_threads=1, resident_bytes=7, energy_meter="")
    device = SimpleNamespace(memory_bytes=1, emulation=None)
    node = SimpleNamespace(name="picky", client=client, device=device, description=description)
    spans = spans_to_profile(4, seed=0)
    return profile_node(
        node,
        SimpleNamespace(graph=graph, cut=cut),
        spans,
        effort=ProfileEffort(n_rounds=3, budget_seconds=1.0),
    )


def test_units_that_the_runtime_refuses_are_found_and_left_out():
    profile = profiled_by(PickyNode())
    assert profile.unsupported_units == (1,)
    spans = {(timing.start, timing.stop) for timing in profile.segments}
    assert {(0, 1), (2, 3), (3, 4)} <= spans
    assert not any(start <= 1 < stop for start, stop in spans)
    assert profiled_by(PickyNode(refused=())).unsupported_units == ()


def test_a_node_that_refuses_every_unit_is_named_with_its_reason():
    with pytest.raises(ShardRejectedError, match=r"'picky' refuses every unit of the model.*No kernel for a layer"):
        profiled_by(PickyNode(refused=range(4)))


def test_a_refusal_that_no_single_unit_explains_is_an_error():
    with pytest.raises(ShardRejectedError, match="0:4"):
        profiled_by(PickyNode(refused=(), most_units=3))


def on_hosts(**host_of):
    return [SimpleNamespace(name=name, description=SimpleNamespace(host_id=host)) for name, host in host_of.items()]


def test_nodes_of_one_host_work_in_turn_and_hosts_side_by_side():
    both_hosts, at_work, met = threading.Barrier(2, timeout=20), set(), []

    def work(node):
        host = node.description.host_id
        assert host not in at_work
        at_work.add(host)
        both_hosts.wait()
        met.append(node.name)
        both_hosts.wait()
        at_work.remove(host)
        return node.name

    assert on_each_node(on_hosts(a="one", b="two", c="one", d="two"), work) == ["a", "c", "b", "d"]
    assert {frozenset(met[:2]), frozenset(met[2:])} == {frozenset("ab"), frozenset("cd")}


def test_an_interrupt_waits_for_no_node_that_works():
    is_over, ended = threading.Event(), []

    def work(node):
        if node.name == "b":
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        is_over.wait(20)
        ended.append(node.name)

    with pytest.raises(KeyboardInterrupt):
        on_each_node(on_hosts(a="one", b="two"), work)
    assert not ended
    is_over.set()
