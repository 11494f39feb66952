"""Devices of one kind that were not measured equal."""

from dataclasses import replace

import numpy as np
import pytest
from search_builders import chain_graph, cluster_of, device_profile, profile_of

from partitioner.alike import find_kinds, level_kinds
from partitioner.cluster import CLIENT
from partitioner.cost import CostModel
from partitioner.plan import Stage
from partitioner.search import search
from partitioner.search.building import build_problem

GRAPH = chain_graph([40, 30, 20, 10])
UNITS = (3.0, 2.0, 1.0)


def measured(factors, links=None, memories=None):
    """Devices d0, d1, … that take so many times the units' seconds, each span a little off by itself."""
    draw = np.random.default_rng(1)
    names = [f"d{index}" for index in range(len(factors))]
    spans = [(start, stop) for start in range(3) for stop in range(start + 1, 4)]
    profiles = [
        device_profile(name, {span: factor * sum(UNITS[slice(*span)]) * draw.uniform(0.99, 1.01) for span in spans})
        for name, factor in zip(names, factors, strict=True)
    ]
    places = (*names, CLIENT)
    links = links or {(a, b): (0.0, draw.uniform(90, 110)) for a in places for b in places if a != b}
    memories = memories or dict.fromkeys(names, 1000)
    return CostModel(GRAPH, cluster_of(memories, links), profile_of(GRAPH, *profiles))


def test_boards_of_one_type_are_found_though_no_two_were_measured_equal():
    assert find_kinds(measured([1.0, 1.04, 3.0, 0.98, 3.1])) == (("d0", "d1", "d3"), ("d2", "d4"))
    assert find_kinds(measured([1.0, 1.3])) == ()


def test_another_link_makes_another_kind():
    places = ("d0", "d1", CLIENT)
    links = {(a, b): (0.0, 100.0) for a in places for b in places if a != b}
    assert find_kinds(measured([1, 1], links)) == (("d0", "d1"),)
    assert find_kinds(measured([1, 1], links | {(CLIENT, "d1"): (0.0, 50.0)})) == ()
    del links["d1", CLIENT]
    assert find_kinds(measured([1, 1], links)) == ()


def sustaining(model, rate_of):
    """The links to and from each device sustain so many bytes per second."""
    links = tuple(
        replace(link, busy_bytes_per_second=min(rate_of.get(end, np.inf) for end in (link.source, link.target)))
        for link in model.cluster.links
    )
    return replace(model, cluster=replace(model.cluster, links=links))


def test_another_sustained_rate_makes_another_kind():
    model = measured([1, 1])
    assert find_kinds(sustaining(model, {"d0": 90.0, "d1": 80.0})) == (("d0", "d1"),)
    assert find_kinds(sustaining(model, {"d0": 90.0, "d1": 9.0})) == ()


def test_links_of_a_kind_have_the_worst_of_each_of_their_figures():
    places = ("d0", "d1", CLIENT)
    links = {(a, b): (0.1, 110.0) if "d0" in (a, b) else (0.12, 120.0) for a in places for b in places if a != b}
    model = sustaining(measured([1, 1], links), {"d0": 100.0, "d1": 80.0})
    kinds = find_kinds(model)
    assert kinds == (("d0", "d1"),)
    for pair in (("d0", CLIENT), ("d1", CLIENT), (CLIENT, "d0"), (CLIENT, "d1")):
        link = level_kinds(model, kinds).cluster.link_of[pair]
        assert (link.fixed_seconds, link.bytes_per_second, link.busy_bytes_per_second) == (0.12, 110.0, 80.0)
    result = search(build_problem(level_kinds(model, kinds), max_replicas=2))
    for candidate in result.front:
        assert candidate.cost.throughput_per_second <= model.predict(candidate.plan).throughput_per_second


def test_a_kind_is_as_slow_as_its_slowest_and_has_the_least_memory():
    model = measured([1.0, 1.06, 4.0], memories={"d0": 900, "d1": 1000, "d2": 50})
    level = level_kinds(model, find_kinds(model))
    assert [device.memory_bytes for device in level.cluster.devices] == [900, 900, 50]
    for name in ("d0", "d1"):
        assert np.array_equal(level.stage_seconds_matrix(name), model.stage_seconds_matrix("d1"))
    assert np.array_equal(level.stage_seconds_matrix("d2"), model.stage_seconds_matrix("d2"))
    for source, target in (("d0", "d1"), (CLIENT, "d0"), ("d2", "d1")):
        rate = level.cluster.link_of[source, target].bytes_per_second
        assert rate <= model.cluster.link_of[source, target].bytes_per_second


def test_only_level_devices_can_bear_a_stage_in_turn():
    model = measured([1.0, 1.02, 1.01])
    assert build_problem(model, max_replicas=3).crews is None
    problem = build_problem(level_kinds(model, find_kinds(model)), max_replicas=3)
    assert "d0+d1+d2" in problem.device_names
    best = min(search(problem).front, key=lambda candidate: candidate.cost.bottleneck_seconds)
    one = level_kinds(model, find_kinds(model)).candidate((Stage(device="d0", start=0, stop=3),))
    assert best.cost.bottleneck_seconds == pytest.approx(one.cost.bottleneck_seconds / 3)


def test_a_model_without_kinds_is_left_as_it_is():
    model = measured([1.0, 2.0])
    level = level_kinds(model, find_kinds(model))
    assert replace(level).cluster == model.cluster
    assert level.profile == model.profile
