"""Batch and window as part of the problem."""

from dataclasses import replace

import numpy as np
import pytest
from search_wide import wide_cost_model

from partitioner.cost import CostModel
from partitioner.errors import InfeasibleError, PlanError
from partitioner.front import front_indices
from partitioner.search.building import build_problem
from partitioner.search.encoding import decode, encode_plans, evaluate
from partitioner.search.exhaustive import every_plan
from partitioner.search.variants import search_variants


def with_batch(model: CostModel, batch: int, factor: float) -> CostModel:
    """Larger batches take longer, but less than in proportion."""
    devices = tuple(
        replace(
            device,
            segments=tuple(replace(segment, seconds=segment.seconds * factor) for segment in device.segments),
        )
        for device in model.profile.devices
    )
    return CostModel(
        replace(model.graph, batch=batch), model.cluster, replace(model.profile, batch=batch, devices=devices)
    )


def every_candidate(problem):
    plans = encode_plans(problem, list(every_plan(problem)))
    return decode(problem, plans.take(np.isfinite(evaluate(problem, plans)[:, 0])))


@pytest.mark.parametrize("seed", range(6))
def test_the_front_over_batches_and_windows_is_that_of_all_plans(seed):
    base = wide_cost_model(np.random.default_rng(seed), (0, 1, 2), 4)
    models = [
        replace(model, window=window)
        for model in (with_batch(base, 1, 1.0), with_batch(base, 4, 2.5))
        for window in (1, 2, None)
    ]
    problems = [build_problem(model) for model in models]
    result = search_variants(problems)
    every = [candidate for problem in problems for candidate in every_candidate(problem)]
    points = np.array([(one.cost.latency_seconds, 1.0 / one.cost.throughput_per_second) for one in every])
    found = [(one.cost.latency_seconds, one.cost.sample_seconds) for one in result.front]
    np.testing.assert_array_equal(found, points[front_indices(points)])
    assert result.certificate.is_exact
    assert result.certificate.gap == 0.0
    assert result.objectives == ("latency_seconds", "sample_seconds")
    assert {one.plan.batch for one in result.front} == {1, 4}


class StallingClock:
    """Seconds; the machine stalls once, for longer than any budget, when it is looked at for the `stall`-th time."""

    def __init__(self, stall: int) -> None:
        self.n_looks = 0
        self._stall = stall

    def __call__(self) -> float:
        self.n_looks += 1
        return self.n_looks * 1e-3 + (1000.0 if self.n_looks >= self._stall else 0.0)


@pytest.fixture(scope="module")
def stalled():
    """The front over two windows, and every result of a search that stalled in the midst of the second."""
    base = wide_cost_model(np.random.default_rng(3), (0, 1, 2), 8)
    problems = [build_problem(replace(base, window=window)) for window in (1, None)]
    looks = []
    for n_problems in (1, 2):
        clock = StallingClock(10**9)
        search_variants(problems[:n_problems], budget_seconds=60, clock=clock)
        looks.append(clock.n_looks)
    every = [search_variants(problems, budget_seconds=60, clock=StallingClock(stall)) for stall in range(*looks)]
    return search_variants(problems), every


def test_a_window_that_was_not_answered_is_not_vouched_for(stalled):
    _, every = stalled
    unanswered = [result for result in every if "found none within its budget" in result.certificate.statement]
    assert unanswered
    for result in unanswered:
        assert not result.certificate.is_exact
        assert result.certificate.gap is None
        assert "Least is known of batch 1, any window: Plans exist" in result.certificate.statement


def test_what_is_told_is_that_of_the_window_of_which_least_is_known(stalled):
    whole, every = stalled
    unfinished = [result for result in every if "Incomplete" in result.certificate.statement]
    assert unfinished
    assert all("Least is known of batch 1, any window: Incomplete" in each.certificate.statement for each in unfinished)
    for result in every:
        assert result.certificate.is_exact is ("For each: Exact" in result.certificate.statement)
        assert not result.certificate.is_exact or result.front == whole.front


def test_a_small_window_saves_memory_where_memory_is_short():
    model = wide_cost_model(np.random.default_rng(0), (0, 0), 3)
    least = min(int(replace(model, window=1).stage_memory_matrix("d0")[0, stop]) for stop in (1, 2, 3))
    devices = tuple(replace(device, memory_bytes=least + 200) for device in model.cluster.devices)
    short = replace(model, cluster=replace(model.cluster, devices=devices))
    with pytest.raises(InfeasibleError, match="memory"):
        search_variants([build_problem(short)])
    sizes = [build_problem(replace(short, window=window)) for window in (1, 2, 3, None)]
    memories = [problem.stage_memory_bytes[0, 0, 3] for problem in sizes]
    assert memories == sorted(memories)
    assert memories[0] < memories[-1]


def test_the_window_limits_the_throughput_of_candidates():
    model = wide_cost_model(np.random.default_rng(0), (0, 1, 2), 4)
    for candidate in every_candidate(build_problem(replace(model, window=1))):
        assert candidate.plan.window == 1
        assert candidate.cost.throughput_per_second == pytest.approx(1 / candidate.cost.latency_seconds)


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        (("latency_seconds", "energy_joules"), "want both"),
        (("latency_seconds", "bottleneck_seconds", "wire_bytes"), "unlike batches"),
    ],
)
def test_objectives_that_cannot_be_compared(objectives, message):
    base = wide_cost_model(np.random.default_rng(0), (0, 1), 3)
    problems = [build_problem(with_batch(base, batch, 1.0), objectives=objectives) for batch in (1, 2)]
    with pytest.raises(PlanError, match=message):
        search_variants(problems)


def test_a_window_of_nothing_is_refused():
    with pytest.raises(ValueError, match="the window is 0"):
        replace(wide_cost_model(np.random.default_rng(0), (0, 1), 3), window=0)
