"""The simulation against queueing theory, and against common sense."""

from dataclasses import replace

import numpy as np
import pytest
from search_builders import cluster_of
from simulation_builders import plan_of_times, slower

from partitioner.errors import PlanError
from partitioner.simulation import (
    CONSTANT,
    Constant,
    Empirical,
    Lognormal,
    SharedMedium,
    Variation,
    link_jitters,
    simulate,
)

TAIL = Variation(stages=Lognormal(coefficient_of_variation=0.4))
LINE = plan_of_times([("a", 0.8), ("b", 1.0), ("c", 0.9)], [(0.3, 0.1), (0.2, 0.5), (0.4, 0.3), (0.1, 0.05)], window=6)


def run(candidate=LINE, **settings):
    return simulate(candidate.plan, candidate.cost, **settings)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_mean_waiting_of_an_m_d_1_queue_is_that_of_the_formula(load):
    """Pollaczek and Khinchine: Wq = ρ s / (2 (1 - ρ)). The error is that of the mean of 30 independent runs."""
    server = plan_of_times([("a", 2.0)])
    runs = [
        run(server, rate_per_second=load / 2.0, n_requests=2000, n_warm_up=300, seed=seed).mean_latency_seconds - 2.0
        for seed in range(30)
    ]
    error = np.std(runs, ddof=1) / np.sqrt(len(runs))
    expected = load * 2.0 / (2 * (1 - load))
    assert error < 0.05 * expected
    assert abs(np.mean(runs) - expected) < 3.5 * error


def test_lognormal_service_waits_as_pollaczek_and_khinchine_say():
    server, load, variation = plan_of_times([("a", 1.0)]), 0.5, 1.2
    varied = Variation(stages=Lognormal(coefficient_of_variation=variation))
    runs = [
        run(server, rate_per_second=load, n_requests=2000, variation=varied, seed=seed).mean_latency_seconds - 1.0
        for seed in range(30)
    ]
    error = np.std(runs, ddof=1) / np.sqrt(len(runs))
    expected = load * (1 + variation**2) / (2 * (1 - load))
    assert abs(np.mean(runs) - expected) < 3.5 * error
    assert expected > 2 * load / (2 * (1 - load))


def test_little_holds_exactly_in_a_closed_loop():
    for window in (1, 3, 10):
        found = run(window=window, n_requests=5000, variation=TAIL)
        assert found.mean_in_system == pytest.approx(window, rel=1e-12)
        assert found.throughput_per_second * found.mean_latency_seconds == pytest.approx(window, rel=5e-3)


@pytest.mark.parametrize("window", [None, 4])
def test_little_holds_in_an_open_loop(window):
    found = run(rate_per_second=0.6, window=window, n_requests=8000, variation=TAIL)
    assert found.throughput_per_second == pytest.approx(0.6, rel=0.03)
    assert found.mean_in_system == pytest.approx(found.throughput_per_second * found.mean_latency_seconds, rel=0.01)


def test_p99_grows_with_load():
    percentiles = [
        [run(rate_per_second=rate, n_requests=2000, variation=TAIL, seed=seed).latency_percentile(p) for p in (50, 99)]
        for seed in range(2)
        for rate in (0.2, 0.4, 0.6, 0.8, 0.95)
    ]
    for p50, p99 in np.array(percentiles).reshape(2, 5, 2).transpose(0, 2, 1):
        assert np.all(np.diff(p50) > 0)
        assert np.all(np.diff(p99) > 0)
        assert np.all(p99 > p50)


def test_offered_more_than_it_can_the_line_gives_its_bottleneck_and_the_client_queues():
    found = run(rate_per_second=1.5, n_requests=3000)
    assert found.throughput_per_second == pytest.approx(1.0, rel=1e-3)
    assert found.bottleneck.name == "device:b"
    assert found.max_queue.name == "client out"
    assert found.max_queue.peak > 500
    gated = run(rate_per_second=1.5, n_requests=3000, window=6)
    assert gated.max_queue.name == "client backlog"
    assert all(queue.peak <= 6 for queue in gated.queues if queue.name != "client backlog")


