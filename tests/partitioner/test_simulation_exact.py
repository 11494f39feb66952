"""With constant times the simulation is the closed form, and with any times the recurrence of a tandem queue."""

from dataclasses import replace

import numpy as np
import pytest
from search_builders import random_cost_model
from search_wide import wide_cost_model
from simulation_builders import closed_form, latencies_by_recurrence, plan_of_times

from partitioner.errors import InfeasibleError
from partitioner.plan import StageCost
from partitioner.search import search
from partitioner.search.building import build_problem
from partitioner.simulation import SharedMedium, simulate
from partitioner.simulation.load import Load
from partitioner.simulation.running import Line, Times


def random_front(seed):
    random = np.random.default_rng(seed)
    model = random_cost_model(random, int(random.integers(2, 5)), int(random.integers(2, 8)))
    try:
        return search(build_problem(model), "exact", seed=0).front
    except InfeasibleError:
        return ()


@pytest.mark.parametrize("block", range(4))
def test_every_front_point_of_exact_searches_is_confirmed(block):
    n_split = 0
    for seed in range(10 * block, 10 * block + 10):
        for candidate in random_front(seed):
            plan, cost = candidate.plan, candidate.cost
            n_alone = 3 if cost.bottleneck_seconds <= cost.latency_seconds else 1  # the next would wait for the device
            single = simulate(plan, cost, window=1, n_requests=n_alone, n_warm_up=0)
            np.testing.assert_allclose(single.latency_seconds, cost.latency_seconds, rtol=1e-9)
            full = simulate(plan, cost, n_requests=100)
            assert full.throughput_per_second == pytest.approx(cost.throughput_per_second, rel=1e-9)
            wider = simulate(plan, cost, window=4 * plan.window, n_requests=100)
            assert wider.throughput_per_second == pytest.approx(plan.batch / cost.bottleneck_seconds, rel=1e-9)
            shares = {load.name: load.busy_share for load in wider.resources}
            assert shares[cost.bottleneck_resource] == pytest.approx(1.0, rel=1e-9)
            assert max(shares.values()) == pytest.approx(1.0, rel=1e-9)
            n_split += plan.is_split
    assert n_split >= 5


@pytest.mark.parametrize("seed", range(12))
def test_fronts_with_replicas_and_codecs_are_confirmed(seed):
    model = wide_cost_model(np.random.default_rng(seed), (0, 0, 1, 0), 4)
    problem = build_problem(model, codecs=("int8", "zstd"), max_replicas=3)
    front = search(problem).front
    assert any(stage.replicas for candidate in front for stage in candidate.plan.stages)
    for candidate in front:
        plan, cost = candidate.plan, candidate.cost
        n_alone = (
            7 if max(stage.busy_seconds * stage.n_replicas for stage in cost.stages) <= cost.latency_seconds else 1
        )
        single = simulate(plan, cost, window=1, n_requests=n_alone, n_warm_up=0)
        np.testing.assert_allclose(single.latency_seconds, cost.latency_seconds, rtol=1e-9)
        wider = simulate(plan, cost, window=12 * plan.window, n_requests=400)
        assert wider.throughput_per_second == pytest.approx(plan.batch / cost.bottleneck_seconds, rel=1e-9)
        shares = {load.name: load.busy_share for load in wider.resources}
        assert shares[cost.bottleneck_resource] == pytest.approx(1.0, rel=1e-6)
        assert max(shares.values()) == pytest.approx(1.0, rel=1e-6)


def test_replicas_answer_in_order_and_share_the_work():
    plan = plan_of_times([("a", 1.0)], [(0.0, 0.01), (0.0, 0.01)]).plan
    stages = (replace(plan.stages[0], replicas=("b",)),)
    cost = replace(
        plan_of_times([("a", 1.0)], [(0.0, 0.01), (0.0, 0.01)]).cost,
        stages=(StageCost(device="a", seconds=1.0, memory_bytes=1, n_replicas=2),),
    )
    found = simulate(replace(plan, stages=stages), cost, window=8, n_requests=100)
    assert found.throughput_per_second == pytest.approx(2.0, rel=1e-2)
    loads = {load.name: load.busy_share for load in found.resources}
    assert loads["device:a"] == pytest.approx(1.0, rel=1e-2)
    assert loads["device:b"] == pytest.approx(1.0, rel=1e-2)


