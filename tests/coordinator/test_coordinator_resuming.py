"""Profiles from what is known: broken off, damaged, drifted, made afresh. The node is a fake that obeys a formula."""

from types import SimpleNamespace

import numpy as np
import pytest

from coordinator.errors import MeasurementError
from coordinator.profile_cache import ProfileCache
from coordinator.profiling import ProfileEffort, profile_node, spans_to_profile
from coordinator.profiling.anchors import choose_anchors, drift_between, is_drift
from node_agent.errors import NodeUnreachableError, ShardRejectedError
from node_agent.messages import NodeDescription, ProfileProgress, SegmentSamples
from partitioner.shard import Shard

N_UNITS = 12
SPANS = spans_to_profile(N_UNITS, seed=0)
DESCRIPTION = NodeDescription(
    name="x",
    protocol=1,
    version="0",
    machine="m",
    cpu="c",
    n_cores=1,
    memory_bytes=2**40,
    resident_bytes=7,
    python="3",
    runtime="fake 1",
    providers=("Fake",),
    n_threads=1,
    slowdown=0.0,
    host_id="h",
)


def true_seconds(start, stop):
    return 1e-3 * (stop - start) ** 0.9 + 1e-5 * start


class ClockNode:
    """Times segments by `true_seconds`, times its `pace`; may be lost after so many samples."""

    def __init__(self, *, pace=1.0, n_samples=8, lost_after=None, refused=(), spread=0.001):
        self.pace, self.n_samples, self.lost_after = pace, n_samples, lost_after
        self.refused, self.spread = refused, spread
        self.asked = []
        self.requests = []
        self.n_sent = 0

    def missing_blobs(self, _blobs):
        return ()

    def profile(self, request):
        names = [segment.name for segment in request.segments]
        self.requests.append(request)
        self.asked.append({tuple(map(int, name.split(":"))) for name in names})
        for name in names:
            start, stop = map(int, name.split(":"))
            if any(unit in range(start, stop) for unit in self.refused):
                raise ShardRejectedError(f"No kernel for {name}.")
        draw = np.random.default_rng(len(self.requests))
        for n_round in range(self.n_samples):
            for name in names:
                if self.n_sent == self.lost_after:
                    raise NodeUnreachableError("gone")
                self.n_sent += 1
                seconds = self.pace * true_seconds(*map(int, name.split(":"))) * (1 + self.spread * draw.normal())
                yield SegmentSamples(name=name, seconds=(float(seconds),), session_seconds=0.25, memory_bytes=9)
            yield ProfileProgress(n_done=n_round, n_total=self.n_samples, what="w")


@pytest.fixture
def said():
    return []


@pytest.fixture
def cache(tmp_path, said):
    with ProfileCache(tmp_path / "profiles.sqlite", said.append) as made:
        yield made


def profiled(client, cache, *, spans=SPANS, budget_seconds=60.0, memory_bytes=100, weight=0, **keywords):
    def cut(start, stop):
        return Shard(
            start=start, stop=stop, graph=b"", sha256=f"{start:032}{stop:032}", blobs=(), receives=(), sends=()
        )

    graph = SimpleNamespace(weight_bytes=lambda start, stop: weight * (stop - start), n_units=N_UNITS)
    device = SimpleNamespace(memory_bytes=memory_bytes, emulation=None)
    node = SimpleNamespace(name="pi", client=client, device=device, description=DESCRIPTION)
    effort = ProfileEffort(budget_seconds=budget_seconds)
    return profile_node(node, SimpleNamespace(graph=graph, cut=cut), spans, effort=effort, cache=cache, **keywords)


def times_of(profile):
    return {timing.span: timing for timing in profile.segments}


def test_without_a_cache_all_is_timed():
    node = ClockNode()
    profile = profiled(node, None)
    assert node.asked == [set(SPANS)]
    assert profile.n_cached == 0
    assert profile.n_tight == len(SPANS)
    assert profile.session_seconds == pytest.approx(0.25 * len(SPANS))
    for span, timing in times_of(profile).items():
        assert timing.seconds == pytest.approx(true_seconds(*span), rel=0.01)
        assert timing.n_samples == 8
        assert 0 < timing.coefficient_of_variation < 0.01


