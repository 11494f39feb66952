from dataclasses import replace

import numpy as np
import pytest

from coordinator.errors import MeasurementError
from coordinator.probing import LONGEST_SECONDS, SIZES_BYTES, fit_link, probe_adaptively
from node_agent.messages import ProbeSample


def make_probe(fixed, rate, noise=0.0, seed=0, copy_rate=np.inf):
    """A link, with copies at its ends that a lone message waits for and a row of messages overlaps."""
    rng = np.random.default_rng(seed)
    asked = []

    def probe(sizes, n_rounds, n_messages):
        asked.extend((size, n_messages) for size in sizes)
        return [
            ProbeSample(
                n_bytes=size,
                round_trip_seconds=2 * fixed + n_messages * size / rate + size / copy_rate + abs(rng.normal(0, noise)),
                n_messages=n_messages,
            )
            for _ in range(n_rounds)
            for size in sizes
        ]

    return probe, asked


@pytest.mark.parametrize(("fixed", "rate"), [(0.001, 25e6), (0.02, 1.25e6), (0.0001, 1e9), (0.05, 125e3)])
def test_fit_finds_the_link_that_made_the_samples(fixed, rate):
    probe, _ = make_probe(fixed, rate)
    fit = fit_link(probe_adaptively(probe))
    assert fit.fixed_seconds == pytest.approx(fixed, rel=0.02)
    assert fit.bytes_per_second == pytest.approx(rate, rel=0.02)
    assert fit.busy_bytes_per_second == pytest.approx(rate, rel=0.02)
    assert fit.jitter_seconds == pytest.approx(0.0, abs=1e-12)


def test_copies_at_the_ends_delay_a_message_and_do_not_keep_the_link_busy():
    probe, _ = make_probe(0.002, 25e6, copy_rate=250e6)
    fit = fit_link(probe_adaptively(probe))
    assert fit.bytes_per_second == pytest.approx(1 / (1 / 25e6 + 1 / 250e6), rel=0.02)
    assert fit.busy_bytes_per_second == pytest.approx(25e6, rel=0.02)


def test_a_row_of_messages_that_was_disturbed_makes_no_link_slower_than_lone_ones():
    probe, _ = make_probe(0.001, 25e6)
    disturbed = ProbeSample(n_bytes=2 << 20, round_trip_seconds=9.0, n_messages=3)
    samples = [sample for sample in probe_adaptively(probe) if sample.n_messages == 1]
    fit = fit_link([*samples, disturbed])
    assert fit.busy_bytes_per_second == fit.bytes_per_second


def test_jitter_is_that_of_one_way():
    rng = np.random.default_rng(3)
    ways = rng.normal(0.02, 0.001, (4000, 2)).sum(axis=1)
    samples = [
        ProbeSample(n_bytes=n_bytes, round_trip_seconds=n_bytes / 1e6 + seconds, n_messages=1)
        for n_bytes in (0, 1000)
        for seconds in ways
    ]
    assert fit_link(samples).jitter_seconds == pytest.approx(0.001, rel=0.1)


def test_fit_bears_noise_and_outliers():
    probe, _ = make_probe(0.002, 10e6, noise=0.0001)
    samples = [*probe_adaptively(probe), ProbeSample(n_bytes=4096, round_trip_seconds=3.0)]
    fit = fit_link(samples)
    assert fit.fixed_seconds == pytest.approx(0.002, rel=0.1)
    assert fit.bytes_per_second == pytest.approx(10e6, rel=0.1)


def test_a_slow_link_is_not_asked_for_megabytes():
    probe, asked = make_probe(0.01, 125e3)
    probe_adaptively(probe)
    assert max(size for size, _ in asked) / 125e3 <= LONGEST_SECONDS
    assert max(size for size, _ in asked) > 0


def test_a_fast_link_is_asked_for_every_size():
    probe, asked = make_probe(0.0001, 1e9)
    probe_adaptively(probe)
    assert {size for size, n_messages in asked if n_messages == 1} == set(SIZES_BYTES)
    assert (SIZES_BYTES[-1], 8) in asked


def test_one_size_is_not_enough():
    with pytest.raises(MeasurementError, match="at least two"):
        fit_link([ProbeSample(n_bytes=0, round_trip_seconds=0.1)])


def test_what_a_new_connection_takes_longer_is_not_counted():
    steady, _ = make_probe(0.02, 5e6)

    def starting(sizes, n_rounds, n_messages):
        samples = steady(sizes, n_rounds, n_messages)
        slow = [replace(one, round_trip_seconds=4 * one.round_trip_seconds) for one in samples[: len(sizes)]]
        return [*slow, *samples[len(sizes) :]]

    assert {one.n_bytes: one.round_trip_seconds for one in probe_adaptively(starting) if one.n_messages == 1} == (
        pytest.approx({size: 0.04 + size / 5e6 for size in SIZES_BYTES[:4]})
    )
