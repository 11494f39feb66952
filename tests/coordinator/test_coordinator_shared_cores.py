"""Which nodes share cores, by what they say of themselves; what measured plans teach where stages do."""

from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from described_nodes import node
from prediction_builders import chain_model, measure

from coordinator.config import local_cluster, parse_cluster
from coordinator.fleet import connect_fleet
from coordinator.leaving_out import correct_each_by_others
from coordinator.planning import probe_links
from coordinator.recalibration import recalibrate
from coordinator.shared_cores import core_groups, shared_processors
from node_agent.host.processors import default_threads, usable_cores
from partitioner.processors import SharedProcessor


def found(*nodes):
    return {one.name: dict(one.shares) for one in shared_processors(nodes)}


def test_nodes_pinned_to_one_core_share_all_of_it():
    pinned = node("a", cores=[1]), node("b", cores=[1])
    assert shared_processors(pinned) == (SharedProcessor(name="a+b", shares=(("a", 1.0), ("b", 1.0))),)


def test_nodes_that_use_every_core_share_all_of_them():
    assert found(node("a", threads=2), node("b", threads=2)) == {"a+b": {"a": 1.0, "b": 1.0}}
    assert found(node("a", threads=2), node("b", threads=1)) == {"a+b": {"a": 1.0, "b": 0.5}}


@pytest.mark.parametrize(
    "nodes",
    [
        (node("a"),),
        (node("a", threads=9),),
        (node("a"), node("b")),
        (node("a", cores=[0]), node("b", cores=[1])),
        (node("a", cores=[0]), node("b", cores=[0], host="other")),
        (node("a", cores=[0], limit=0.4), node("b", cores=[0], limit=0.6)),
        tuple(node(name, cores=[0], limit=0.1) for name in "abcdefghij"),
        (node("a", cores=[0]), node("b", cores=[0], slowdown=4.0)),
        (node("a", cores=[0]), node("b", cores=[0], providers=("CUDAExecutionProvider", "CPUExecutionProvider"))),
    ],
)
def test_nodes_with_cores_enough_share_nothing(nodes):
    assert shared_processors(nodes) == ()


def test_a_quota_counts_where_it_is_less_than_the_threads():
    assert found(node("a", cores=[0], limit=0.4), node("b", cores=[0])) == {"a+b": {"a": 0.4, "b": 1.0}}
    assert found(node("a", limit=4.0, threads=2), node("b", threads=2)) == {"a+b": {"a": 1.0, "b": 1.0}}


def test_nodes_that_overlap_in_part_are_in_the_same_groups_in_any_order():
    nodes = node("a", cores=[0], threads=1), node("b", cores=[0, 1], threads=2), node("c", cores=[1, 2], threads=2)
    apart = node("d", cores=[3], threads=1), node("e", cores=[3], threads=1)
    for order in permutations((*nodes, *apart)):
        groups = {frozenset(shares): shares for shares in found(*order).values()}
        assert groups == {
            frozenset("ab"): {"a": 0.5, "b": 1.0},
            frozenset("abc"): {"a": 1 / 3, "b": 2 / 3, "c": 2 / 3},
            frozenset("de"): {"d": 1.0, "e": 1.0},
        }
        for group in core_groups(order):
            assert list(group.nodes) == [one for one in order if one in group.nodes]


def test_nodes_within_the_cores_of_another_are_a_group_of_their_own():
    pinned = node("a", cores=[0]), node("b", cores=[0])
    assert found(*pinned, node("c", cores=range(4))) == {"a+b": {"a": 1.0, "b": 1.0}}
    assert found(*pinned, node("c", threads=2)) == {
        "a+b": {"a": 1.0, "b": 1.0},
        "a+b+c": {"a": 0.5, "b": 0.5, "c": 1.0},
    }


def test_groups_have_names_of_their_own():
    cores_of = {"a": [0], "b": [0], "c": [0, 1], "d": [0, 1], "e": [0, 2], "f": [0, 2]}
    nodes = [node(name, cores=cores) for name, cores in cores_of.items()]
    assert list(found(*nodes)) == ["a+b", "a+b+2 more", "a+b+e+f", "a+b+4 more"]


def test_an_older_node_that_does_not_name_its_cores_has_the_first():
    old = replace(node("a", threads=2), description=replace(node("a", threads=2).description, cores=()))
    assert found(old, node("b", threads=1, cores=[1])) == {"a+b": {"a": 1.0, "b": 0.5}}


def test_a_large_group_has_a_short_name():
    names = [f"local-{index}" for index in range(1, 6)]
    assert set(found(*(node(name) for name in names))) == {"local-1+local-2+3 more"}


@pytest.mark.parametrize(("n_nodes", "n_cores", "weight"), [(1, 2, 0), (2, 2, 0), (3, 2, 0.5), (2, 1, 1.0), (3, 4, 0)])
def test_a_local_cluster_shares_the_machine_where_it_is_too_small(monkeypatch, n_nodes, n_cores, weight):
    monkeypatch.setattr("os.cpu_count", lambda: n_cores)
    nodes = [node(config.name, cores=range(n_cores), threads=config.threads) for config in local_cluster(n_nodes).nodes]
    assert [set(shares.values()) for shares in found(*nodes).values()] == ([{weight}] if weight else [])


def test_the_probed_cluster_of_real_agents_knows_who_shares_a_core(tmp_path: Path):
    core = usable_cores()[-1]
    nodes = [
        {"name": "pinned", "local": True, "cores": [core]},
        {"name": "paced", "local": True, "cores": [core], "emulate": {"slowdown": 2.0}},
        {"name": "free", "local": True},
    ]
    forbidden = [
        {"from": one, "to": other, "forbidden": True} for one, other in (("pinned", "free"), ("paced", "free"))
    ]
    config = parse_cluster({"name": "three", "nodes": nodes, "links": {"between": forbidden}})
    n_cores = len(usable_cores())
    with connect_fleet(config, run_dir=tmp_path) as fleet:
        cluster = probe_links(fleet, lambda what, n_done, n_total: None)
    shares = ("pinned", 1 / n_cores), ("free", default_threads(usable_cores(), 0.0) / n_cores)
    assert cluster.processors == (SharedProcessor(name="pinned+free", shares=shares),)


def on_one_core():
    model = chain_model()
    host = SharedProcessor(name="a+b", shares=(("a", 1.0), ("b", 1.0)))
    return replace(model, cluster=replace(model.cluster, processors=(host,)))


def test_stages_that_stretch_each_other_do_not_teach_that_they_are_slow():
    """Each took twice its time under load; what the core can bear follows from what each takes alone."""
    model = on_one_core()
    split = measure(model, "split", (("a", 4), ("b", 12)), {}, busy_over_unloaded=2.0)
    whole = measure(model, "whole", (("a", 12),), {}, busy_over_unloaded=1.0)
    factors = {one.device: one.factor for one in recalibrate(model, (split, whole), "busy").factors}
    assert factors == {"a": pytest.approx(1.0), "b": pytest.approx(1.0)}
    apart = {one.device: one.factor for one in recalibrate(chain_model(), (split, whole), "busy").factors}
    assert apart["b"] == pytest.approx(2.0)
    other = measure(model, "other", (("a", 6), ("b", 12)), {}, busy_over_unloaded=2.0)
    corrected, *_ = correct_each_by_others(model, (other, split))
    assert corrected.corrected.throughput_per_second == pytest.approx(1 / (6 * 0.004 + 6 * 0.001), rel=1e-6)