@pytest.mark.parametrize("seed", range(6))
def test_a_slower_stage_never_raises_throughput_and_a_larger_window_never_lowers_it(seed):
    settings = {"variation": TAIL, "seed": seed, "n_requests": 600, "n_warm_up": 0}
    for window in (2, 6):
        before = run(window=window, **settings).throughput_per_second
        for index in range(3):
            for factor in (1.01, 1.3, 3.0):
                after = simulate(LINE.plan, slower(LINE.cost, index, factor), window=window, **settings)
                assert after.throughput_per_second <= before * (1 + 1e-12)
    seconds = [run(window=window, **settings).throughput_per_second for window in (1, 2, 3, 6, 12, 60)]
    assert np.all(np.diff(seconds) >= -1e-12)


def test_times_that_vary_cost_throughput_and_queues_win_some_back():
    balanced = plan_of_times([("a", 1.0), ("b", 1.0), ("c", 1.0)], [(0.0, 0.01)] * 4)
    steady = run(balanced, window=30, n_requests=3000)
    short = run(balanced, window=30, n_requests=3000, variation=TAIL, queue_limit=1)
    long = run(balanced, window=30, n_requests=3000, variation=TAIL, queue_limit=8)
    assert short.throughput_per_second < long.throughput_per_second
    # shares and not rates: the mean of a sample of stage times is not their expectation
    shares = [found.bottleneck.busy_share for found in (short, long, steady)]
    assert 0.7 < shares[0] < shares[1] - 0.02 < shares[2] - 0.02
    assert shares[2] == pytest.approx(1.0)


def test_queues_keep_to_their_limit_and_a_stage_that_cannot_follow_stops_those_before():
    line = plan_of_times([("a", 0.1), ("b", 0.1), ("c", 1.0)], [(0.0, 0.01)] * 4)
    found = run(line, window=50, n_requests=500, queue_limit=2)
    peaks = {queue.name: queue.peak for queue in found.queues}
    assert [peaks[f"stage {i} in"] for i in range(3)] == [2, 2, 2]
    assert [peaks[f"stage {i} out"] for i in range(3)] == [2, 2, 1]
    # all places of the line: two queues, the one served and what is on the wire, for each stage
    means = {queue.name: queue.mean for queue in found.queues}
    assert means["client out"] > 20
    assert means["stage 1 out"] == pytest.approx(2.0, abs=0.1)


def test_a_long_link_is_a_pipe_and_not_a_queue():
    line = plan_of_times([("a", 1.0), ("b", 0.9)], [(50.0, 0.1), (80.0, 0.2), (30.0, 0.1)])
    found = run(line, window=200, n_requests=600)
    assert found.throughput_per_second == pytest.approx(1.0, rel=1e-9)
    assert run(line, window=16, n_requests=64).throughput_per_second == pytest.approx(16 / 162.3, rel=1e-9)


def test_jitter_lengthens_latency_only_by_order_and_never_below_zero():
    line = plan_of_times([("a", 0.001)], [(1.0, 0.001), (0.0, 0.001)])
    rare = run(
        line, rate_per_second=0.02, n_requests=4000, variation=Variation(jitter_seconds_of={("client", "a"): 0.2})
    )
    assert rare.mean_latency_seconds == pytest.approx(1.003, abs=0.02)
    assert np.std(rare.latency_seconds) == pytest.approx(0.2, rel=0.05)
    dense = run(line, window=200, n_requests=4000, variation=Variation(jitter_seconds_of={("client", "a"): 0.2}))
    ends = np.sort(dense.latency_seconds)
    assert ends[0] > 0.003
    everywhere = run(line, rate_per_second=0.02, n_requests=2000, variation=Variation(jitter_seconds=0.2))
    assert everywhere.mean_latency_seconds > rare.mean_latency_seconds + 0.05  # half of the way back is cut at zero


