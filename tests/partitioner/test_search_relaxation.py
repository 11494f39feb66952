"""Bounds that cannot be kept: which, and by how much less they can."""

import re
from dataclasses import replace

import numpy as np
import pytest
from search_builders import device_profile
from search_wide import wide_cost_model

from partitioner.bounds import SECONDS
from partitioner.errors import InfeasibleError
from partitioner.search import search
from partitioner.search.building import build_problem
from partitioner.search.encoding import encode_plans, evaluate
from partitioner.search.exhaustive import every_plan
from partitioner.search.problem import BOTTLENECK, LATENCY, MEMORY


def points(problem):
    figures = evaluate(problem, encode_plans(problem, list(every_plan(problem))))
    return figures[np.isfinite(figures[:, 0])]


def message_of(problem):
    with pytest.raises(InfeasibleError) as caught:
        search(problem)
    return str(caught.value)


def latency_in(message):
    number, unit = re.findall(r"latency <= ([\d.]+) (s|ms)", message)[-1]
    return float(number) * SECONDS[unit]


@pytest.mark.parametrize("seed", range(5))
def test_the_relaxation_of_one_bound_is_the_best_plan_s_figure(seed):
    model = wide_cost_model(np.random.default_rng(seed), (0, 1, 2), 4)
    free = points(build_problem(model))
    message = message_of(build_problem(model, bounds={LATENCY: 0.5 * free[:, 0].min()}))
    assert message.startswith("No plan has latency <= ")
    assert latency_in(message) == pytest.approx(free[:, 0].min(), rel=1e-3)
    message = message_of(build_problem(model, bounds={BOTTLENECK: 0.5 * free[:, 1].min()}))
    assert message.endswith(f"the best is throughput >= {1 / free[:, 1].min():.4g}/s.")


@pytest.mark.parametrize("seed", range(5))
def test_bounds_that_only_clash_together_are_relaxed_one_at_a_time(seed):
    model = wide_cost_model(np.random.default_rng(seed), (0, 1, 2), 4)
    free = points(build_problem(model))
    fastest, widest = free[:, 0].min(), free[:, 1].min()
    if np.any((free[:, 0] <= fastest) & (free[:, 1] <= widest)):
        pytest.skip("one plan is best in both")
    message = message_of(build_problem(model, bounds={LATENCY: fastest, BOTTLENECK: widest}))
    assert "together. With the others kept, the least relaxation is latency <= " in message
    assert latency_in(message) == pytest.approx(free[free[:, 1] <= widest, 0].min(), rel=1e-3)
    assert f"throughput >= {1 / free[free[:, 0] <= fastest, 1].min():.4g}/s" in message


def test_a_bound_of_memory_counts_beside_that_of_the_devices():
    model = wide_cost_model(np.random.default_rng(0), (0, 1), 3)
    least = points(build_problem(model, objectives=(MEMORY, LATENCY)))[:, 0].min()
    assert search(build_problem(model, bounds={MEMORY: least})).front
    assert "No plan has memory <= " in message_of(build_problem(model, bounds={MEMORY: least - 1}))


@pytest.mark.parametrize("seed", range(4))
def test_units_that_no_provider_supports_are_named(seed):
    model = wide_cost_model(np.random.default_rng(seed), (0, 1), 3)
    devices = [replace(device, unsupported_units=(1,)) for device in model.profile.devices]
    one = replace(model, profile=replace(model.profile, devices=(devices[0], model.profile.devices[1])))
    for candidate in search(one).front:
        assert all(stage.device == "d1" for stage in candidate.plan.stages if stage.start <= 1 < stage.stop)
    none = replace(model, profile=replace(model.profile, devices=tuple(devices)))
    assert "'d0' cannot bear unit 1; 'd1' cannot bear unit 1" in message_of(build_problem(none))


def test_units_without_support_want_no_time():
    model = wide_cost_model(np.random.default_rng(0), (0, 1), 3)
    partly = replace(device_profile("d0", {(0, 1): 1.0, (2, 3): 1.0}), unsupported_units=(1,))
    built = replace(model, profile=replace(model.profile, devices=(partly, model.profile.devices[1])))
    seconds = built.stage_seconds_matrix("d0")
    assert np.isfinite(seconds[0, 1])
    assert np.isfinite(seconds[2, 3])
    assert np.isinf(seconds[[0, 1, 0, 1], [2, 2, 3, 3]]).all()