@pytest.mark.parametrize("seed", range(15))
def test_the_window_formula_is_exact_where_nothing_is_used_twice(seed):
    random = np.random.default_rng(seed)
    n_stages = int(random.integers(1, 6))
    stages = [(f"d{i}", float(random.uniform(0.5, 2))) for i in range(n_stages)]
    hops = [(float(random.uniform(0, 5)), float(random.uniform(0.01, 1.5))) for _ in range(n_stages + 1)]
    candidate = plan_of_times(stages, hops, batch=3)
    latency, bottleneck = closed_form(candidate.cost)
    for window in (1, 2, 3, 5, 8, 40):
        for queue_limit in (1, 4):
            found = simulate(candidate.plan, candidate.cost, window=window, queue_limit=queue_limit, n_requests=50)
            expected = 3 * min(window / latency, 1 / bottleneck)
            assert found.throughput_per_second == pytest.approx(expected, rel=1e-9), (window, queue_limit)


def test_the_window_formula_is_only_a_bound_where_a_device_is_used_twice():
    """Two requests meet on the device although both windows and device would allow more; many fill it again."""
    gaps = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        stages = [(device, float(random.uniform(0.5, 2))) for device in ("a", "b", "a")]
        candidate = plan_of_times(stages, [(float(fixed), 0.001) for fixed in random.uniform(0, 0.5, 4)])
        latency, _ = closed_form(candidate.cost)
        bottleneck = max(stages[0][1] + stages[2][1], stages[1][1])
        for window in (1, 2, 3, 4, 20):
            found = simulate(candidate.plan, candidate.cost, window=window, n_requests=500)
            gap = found.throughput_per_second / min(window / latency, 1 / bottleneck) - 1
            assert gap < 2e-3  # the ends of the measured time cut through a cycle
            if window in (1, 20):
                assert gap == pytest.approx(0, abs=2e-3)
            gaps.append(gap)
    assert min(gaps) < -0.1


@pytest.mark.parametrize("seed", range(10))
def test_links_of_one_medium_take_turns(seed):
    random = np.random.default_rng(seed)
    hops = [(float(random.uniform(0, 1)), float(random.uniform(0.5, 1.5))) for _ in range(3)]
    candidate = plan_of_times([("a", 0.2), ("b", 0.3)], hops)
    air = SharedMedium(name="air", links=(("client", "a"), ("a", "b"), ("b", "client"), ("b", "a")))
    alone = simulate(candidate.plan, candidate.cost, window=30, n_requests=100)
    shared = simulate(candidate.plan, candidate.cost, window=30, n_requests=100, shared_media=(air,))
    busy = [busy for _, busy in hops]
    assert alone.throughput_per_second == pytest.approx(1 / max(busy), rel=1e-9)
    assert shared.throughput_per_second == pytest.approx(1 / sum(busy), rel=1e-9)
    assert shared.bottleneck.name == "medium:air"
    assert [load.name for load in shared.resources] == ["medium:air", "device:a", "device:b"]
    one = simulate(candidate.plan, candidate.cost, window=1, n_requests=5, shared_media=(air,))
    assert one.mean_latency_seconds == pytest.approx(closed_form(candidate.cost)[0], rel=1e-9)


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_random_times_and_full_queues_follow_the_tandem_recurrence(seed, is_open):
    random = np.random.default_rng(seed)
    n_stages, n, window = int(random.integers(1, 5)), 300, int(random.integers(1, 20))
    queue_limit = int(random.integers(1, 4))
    candidate = plan_of_times(
        [(f"d{i}", 1.0) for i in range(n_stages)], [(0.0, float(b)) for b in random.uniform(0.05, 1, n_stages + 1)]
    )
    times = Times(
        stages=(stages := tuple(random.lognormal(-0.5, 1.0, n) for _ in range(n_stages))),
        busy=stages,
        stage_limits=(1.0,) * n_stages,
        delays=tuple(random.exponential(2.0, n) for _ in range(n_stages + 1)),
        sending=tuple(hop.busy_seconds for hop in candidate.cost.hops),
        leaving=tuple(hop.busy_seconds for hop in candidate.cost.hops),
        pipe_limits=tuple(float(limit) for limit in random.integers(1, 6, n_stages + 1)),
    )
    arrivals = np.cumsum(random.exponential(1.5, n)).tolist() if is_open else None
    load = Load(n_warm_up=0, n_measured=n, n_after=0, window=window, arrivals=arrivals)
    line = Line(candidate.plan, candidate.cost, times, load, shared_media=(), queue_limit=queue_limit)
    found = line.run(1)
    busy = [hop.busy_seconds for hop in candidate.cost.hops]
    expected = latencies_by_recurrence(
        times.stages, times.delays, busy, times.pipe_limits, queue_limit, window=window, arrivals=arrivals
    )
    np.testing.assert_allclose(found.latency_seconds, expected, rtol=1e-9)
    peaks = {queue.name: queue.peak for queue in found.queues if queue.name.startswith("stage")}
    assert max(peaks.values()) <= queue_limit