def test_what_is_known_is_not_timed_again_but_for_anchors(cache, said):
    first = times_of(profiled(ClockNode(), cache))
    assert said == []
    node = ClockNode(pace=1.03)
    second = profiled(node, cache)
    (anchors,) = node.asked
    assert len(anchors) == 3
    assert (0, N_UNITS) in anchors
    assert second.n_cached == len(SPANS)
    for span, timing in times_of(second).items():
        assert (timing.seconds, timing.n_samples) == (first[span].seconds, first[span].n_samples)
    (line,) = said
    assert f"pi: {len(SPANS)} of {len(SPANS)} segments known, 0 to time" in line
    assert second.session_seconds == pytest.approx(3 * 0.25)


def test_new_segments_are_timed_beside_the_anchors(cache, said):
    profiled(ClockNode(), cache, spans=SPANS[:-4])
    node = ClockNode()
    profile = profiled(node, cache)
    assert node.asked[0] > set(SPANS[-4:])
    assert len(node.asked[0]) == 4 + 3
    assert f"{len(SPANS) - 4} of {len(SPANS)} segments known, 4 to time" in said[0]
    assert {timing.span for timing in profile.segments if not timing.is_cached} == set(SPANS[-4:])


@pytest.mark.parametrize("pace", [1.08, 0.93])
def test_times_that_no_longer_hold_are_measured_again_and_it_is_said_why(cache, said, pace):
    profiled(ClockNode(), cache)
    node = ClockNode(pace=pace)
    profile = profiled(node, cache)
    anchors, rest = node.asked
    assert anchors | rest == set(SPANS)
    assert not anchors & rest
    assert profile.n_cached == 0
    for span, timing in times_of(profile).items():
        assert timing.seconds == pytest.approx(pace * true_seconds(*span), rel=0.01)
    assert f"now take {pace:.2f} times as long" in said[-1]
    assert "measured again" in said[-1]
    again = ClockNode(pace=pace)
    assert profiled(again, cache).n_cached == len(SPANS), "the entries were replaced"
    assert len(again.asked) == 1


def test_a_profile_that_was_broken_off_keeps_every_sample(cache, said):
    """The node is lost in the middle of a round: what came, came."""
    n_before = 3 * len(SPANS) + 5
    with pytest.raises(NodeUnreachableError):
        profiled(ClockNode(lost_after=n_before), cache)
    node = ClockNode()
    profile = profiled(node, cache)
    assert node.asked == [set(SPANS)]
    assert sum(timing.n_samples for timing in profile.segments) == n_before + 8 * len(SPANS)
    assert f"0 of {len(SPANS)} segments known, {len(SPANS)} to time, {len(SPANS)} of them begun" in said[0]


def test_a_segment_that_was_tight_when_it_broke_off_is_known(cache, said):
    with pytest.raises(NodeUnreachableError):
        profiled(ClockNode(lost_after=6 * len(SPANS) + 7, n_samples=20), cache)
    node = ClockNode()
    profile = profiled(node, cache)
    assert profile.n_cached == len(SPANS)
    assert len(node.asked[0]) == 3


def test_begun_segments_are_compared_with_themselves_where_nothing_is_known(cache, said):
    with pytest.raises(NodeUnreachableError):
        profiled(ClockNode(lost_after=7 * len(SPANS), spread=0.03), cache)
    profile = profiled(ClockNode(pace=2.0, spread=0.03), cache)
    assert any("times as long" in line for line in said)
    for span, timing in times_of(profile).items():
        assert timing.n_samples == 8
        assert timing.seconds == pytest.approx(2 * true_seconds(*span), rel=0.1)


def test_a_noisy_segment_is_known_once_it_had_its_share(cache):
    profiled(ClockNode(spread=0.3), cache)
    same, longer = ClockNode(spread=0.0), ClockNode(spread=0.0)
    assert profiled(same, cache).n_cached == len(SPANS)
    profile = profiled(longer, cache, budget_seconds=600.0)
    assert longer.asked[0] == set(SPANS), "ten times the budget is worth more samples"
    assert {timing.n_samples for timing in profile.segments} == {16}


