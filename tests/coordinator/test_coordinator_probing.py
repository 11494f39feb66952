import numpy as np
import pytest

from coordinator.errors import MeasurementError
from coordinator.probing import LONGEST_SECONDS, SIZES_BYTES, fit_link, probe_adaptively
from node_agent.messages import ProbeSample


def make_probe(fixed, rate, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    asked = []

    def probe(sizes, n_rounds):
        asked.extend(sizes)
        return [
            ProbeSample(n_bytes=size, round_trip_seconds=2 * fixed + size / rate + abs(rng.normal(0, noise)))
            for _ in range(n_rounds)
            for size in sizes
        ]

    return probe, asked


@pytest.mark.parametrize(("fixed", "rate"), [(0.001, 25e6), (0.02, 1.25e6), (0.0001, 1e9), (0.05, 125e3)])
def test_fit_finds_the_link_that_made_the_samples(fixed, rate):
    probe, _ = make_probe(fixed, rate)
    found_fixed, found_rate = fit_link(probe_adaptively(probe))
    assert found_fixed == pytest.approx(fixed, rel=0.02)
    assert found_rate == pytest.approx(rate, rel=0.02)


def test_fit_bears_noise_and_outliers():
    probe, _ = make_probe(0.002, 10e6, noise=0.0001)
    samples = [*probe_adaptively(probe), ProbeSample(n_bytes=4096, round_trip_seconds=3.0)]
    found_fixed, found_rate = fit_link(samples)
    assert found_fixed == pytest.approx(0.002, rel=0.1)
    assert found_rate == pytest.approx(10e6, rel=0.1)


def test_a_slow_link_is_not_asked_for_megabytes():
    probe, asked = make_probe(0.01, 125e3)
    probe_adaptively(probe)
    assert max(asked) / 125e3 <= LONGEST_SECONDS
    assert max(asked) > 0


def test_a_fast_link_is_asked_for_every_size():
    probe, asked = make_probe(0.0001, 1e9)
    probe_adaptively(probe)
    assert set(asked) == set(SIZES_BYTES)


def test_one_size_is_not_enough():
    with pytest.raises(MeasurementError, match="at least two"):
        fit_link([ProbeSample(n_bytes=0, round_trip_seconds=0.1)])
