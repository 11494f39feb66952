from itertools import pairwise

import pytest

from coordinator.profiling import merge_profiles, spans_to_profile, unmeasured_spans
from partitioner.profile import DeviceProfile, Profile, SegmentTiming


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


def test_merging_keeps_old_spans_and_prefers_new_times():
    older = make_profile(a=[timing(0, 1, 1.0), timing(0, 4, 4.0)], b=[timing(0, 4, 2.0)])
    merged = merge_profiles(older, make_profile(a=[timing(0, 4, 5.0), timing(1, 3, 2.0)]))
    seconds = {(d.device, s.start, s.stop): s.seconds for d in merged.devices for s in d.segments}
    assert seconds == {("a", 0, 1): 1.0, ("a", 0, 4): 5.0, ("a", 1, 3): 2.0, ("b", 0, 4): 2.0}
    assert merged.devices[0].base_memory_bytes == 7


def test_unmeasured_spans_names_each_missing_stage_once():
    profile = make_profile(a=[timing(0, 2, 1.0)], b=[])
    missing = unmeasured_spans(profile, [("a", 0, 2), ("b", 2, 4), ("b", 2, 4), ("a", 0, 3)])
    assert missing == {"b": ((2, 4),), "a": ((0, 3),)}
    assert unmeasured_spans(profile, [("a", 0, 2)]) == {}