def test_fresh_times_all_and_replaces_what_is_known(cache, said):
    profiled(ClockNode(), cache)
    node = ClockNode(pace=1.5)
    assert profiled(node, cache, is_fresh=True).n_cached == 0
    assert node.asked == [set(SPANS)]
    assert said == []
    profile = profiled(ClockNode(pace=1.5), cache)
    assert profile.n_cached == len(SPANS)
    assert times_of(profile)[0, N_UNITS].seconds == pytest.approx(1.5 * true_seconds(0, N_UNITS), rel=0.01)


def test_another_kind_of_device_knows_nothing(cache, monkeypatch):
    profiled(ClockNode(), cache)
    monkeypatch.setitem(globals(), "DESCRIPTION", NodeDescription(**{**vars_of(DESCRIPTION), "n_threads": 2}))
    assert profiled(ClockNode(), cache).n_cached == 0


def vars_of(value):
    return {name: getattr(value, name) for name in value.__slots__}


def test_refused_units_are_looked_for_among_those_not_known(cache):
    node = ClockNode(refused=(4,))
    profile = profiled(node, cache)
    assert profile.unsupported_units == (4,)
    assert not any(start <= 4 < stop for start, stop in times_of(profile))
    again = ClockNode(refused=(4,))
    second = profiled(again, cache)
    assert times_of(second).keys() == times_of(profile).keys()
    assert second.unsupported_units == (4,)
    assert again.asked[1:-1] == [{(4, 5)}], "the units that are known need no trial"


def test_segments_that_are_left_out_by_the_node_are_an_error(cache):
    class ForgetfulNode(ClockNode):
        def profile(self, request):
            return (event for event in super().profile(request) if getattr(event, "name", "") != "0:1")

    with pytest.raises(MeasurementError, match=f"{len(SPANS)} segments, but {len(SPANS) - 1} came back"):
        profiled(ForgetfulNode(), cache)


def test_units_that_are_too_large_are_not_asked_for_and_said_to_be_unsupported(cache):
    node = ClockNode()
    profile = profiled(node, cache, weight=30, memory_bytes=100)
    assert node.asked == [{(start, stop) for start, stop in SPANS if 30 * (stop - start) < 100}]
    assert profile.unsupported_units == ()
    none = ClockNode()
    empty = profiled(none, cache, weight=100, memory_bytes=100)
    assert none.asked == []
    assert empty.segments == ()
    assert empty.unsupported_units == tuple(range(N_UNITS))
    assert empty.noisiest is None


def test_a_few_anchors_have_a_budget_that_makes_them_comparable(cache):
    profiled(ClockNode(), cache)
    node = ClockNode()
    profiled(node, cache)
    assert node.requests[0].budget_seconds >= 3.0
    assert node.requests[0].tolerance == 0.02


def test_anchors_are_long_middle_and_short_but_not_tiny():
    seconds = {(0, 9): 0.1, (0, 3): 0.01, (4, 5): 1e-3, (5, 6): 1e-5, (6, 8): 0.09}
    assert choose_anchors(seconds) == ((0, 9), (0, 3), (4, 5))
    assert choose_anchors({(5, 6): 1e-5}) == ((5, 6),)
    assert choose_anchors({}) == ()


def test_drift_is_the_median_over_segments():
    old = {(0, 1): [1.0] * 6, (1, 2): [2.0] * 6, (2, 3): [3.0] * 6, (3, 4): [1.0] * 5}
    new = {(0, 1): [1.1], (1, 2): [2.0], (2, 3): [9.0], (3, 4): [50.0]}
    assert drift_between(old, new) == pytest.approx(1.1)
    assert drift_between({(3, 4): [1.0] * 5}, new) is None
    assert is_drift(1.06)
    assert is_drift(0.94)
    assert not is_drift(1.04)
    assert not is_drift(None)
