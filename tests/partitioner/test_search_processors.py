"""Devices that share cores: the cost model by hand, engines against enumeration, the simulation against the sums."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import SHA, chain_graph, cluster_of, device_profile, profile_of, random_cost_model, random_problem
from search_media import on_cores, on_media, on_processors, shared
from search_wide import ALL, wide_cost_model
from simulation_builders import closed_form

from partitioner.cluster import Cluster
from partitioner.cost import CostModel
from partitioner.errors import CostModelError, InfeasibleError, PlanError
from partitioner.plan import Plan, SharedCost, Stage
from partitioner.processors import SharedProcessor
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
from partitioner.serialize import load_artefact, save_artefact
from partitioner.simulation import simulate

NAMES = ("a", "b", "c")
ONE_CORE = SharedProcessor(name="a+b", shares=(("a", 1.0), ("b", 1.0)))
THREE_ON_TWO = SharedProcessor(name="a+b+c", shares=(("a", 0.5), ("b", 0.5), ("c", 0.5)))
COSTS = {"deadline": None, "derandomize": True}


def by_hand(*processors, n_units=2):
    """Devices of 1, 2 and 4 s a unit, fast links."""
    graph = chain_graph([10] * (n_units + 1))
    spans = [(start, stop) for start in range(n_units) for stop in range(start + 1, n_units + 1)]
    profiles = [
        device_profile(name, {(start, stop): seconds * (stop - start) for start, stop in spans})
        for name, seconds in zip(NAMES, (1.0, 2.0, 4.0), strict=True)
    ]
    cluster = cluster_of(dict.fromkeys(NAMES, 10**6))
    return CostModel(graph, replace(cluster, processors=processors), profile_of(graph, *profiles))


def plan_on(*stages):
    """Stages of one unit each, on a device, or on several in turn."""
    places = [stage.split("+") for stage in stages]
    made = (
        Stage(device=names[0], start=index, stop=index + 1, replicas=tuple(names[1:]))
        for index, names in enumerate(places)
    )
    return Plan(model_sha256=SHA, batch=1, stages=tuple(made), window=16)


def points(problem, engine=label_front, **effort):
    return evaluate(problem, engine(problem, Effort(**effort)).plans)


def test_busy_times_of_two_devices_on_one_core_add_up():
    apart, together = by_hand().predict(plan_on("a", "b")), by_hand(ONE_CORE).predict(plan_on("a", "b"))
    assert (apart.bottleneck_resource, apart.bottleneck_seconds, apart.processors) == ("device:b", 2.0, ())
    assert (together.bottleneck_resource, together.bottleneck_seconds) == ("processor:a+b", 3.0)
    assert together.processors == (SharedCost(name="a+b", busy_seconds=3.0),)
    assert together.latency_seconds == apart.latency_seconds
    assert together.throughput_per_second == pytest.approx(1 / 3)
    assert [stage.busy_seconds for stage in together.stages] == [1.0, 2.0]
    assert (apart.contending_stages, together.contending_stages) == (frozenset(), {0, 1})


def test_stages_that_contend_want_a_wider_window():
    """Under load each waits while the other has the core: two requests are in flight for each period of both."""
    apart, together = by_hand(), by_hand(ONE_CORE)
    plan = plan_on("a", "b")
    assert (apart.predict(plan).stretch_seconds, together.predict(plan).stretch_seconds) == (0.0, 1.0 + 2.0)
    cost = together.predict(plan)
    assert together.candidate(plan.stages).plan.window == math.ceil((cost.latency_seconds + 3.0) / 3.0) + 1


def test_a_part_of_the_cores_counts_by_its_weight():
    cost = by_hand(THREE_ON_TWO, n_units=3).predict(plan_on("a", "b", "c"))
    assert cost.processors == (SharedCost(name="a+b+c", busy_seconds=3.5),)
    assert (cost.bottleneck_resource, cost.bottleneck_seconds) == ("device:c", 4.0)  # it has a core of its own
    unequal = SharedProcessor(name="host", shares=(("a", 1.0), ("c", 0.9)))
    cost = by_hand(unequal, n_units=3).predict(plan_on("a", "b", "c"))
    assert cost.processors == (SharedCost(name="host", busy_seconds=1.0 + 0.9 * 4.0),)
    assert cost.contending_stages == {0, 2}
    halves = by_hand(THREE_ON_TWO).predict(plan_on("a", "b"))  # both have a core meanwhile
    assert (halves.processors[0].busy_seconds, halves.contending_stages) == (1.5, frozenset())


def test_a_device_alone_on_its_processor_is_as_busy_as_without():
    alone, shared_one = (model.predict(plan_on("a", "c")) for model in (by_hand(), by_hand(ONE_CORE)))
    assert shared_one.bottleneck_resource == alone.bottleneck_resource == "device:c"
    assert shared_one.bottleneck_seconds == alone.bottleneck_seconds
    assert shared_one.contending_stages == frozenset()


def test_a_device_counts_on_each_of_its_processors():
    """a and b have one core, c has that and another."""
    wide = SharedProcessor(name="a+b+c", shares=(("a", 0.5), ("b", 0.5), ("c", 1.0)))
    cost = by_hand(ONE_CORE, wide, n_units=3).predict(plan_on("a", "b", "c"))
    assert cost.processors == (
        SharedCost(name="a+b", busy_seconds=3.0),
        SharedCost(name="a+b+c", busy_seconds=1.5 + 4.0),
    )
    assert (cost.bottleneck_resource, cost.bottleneck_seconds) == ("processor:a+b+c", 5.5)


def test_replicas_on_one_core_bear_no_more_than_one_of_them():
    cost = by_hand(SharedProcessor(name="host", shares=(("a", 1.0), ("b", 1.0), ("c", 0.5)))).predict(
        plan_on("a+b", "c")
    )
    assert cost.stages[0].busy_seconds == 1.0  # of b, every other request
    assert cost.stages[0].processors == (SharedCost(name="host", busy_seconds=0.5 * 1 + 0.5 * 2),)
    assert cost.processors == (SharedCost(name="host", busy_seconds=1.5 + 2.0),)
    assert cost.contending_stages == {0, 1}


def test_wrong_processors_are_named_at_once():
    wrong = SharedProcessor(name="a+b", shares=(("a", 1.5), ("b", 1.0), ("z", 0.5), ("b", 1.0)))
    with pytest.raises(CostModelError) as failure:
        by_hand(ONE_CORE, wrong)
    for words in ("two processors are named 'a+b'", "unknown device 'z'", "'a' the weight 1.5", "names 'b' twice"):
        assert words in str(failure.value)


def test_a_cluster_keeps_its_processors_and_old_files_have_none(tmp_path):
    cluster, path = by_hand(ONE_CORE, n_units=2).cluster, tmp_path / "cluster.json"
    save_artefact(path, cluster, seed=0)
    assert load_artefact(path, Cluster) == cluster
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index(',\n "processors"')] + "\n}", encoding="utf-8")
    assert load_artefact(path, Cluster) == replace(cluster, processors=())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("codecs", "max_replicas"), [((), 1), (("int8", "zstd"), 1), ((), 3)])
def test_objectives_are_those_of_the_cost_model_to_the_last_bit(seed, codecs, max_replicas):
    random = np.random.default_rng(seed)
    model = on_processors(random, wide_cost_model(random, (0, 0, 1), 4))
    problem = build_problem(on_media(random, model) if seed % 2 else model, codecs=codecs, max_replicas=max_replicas)
    plans = encode_plans(problem, list(every_plan(problem)))
    plans = plans.take(np.isfinite(evaluate(problem, plans)[:, 0]))
    costs = [candidate.cost for candidate in decode(problem, plans)]
    figures = [(cost.latency_seconds, cost.bottleneck_seconds) for cost in costs]
    np.testing.assert_array_equal(evaluate(problem, plans), figures)


def test_only_devices_of_one_machine_take_turns():
    graph = chain_graph([10, 10, 10])
    spans = {(0, 1): 1.0, (1, 2): 1.0, (0, 2): 2.0}
    names = ("a", "b", "c", "d")
    cluster = cluster_of(dict.fromkeys(names, 10**6))
    hosts = tuple(
        SharedProcessor(name="+".join(pair), shares=tuple((name, 1.0) for name in pair)) for pair in ("ab", "cd")
    )
    model = CostModel(
        graph, replace(cluster, processors=hosts), profile_of(graph, *(device_profile(name, spans) for name in names))
    )
    problem = build_problem(model, max_replicas=2)
    assert problem.device_names == (*names, "a+b", "c+d")
    np.testing.assert_array_equal(problem.processor_weights, [[1, 1, 0, 0, 2, 0], [0, 0, 1, 1, 0, 2]])
    np.testing.assert_array_equal(points(problem), points(problem, exhaustive_front))
    assert points(problem)[:, 1].min() == 1.0  # a stage on each machine


def bare(seed, n_devices, n_units, is_coarse):
    random = np.random.default_rng(seed)
    problem = random_problem(random, n_devices, n_units, has_limits=bool(seed % 4), is_coarse=is_coarse)
    problem = on_cores(random, problem)
    return bounded(random, shared(random, problem) if seed % 3 == 0 else problem)


def bounded(random, problem):
    """Two objectives, sometimes the memory as well, and a bound half the time."""
    objectives, bounds = (LATENCY, BOTTLENECK, MEMORY), {}
    if random.random() < 0.5:
        figures = points(replace(problem, objectives=objectives), exhaustive_front)
        for index in random.permutation(3)[:2] if len(figures) else ():
            bounds[objectives[index]] = float(np.quantile(figures[:, index], random.uniform(0.2, 1)))
    chosen = (objectives[:2], objectives[:2], objectives, (BOTTLENECK, MEMORY), (LATENCY, MEMORY))[random.integers(5)]
    return replace(problem, objectives=chosen, bounds=bounds)


def wide(seed):
    """Codecs, crews, identical devices, media beside processors."""
    random = np.random.default_rng(seed)
    kinds = ((0, 1), (0, 0, 1), (0, 1, 2), (0, 0, 0))[seed % 4]
    model = on_processors(random, wide_cost_model(random, kinds, int(random.integers(2, 5))))
    codecs = ((), ("int8",), ("int8", "zstd"))[int(random.integers(3))]
    model = on_media(random, model) if seed % 3 == 0 else model
    problem = build_problem(model, codecs=codecs, max_replicas=int(random.integers(1, 4)))
    names = [name for name in ALL if name != "output_error" or codecs]
    objectives = tuple(random.permutation(names).tolist()[: random.integers(2, 4)])
    return replace(bounded(random, problem), objectives=objectives)


problems = st.one_of(
    st.builds(bare, st.integers(0, 10**9), st.integers(1, 4), st.integers(1, 7), st.booleans()),
    st.builds(wide, st.integers(0, 10**9)),
)


@settings(max_examples=100, **COSTS)
@given(problem=problems)
def test_labels_are_the_enumeration_to_the_last_bit(problem):
    np.testing.assert_array_equal(points(problem), points(problem, exhaustive_front))


@settings(max_examples=40, **COSTS)
@given(problem=problems, accuracy=st.sampled_from([0.01, 0.1, 0.5]))
def test_an_accuracy_is_kept(problem, accuracy):
    exact, found = points(problem, exhaustive_front), points(problem, accuracy=accuracy)
    assert len(found) > 0 or not len(exact)
    for point in exact:
        assert np.any(np.all(found <= point * (1 + accuracy) * (1 + 1e-12), axis=1))


@settings(max_examples=12, **COSTS)
@given(seed=st.integers(0, 10**9))
def test_the_order_of_devices_and_processors_does_not_matter(seed):
    random = np.random.default_rng(seed)
    model = on_processors(random, random_cost_model(random, 3, 4, has_limits=False))
    cluster = model.cluster
    other = replace(
        cluster,
        devices=tuple(cluster.devices[index] for index in random.permutation(3)),
        processors=tuple(
            replace(one, shares=tuple(one.shares[index] for index in random.permutation(len(one.shares))))
            for one in cluster.processors[::-1]
        ),
    )
    fronts = (search(build_problem(replace(model, cluster=one))).front for one in (cluster, other))
    one, two = ([(c.cost.latency_seconds, c.cost.bottleneck_seconds) for c in front] for front in fronts)
    assert one == two


@pytest.mark.parametrize("seed", range(8))
def test_exact_hands_over_and_says_so(seed):
    random = np.random.default_rng(seed)
    model = on_processors(random, random_cost_model(random, 3, 6, has_limits=False))
    problem = build_problem(model)
    if problem.processor_weights is None:
        pytest.skip("no device shares its processor")
    asked, truth = (search(problem, engine) for engine in ("exact", "exhaustive"))
    assert (asked.engine, asked.certificate.is_exact) == ("labels", True)
    assert asked.certificate.statement.startswith(REPLACED)
    assert [candidate.cost for candidate in asked.front] == [candidate.cost for candidate in truth.front]
    evolved = nsga2_front(problem, Effort(n_evaluations=4000))
    np.testing.assert_array_equal(evaluate(problem, evolved.plans), points(problem))


def test_what_cannot_add_up_stages_refuses():
    random = np.random.default_rng(0)
    problem = on_cores(random, random_problem(random, 3, 5, has_limits=False))
    with pytest.raises(PlanError, match="does not add up what is shared"):
        exact_front(problem, Effort())
    with pytest.raises(PlanError, match="in this cluster devices share cores: give each of them cores of its own"):
        gather_conditions({"probed": problem})


def test_a_throughput_that_the_cores_cannot_bear_is_infeasible():
    model = by_hand(replace(ONE_CORE, shares=tuple((name, 1.0) for name in NAMES)), n_units=3)
    with pytest.raises(InfeasibleError, match=r"No plan has throughput >= 0.4/s: the best is throughput >= 0.3333/s"):
        search(build_problem(model, bounds={BOTTLENECK: 2.5}), "exact")


def test_processors_of_one_device_change_nothing():
    lone = SharedProcessor(name="a", shares=(("a", 0.5),))
    bare_problem, problem = (build_problem(model) for model in (by_hand(), by_hand(lone)))
    assert problem.processor_weights is None
    assert search(problem, "exact").certificate == search(bare_problem, "exact").certificate


@pytest.mark.parametrize("seed", range(20))
def test_more_cores_never_worsen_a_front(seed):
    random = np.random.default_rng(seed)
    problem = on_cores(random, random_problem(random, 3, 6, has_limits=bool(seed % 2)))
    front = points(problem)
    weights = problem.processor_weights
    wider = replace(problem, processor_weights=weights * random.uniform(0.2, 1))
    sparser = replace(problem, processor_weights=weights * (random.random(weights.shape) < 0.7))
    for better in (wider, sparser, replace(problem, processor_weights=None)):
        found = points(better)
        assert all(np.any(np.all(found <= point * (1 + 1e-12), axis=1)) for point in front)


def test_devices_of_full_weight_are_simulated_as_fast_as_their_sum():
    n_busiest = 0
    for seed in range(16):
        random = np.random.default_rng(seed)
        model = random_cost_model(random, 3, 6, has_limits=False)
        on = tuple((device.name, 1.0) for device in model.cluster.devices[: 2 + seed % 2])
        processors = (SharedProcessor(name="host", shares=on),)
        model = replace(model, cluster=replace(model.cluster, processors=processors))
        for candidate in search(build_problem(model)).front:
            plan, cost = candidate.plan, candidate.cost
            single = simulate(plan, cost, window=1, n_requests=1, n_warm_up=0, shared_processors=processors)
            if all(stage.busy_seconds <= stage.seconds for stage in cost.stages):  # else one works on beside the next
                np.testing.assert_allclose(single.latency_seconds, closed_form(cost)[0], rtol=1e-9)
            full = simulate(plan, cost, window=6 * plan.window, n_requests=400, shared_processors=processors)
            assert full.throughput_per_second == pytest.approx(1 / cost.bottleneck_seconds, rel=5e-3)
            if cost.bottleneck_resource.startswith("processor:"):
                shares = {load.name: load.busy_share for load in full.resources}
                assert shares[cost.bottleneck_resource] == pytest.approx(1.0, rel=1e-6)
                n_busiest += 1
    assert n_busiest >= 5


def test_weights_below_one_bound_the_simulation_and_are_nearly_reached():
    """While one device alone has work, a part of the cores is idle: so it may be slower, never faster."""
    ratios = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        model = random_cost_model(random, 4, 6, has_limits=False)
        processors = (
            SharedProcessor(name="host", shares=tuple((device.name, 0.6) for device in model.cluster.devices)),
        )
        model = replace(model, cluster=replace(model.cluster, processors=processors))
        for candidate in search(build_problem(model)).front:
            plan, cost = candidate.plan, candidate.cost
            full = simulate(plan, cost, window=6 * plan.window, n_requests=400, shared_processors=processors)
            assert max(load.busy_share for load in full.resources) <= 1 + 1e-9
            if cost.bottleneck_resource.startswith("processor:"):
                ratios.append(full.throughput_per_second * cost.bottleneck_seconds)
    assert len(ratios) >= 5
    assert max(ratios) <= 1 + 5e-3
    assert min(ratios) >= 0.85


def test_a_device_on_two_processors_cannot_be_simulated():
    candidate = by_hand().candidate((Stage(device="a", start=0, stop=2),))
    with pytest.raises(PlanError, match="device 'a' is on two processors"):
        simulate(candidate.plan, candidate.cost, shared_processors=(ONE_CORE, replace(ONE_CORE, name="other")))