def test_links_jitter_as_the_cluster_says():
    cluster = cluster_of({"a": 1}, {("client", "a"): (1.0, 1e3), ("a", "client"): (1.0, 1e3)})
    shaky = replace(cluster, links=(replace(cluster.links[0], jitter_seconds=0.1), cluster.links[1]))
    assert link_jitters(shaky) == {("client", "a"): 0.1, ("a", "client"): 0.0}
    line = plan_of_times([("a", 0.001)], [(1.0, 0.001), (1.0, 0.001)])
    jitters = Variation(jitter_seconds_of=link_jitters(shaky))
    found = run(line, window=1, n_requests=2000, variation=jitters)
    assert np.std(found.latency_seconds) == pytest.approx(0.1, rel=0.05)


def test_a_seed_gives_the_same_twice_and_streams_are_separate():
    first, again, other = (run(variation=TAIL, n_requests=300, seed=seed) for seed in (1, 1, 2))
    assert first.latency_seconds.tolist() == again.latency_seconds.tolist()
    assert first.latency_seconds.tolist() != other.latency_seconds.tolist()
    assert not first.latency_seconds.flags.writeable
    # where stage 2 no longer varies, the times of stages 0 and 1 are still those of before
    mixed = replace(TAIL, of_stage={1: Constant(), 2: Constant()})
    only_first = [
        run(variation=mixed, window=1, n_requests=50, n_warm_up=0, seed=1),
        run(variation=replace(mixed, of_stage={1: Constant(), 2: Empirical(seconds=(0.9,))}), window=1, n_requests=50,
            n_warm_up=0, seed=1),
    ]  # fmt: skip
    np.testing.assert_allclose(only_first[0].latency_seconds, only_first[1].latency_seconds)


def test_lognormal_and_empirical_times_are_what_they_say():
    server = plan_of_times([("a", 2.0)])
    tail = Variation(stages=Lognormal(coefficient_of_variation=0.5))
    times = run(server, window=1, n_requests=20_000, variation=tail).latency_seconds
    assert times.mean() == pytest.approx(2.0, rel=0.02)
    assert times.std() / times.mean() == pytest.approx(0.5, rel=0.03)
    measured = Variation(of_stage={0: Empirical(seconds=(1.0, 1.0, 5.0))})
    times = run(server, window=1, n_requests=6000, variation=measured).latency_seconds
    assert set(np.round(times, 9)) == {1.0, 5.0}
    assert np.mean(times > 3) == pytest.approx(1 / 3, abs=0.03)


def test_throughput_counts_samples_and_rates_are_of_samples():
    batch = plan_of_times([("a", 1.0)], window=2, batch=8)
    assert run(batch, n_requests=100).throughput_per_second == pytest.approx(8.0)
    assert run(batch, rate_per_second=4.0, n_requests=4000).throughput_per_second == pytest.approx(4.0, rel=0.05)


def test_what_cannot_be_simulated_is_refused():
    other = plan_of_times([("a", 1.0), ("z", 1.0), ("c", 1.0)])
    with pytest.raises(PlanError, match="its cost is of other stages; its cost is of other hops"):
        simulate(LINE.plan, other.cost)
    twice = (SharedMedium(name="air", links=(("a", "b"),)), SharedMedium(name="air", links=(("a", "b"), ("b", "c"))))
    with pytest.raises(PlanError, match="two media are named 'air'; link 'a' → 'b' is in two media"):
        run(shared_media=twice)
    for settings, fault in (
        ({"window": 0}, "window is 0"),
        ({"n_requests": 0, "queue_limit": 0}, "n_requests is 0, queue_limit is 0"),
        ({"n_warm_up": -1}, "n_warm_up -1"),
        ({"rate_per_second": 0.0}, "wanted more than 0"),
    ):
        with pytest.raises(ValueError, match=fault):
            run(**settings)
    with pytest.raises(ValueError, match="coefficient_of_variation is -1"):
        Lognormal(coefficient_of_variation=-1)
    with pytest.raises(ValueError, match="at least one sample"):
        Empirical(seconds=())
    with pytest.raises(ValueError, match="jitter_seconds is -1"):
        Variation(jitter_seconds=-1)
    assert CONSTANT.stage_seconds(0, 1.5, 2, np.random.default_rng(0)).tolist() == [1.5, 1.5]
