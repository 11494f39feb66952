"""Links that share a medium: the cost model by hand, engines against enumeration, the simulation against the sums."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import (
    SHA,
    chain_graph,
    cluster_of,
    device_profile,
    profile_of,
    random_cost_model,
    random_problem,
    smooth_problem,
    wider_problem,
)
from search_media import on_media, shared, slower
from search_wide import ALL, wide_cost_model
from simulation_builders import closed_form

from partitioner.cost import CostModel
from partitioner.errors import CostModelError, InfeasibleError, PlanError
from partitioner.media import SharedMedium
from partitioner.plan import Plan, SharedCost, Stage
from partitioner.search import search
from partitioner.search.building import build_problem
from partitioner.search.encoding import decode, encode_plans, evaluate
from partitioner.search.engines import REPLACED
from partitioner.search.evolutionary.front import nsga2_front
from partitioner.search.exact.front import exact_front
from partitioner.search.exhaustive import every_plan, exhaustive_front
from partitioner.search.labels.front import label_front
from partitioner.search.outcome import Effort
from partitioner.search.problem import BOTTLENECK, LATENCY, MEMORY
from partitioner.search.robust.conditions import gather_conditions
from partitioner.simulation import simulate

EVERY_LINK = tuple((a, b) for a in ("a", "b", "client") for b in ("a", "b", "client") if a != b)


def by_hand(*media):
    """Two devices of 1 s a unit, links of 10 bytes a second: hops of 10, 20 and 5 bytes keep them 1, 2 and 0.5 s."""
    graph = chain_graph([10, 20, 5])
    profiles = [device_profile(name, {(0, 1): 1.0, (1, 2): 1.0, (0, 2): 2.0}) for name in ("a", "b")]
    cluster = cluster_of({"a": 10**6, "b": 10**6}, dict.fromkeys(EVERY_LINK, (0.1, 10.0)))
    return CostModel(graph, replace(cluster, media=tuple(media)), profile_of(graph, *profiles))


def split(*devices, replicas=()):
    first = Stage(device=devices[0], start=0, stop=1)
    second = Stage(device=devices[1], start=1, stop=2, replicas=replicas)
    return Plan(model_sha256=SHA, batch=1, stages=(first, second), window=8)


def points(problem, engine=label_front, **effort):
    return evaluate(problem, engine(problem, Effort(**effort)).plans)


def test_a_medium_is_busy_for_all_hops_over_it():
    alone = by_hand().predict(split("a", "b"))
    assert (alone.bottleneck_resource, alone.bottleneck_seconds, alone.media) == ("link:a->b", 2.0, ())
    cost = by_hand(SharedMedium(name="wifi", links=EVERY_LINK)).predict(split("a", "b"))
    assert (cost.bottleneck_resource, cost.bottleneck_seconds) == ("medium:wifi", 3.5)
    assert cost.media == (SharedCost(name="wifi", busy_seconds=3.5),)
    assert cost.latency_seconds == alone.latency_seconds
    assert cost.throughput_per_second == pytest.approx(1 / 3.5)
    assert cost.hops[1].busy_seconds == 2.0


def test_only_the_links_of_a_medium_count_and_a_link_may_be_in_two():
    uplinks = SharedMedium(name="up", links=(("client", "a"), ("b", "client"), ("b", "a")))
    both = SharedMedium(name="both", links=(("client", "a"), ("a", "b")))
    cost = by_hand(uplinks, both).predict(split("a", "b"))
    assert cost.media == (SharedCost(name="up", busy_seconds=1.5), SharedCost(name="both", busy_seconds=3.0))
    assert cost.bottleneck_resource == "medium:both"


def test_replicas_share_links_but_not_the_medium():
    graph = chain_graph([10, 20, 5])
    names = ("a", "b", "c")
    places = (*names, "client")
    links = {(one, other): (0.0, 10.0) for one in places for other in places if one != other}
    profiles = [device_profile(name, {(0, 1): 0.1, (1, 2): 0.1, (0, 2): 0.2}) for name in names]
    cluster = cluster_of(dict.fromkeys(names, 10**6), links)
    everything = SharedMedium(name="wifi", links=tuple(links))
    to_b = SharedMedium(name="b", links=(("a", "b"),))
    model = CostModel(graph, replace(cluster, media=(everything, to_b)), profile_of(graph, *profiles))
    cost = model.predict(split("a", "b", replicas=("c",)))
    assert cost.hops[1].busy_seconds == 1.0
    assert cost.media == (SharedCost(name="wifi", busy_seconds=3.5), SharedCost(name="b", busy_seconds=1.0))


def test_wrong_media_are_named_at_once():
    air = SharedMedium(name="air", links=(("a", "z"),))
    with pytest.raises(CostModelError, match="two media are named 'air'; medium 'air' names the unknown device 'z'"):
        by_hand(air, replace(air, links=EVERY_LINK))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("codecs", "max_replicas"), [((), 1), (("int8", "zstd"), 1), ((), 3)])
def test_objectives_are_those_of_the_cost_model_to_the_last_bit(seed, codecs, max_replicas):
    random = np.random.default_rng(seed)
    model = on_media(random, wide_cost_model(random, (0, 0, 1), 4))
    problem = build_problem(model, codecs=codecs, max_replicas=max_replicas)
    plans = encode_plans(problem, list(every_plan(problem)))
    plans = plans.take(np.isfinite(evaluate(problem, plans)[:, 0]))
    costs = [candidate.cost for candidate in decode(problem, plans)]
    figures = [(cost.latency_seconds, cost.bottleneck_seconds) for cost in costs]
    np.testing.assert_array_equal(evaluate(problem, plans), figures)
    if max_replicas > 1:
        assert any("+" in name for name in problem.device_names)
    if problem.link_media is not None:
        assert any(cost.bottleneck_resource.startswith("medium:") for cost in costs)


def bare(seed, n_devices, n_units, is_coarse):
    random = np.random.default_rng(seed)
    make = smooth_problem if seed % 5 == 0 else None
    problem = (
        make(random, n_devices, n_units)
        if make
        else random_problem(random, n_devices, n_units, has_limits=bool(seed % 4), is_coarse=is_coarse)
    )
    return bounded(random, shared(random, problem))


def bounded(random, problem):
    """Two objectives, sometimes the memory as well, and bounds half the time."""
    objectives = (LATENCY, BOTTLENECK, MEMORY)
    bounds = {}
    if random.random() < 0.5:
        figures = points(replace(problem, objectives=objectives), exhaustive_front)
        for index in random.permutation(3)[: random.integers(1, 3)] if len(figures) else ():
            bounds[objectives[index]] = float(np.quantile(figures[:, index], random.uniform(0.2, 1)))
    chosen = (objectives[:2], objectives[:2], objectives, (BOTTLENECK, MEMORY), (LATENCY, MEMORY))[random.integers(5)]
    return replace(problem, objectives=chosen, bounds=bounds)


def wide(seed):
    """Codecs, crews, identical devices."""
    random = np.random.default_rng(seed)
    kinds = ((0, 1), (0, 0, 1), (0, 1, 2), (0, 0, 0))[seed % 4]
    model = on_media(random, wide_cost_model(random, kinds, int(random.integers(2, 5))))
    codecs = ((), ("int8",), ("int8", "zstd"))[int(random.integers(3))]
    problem = build_problem(model, codecs=codecs, max_replicas=int(random.integers(1, 4)))
    names = [name for name in ALL if name != "output_error" or codecs]
    objectives = tuple(random.permutation(names).tolist()[: random.integers(2, 4)])
    return replace(bounded(random, problem), objectives=objectives)


problems = st.one_of(
    st.builds(bare, st.integers(0, 10**9), st.integers(1, 4), st.integers(1, 7), st.booleans()),
    st.builds(wide, st.integers(0, 10**9)),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(problem=problems)
def test_labels_are_the_enumeration_to_the_last_bit(problem):
    np.testing.assert_array_equal(points(problem), points(problem, exhaustive_front))


@settings(max_examples=80, deadline=None, derandomize=True)
@given(problem=problems, accuracy=st.sampled_from([0.01, 0.1, 0.5]))
def test_an_accuracy_is_kept(problem, accuracy):
    exact, found = points(problem, exhaustive_front), points(problem, accuracy=accuracy)
    assert len(found) > 0 or not len(exact)
    for point in exact:
        assert np.any(np.all(found <= point * (1 + accuracy) * (1 + 1e-12), axis=1))


@pytest.mark.parametrize("seed", range(8))
def test_exact_hands_over_and_says_so(seed):
    random = np.random.default_rng(seed)
    model = on_media(random, random_cost_model(random, 3, 6, has_limits=False))
    problem = build_problem(model)
    if problem.link_media is None:
        pytest.skip("no link is on a medium")
    asked, chosen, truth = (search(problem, engine, accuracy=0.3) for engine in ("exact", None, "exhaustive"))
    assert asked.engine == "labels"
    assert asked.certificate.is_exact
    assert asked.certificate.statement.startswith(REPLACED)
    assert [candidate.cost for candidate in asked.front] == [candidate.cost for candidate in truth.front]
    assert search(problem).front == asked.front
    assert chosen.engine == "labels"
    assert not chosen.certificate.is_exact
    evolved = nsga2_front(problem, Effort(n_evaluations=4000))
    np.testing.assert_array_equal(evaluate(problem, evolved.plans), points(problem))


def test_what_cannot_add_up_hops_refuses():
    problem = shared(np.random.default_rng(0), random_problem(np.random.default_rng(0), 3, 5, has_limits=False))
    with pytest.raises(PlanError, match=r"does not add up what is shared \(media, processors\): use engine 'labels'"):
        exact_front(problem, Effort())
    with pytest.raises(PlanError, match="in this cluster links share media: take the media out of its description"):
        gather_conditions({"probed": problem})
    apart = replace(problem, objectives=(LATENCY, MEMORY))
    assert not apart.shares_resources


def test_a_throughput_that_the_medium_cannot_bear_is_infeasible():
    model = by_hand(SharedMedium(name="wifi", links=EVERY_LINK))
    with pytest.raises(InfeasibleError, match=r"No plan has throughput >= 0.5556/s: the best is throughput >= 0.5/s"):
        search(build_problem(model, bounds={BOTTLENECK: 1.8}), "exact")


@pytest.mark.parametrize("seed", range(20))
def test_more_capacity_never_worsens_a_front(seed):
    random = np.random.default_rng(seed)
    problem = shared(random, random_problem(random, 3, 6, has_limits=bool(seed % 2)))
    front = points(problem)
    media = problem.link_media
    wider = wider_problem(problem, np.where(media.any(axis=0), random.uniform(1, 3), 1.0))
    fewer = replace(problem, link_media=media[1:] if len(media) > 1 else None)
    sparser = replace(problem, link_media=media & (random.random(media.shape) < 0.7))
    for better in (wider, fewer, sparser):
        found = points(better)
        assert all(np.any(np.all(found <= point * (1 + 1e-12), axis=1)) for point in front)


def test_the_simulation_confirms_the_sums():
    n_busiest = 0
    for seed in range(16):
        random = np.random.default_rng(seed)
        model = random_cost_model(random, 3, 6, has_limits=False)
        model = on_media(random, replace(model, cluster=slower(model.cluster, 3)))
        media = model.cluster.media[:1]
        model = replace(model, cluster=replace(model.cluster, media=media))
        for candidate in search(build_problem(model)).front:
            plan, cost = candidate.plan, candidate.cost
            single = simulate(plan, cost, window=1, n_requests=1, n_warm_up=0, shared_media=media)
            np.testing.assert_allclose(single.latency_seconds, closed_form(cost)[0], rtol=1e-9)
            full = simulate(plan, cost, window=6 * plan.window, n_requests=300, shared_media=media)
            assert full.throughput_per_second == pytest.approx(1 / cost.bottleneck_seconds, rel=2e-3)
            if cost.bottleneck_resource.startswith("medium:"):
                shares = {load.name: load.busy_share for load in full.resources}
                assert shares[cost.bottleneck_resource] == pytest.approx(1.0, rel=2e-3)
                n_busiest += 1
    assert n_busiest >= 10
