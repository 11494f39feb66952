from dataclasses import replace

import numpy as np
import pytest
from search_builders import chain_graph, cluster_of, device_profile, profile_of, random_problem

from partitioner.cluster import CLIENT
from partitioner.cost import CostModel
from partitioner.errors import InfeasibleError
from partitioner.search.building import build_problem
from partitioner.search.exact import least_latency_plan
from partitioner.search.infeasible import check_feasible, least_memory_scale

MEBIBYTE = 2**20
GRAPH = chain_graph([0, 0, 0, 0], weights=[100 * MEBIBYTE, 200 * MEBIBYTE, 300 * MEBIBYTE])
SPANS = {(0, 1): 0.1, (1, 2): 0.1, (2, 3): 0.1}


def model_of(memories, links=None):
    profiles = [device_profile(name, SPANS) for name in memories]
    return CostModel(GRAPH, cluster_of(memories, links), profile_of(GRAPH, *profiles))


def message_of(model, **wishes):
    with pytest.raises(InfeasibleError) as caught:
        check_feasible(build_problem(model, **wishes))
    return str(caught.value)


def test_lacking_memory_is_told_per_device():
    message = message_of(model_of({"pi-1": 265 * MEBIBYTE, "pi-2": 265 * MEBIBYTE}))
    # 300 of 265 is the least: [0:2] needs 300, [2:3] needs 300
    assert "No plan fits the memory limits" in message
    assert "wants 1.13 times the memory" in message
    assert "'pi-1' lacks 35 MiB for" in message
    assert "'pi-2' lacks 35 MiB for" in message
    assert "(needs 300 MiB, has 265 MiB)" in message


def test_devices_with_enough_memory_are_not_blamed():
    message = message_of(model_of({"pi-1": 265 * MEBIBYTE, "server": 290 * MEBIBYTE}))
    assert "'server' lacks 10 MiB" in message
    assert "'pi-1' lacks 35 MiB" in message
    alone = message_of(model_of({"pi-1": 10 * MEBIBYTE, "server": 590 * MEBIBYTE}))
    assert "'server' lacks 10 MiB for [0:3]" in alone
    assert "'pi-1' lacks" not in alone


def test_wishes_that_cost_memory_are_judged_with_it():
    model = model_of({"pi-1": 300 * MEBIBYTE, "pi-2": 300 * MEBIBYTE})
    check_feasible(build_problem(model))
    assert "lacks 300 MiB for [0:3]" in message_of(model, max_stages=1)
    assert "lacks 200 MiB for [1:3]" in message_of(model, positions=[1])


@pytest.mark.parametrize(
    ("links", "text"),
    [
        ({("a", "b"): (0, 1), ("b", CLIENT): (0, 1)}, "there is no link from 'client' to any device"),
        ({("a", "b"): (0, 1), (CLIENT, "a"): (0, 1)}, "there is no link from any device back to 'client'"),
        ({(CLIENT, "a"): (0, 1), ("b", CLIENT): (0, 1)}, "'client' sends to 'a' and hears from 'b', and no chain"),
    ],
)
def test_missing_links_are_named(links, text):
    assert text in message_of(model_of({"a": 10**9, "b": 10**9}, links))


def test_links_that_forbid_a_wish():
    links = {(CLIENT, "a"): (0, 1), ("a", "b"): (0, 1), ("b", CLIENT): (0, 1), ("a", CLIENT): (0, 1)}
    message = message_of(model_of({"a": 10**9, "b": 10**9}, links), pinned_first="b", max_stages=1)
    assert "the links do not allow at most 1 stages with 'b' first" in message


def test_pins_that_exclude_each_other():
    model = model_of({"a": 10**9, "b": 10**9})
    assert "allow two stages or drop a pin" in message_of(model, pinned_first="a", pinned_last="b", max_stages=1)
    assert "without a split point" in message_of(model, pinned_first="a", pinned_last="b", positions=[])


@pytest.mark.parametrize("seed", range(30))
def test_the_memory_scale_is_the_least(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, 3, 6)
    problem = problem.with_device_memory(random.uniform(0.2, 3, 3))
    found = least_memory_scale(problem)
    unlimited = problem.with_device_memory(np.full(3, np.inf))
    if found is None:
        assert least_latency_plan(unlimited) is None
        return
    limits = np.maximum(problem.device_memory_bytes, 1.0)
    assert least_latency_plan(problem.with_device_memory(limits * found[0] * (1 + 1e-12))) is not None
    assert least_latency_plan(problem.with_device_memory(limits * found[0] * (1 - 1e-12))) is None


def test_devices_without_any_memory_are_counted_too():
    problem = random_problem(np.random.default_rng(0), 2, 4, has_limits=False)
    with pytest.raises(InfeasibleError, match="lacks"):
        check_feasible(replace(problem, device_memory_bytes=np.zeros(2)))
