"""Devices that are busy for other than a stage takes: a result may leave before its device is free, or after."""

from dataclasses import replace

import numpy as np
import pytest
from simulation_builders import plan_of_times

from partitioner.plan import StageCost
from partitioner.simulation import Lognormal, Variation, simulate


def busy_plan(times, hops=None, *, window=1, n_replicas=1):
    """A plan of (device, seconds, busy seconds for each request that it serves)."""
    candidate = plan_of_times([(device, seconds) for device, seconds, _ in times], hops, window=window)
    stages = tuple(
        StageCost(device=d, seconds=s, busy_seconds=busy / n_replicas, memory_bytes=0, n_replicas=n_replicas)
        for d, s, busy in times
    )
    plan = candidate.plan
    spans = tuple(
        replace(stage, replicas=tuple(f"{stage.device}.{copy}" for copy in range(1, n_replicas)))
        for stage in plan.stages
    )
    return replace(plan, stages=spans), replace(candidate.cost, stages=stages)


def closed_form(cost):
    latency = sum(stage.seconds for stage in cost.stages) + sum(hop.seconds for hop in cost.hops)
    return latency, max(*(stage.busy_seconds for stage in cost.stages), *(hop.busy_seconds for hop in cost.hops))


@pytest.mark.parametrize("seed", range(20))
def test_a_lone_request_takes_the_latency_and_a_full_window_the_bottleneck(seed):
    random = np.random.default_rng(seed)
    times = [
        (f"d{index}", float(random.uniform(0.5, 2)), float(random.uniform(0.2, 3)))
        for index in range(int(random.integers(1, 5)))
    ]
    hops = [(float(random.uniform(0, 3)), float(random.uniform(0.01, 1))) for _ in range(len(times) + 1)]
    n_replicas = int(random.integers(1, 3))
    if n_replicas > 1:
        hops = [(fixed, 0.001) for fixed, _ in hops]
    plan, cost = busy_plan(times, hops, n_replicas=n_replicas)
    latency, bottleneck = closed_form(cost)
    alone = simulate(plan, cost, window=1, n_requests=1, n_warm_up=0)
    assert alone.mean_latency_seconds == pytest.approx(latency, rel=1e-9)
    for queue_limit in (1, 4):
        full = simulate(plan, cost, window=60, n_requests=240, queue_limit=queue_limit)
        assert full.throughput_per_second == pytest.approx(1 / bottleneck, rel=1e-9)
        shares = {load.name: load.busy_share for load in full.resources}
        assert max(shares.values()) == pytest.approx(1.0, rel=1e-9)
        for stage in cost.stages:
            assert shares[f"device:{stage.device}"] == pytest.approx(stage.busy_seconds / bottleneck, rel=0.1)


@pytest.mark.parametrize("seed", range(15))
def test_the_window_formula_stays_exact_where_nothing_is_used_twice(seed):
    random = np.random.default_rng([1, seed])
    times = [(f"d{i}", float(random.uniform(0.5, 2)), float(random.uniform(0.2, 3))) for i in range(3)]
    hops = [(float(random.uniform(0, 4)), float(random.uniform(0.01, 1.5))) for _ in range(4)]
    plan, cost = busy_plan(times, hops)
    latency, bottleneck = closed_form(cost)
    for window in (1, 2, 3, 5, 8, 40):
        for queue_limit in (1, 4):
            found = simulate(plan, cost, window=window, queue_limit=queue_limit, n_requests=80)
            assert found.throughput_per_second == pytest.approx(min(window / latency, 1 / bottleneck), rel=1e-9)


@pytest.mark.parametrize("seed", range(15))
def test_links_that_sustain_less_or_more_than_a_lone_message_finds(seed):
    """Links are busy for longer than a lone message takes, or for less."""
    random = np.random.default_rng([2, seed])
    plan, cost = busy_plan([("a", 1.0, float(random.uniform(0.5, 1.5))), ("b", 0.7, 0.7)])
    hops = tuple(
        replace(hop, seconds=float(random.uniform(0.1, 2)), busy_seconds=float(random.uniform(0.1, 2)))
        for hop in cost.hops
    )
    cost = replace(cost, hops=hops)
    latency, bottleneck = closed_form(cost)
    alone = simulate(plan, cost, window=1, n_requests=1, n_warm_up=0)
    assert alone.mean_latency_seconds == pytest.approx(latency, rel=1e-9)
    for window in (1, 2, 3, 8, 40):
        found = simulate(plan, cost, window=window, n_requests=80)
        assert found.throughput_per_second == pytest.approx(min(window / latency, 1 / bottleneck), rel=1e-9)


def test_a_result_leaves_while_its_device_is_still_busy():
    plan, cost = busy_plan([("a", 1.0, 3.0)])
    found = simulate(plan, cost, window=1, n_requests=4, n_warm_up=0)
    # the second request comes at 1 and waits for the device until 3
    np.testing.assert_allclose(found.latency_seconds, [1.0, 3.0, 3.0, 3.0])
    assert found.throughput_per_second == pytest.approx(4 / 10)


def test_a_device_serves_the_next_request_before_a_result_is_there():
    plan, cost = busy_plan([("a", 5.0, 1.0)])
    found = simulate(plan, cost, window=5, n_requests=50)
    np.testing.assert_allclose(found.latency_seconds, 5.0)
    assert found.throughput_per_second == pytest.approx(1.0)
    half = simulate(plan, cost, window=2, n_requests=50)
    assert half.throughput_per_second == pytest.approx(2 / 5)


def test_what_varies_varies_the_busy_time_alike():
    plan, cost = busy_plan([("a", 2.0, 1.0)])
    variation = Variation(stages=Lognormal(coefficient_of_variation=0.5))
    found = simulate(plan, cost, window=30, n_requests=3000, variation=variation, seed=1)
    assert found.throughput_per_second == pytest.approx(1.0, rel=0.05)
    assert found.bottleneck.busy_share == pytest.approx(1.0, rel=2e-3)
    alone = simulate(plan, cost, window=1, n_requests=3000, variation=variation, seed=1)
    assert alone.mean_latency_seconds == pytest.approx(2.0, rel=0.05)
