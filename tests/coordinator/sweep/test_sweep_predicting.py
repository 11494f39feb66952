import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks._sweep_model import chain_model, grid_conditions
from coordinator.sweep.predicted import PREDICTED_SWEEP, PredictedSweep
from coordinator.sweep.predicting import predict_sweep
from partitioner.cost import CostModel
from partitioner.errors import PlanError
from partitioner.front import front_indices
from partitioner.plan import Plan, Stage
from partitioner.search.building import build_problem
from partitioner.search.encoding import decode_stages, encode_plans, encode_stages, evaluate
from partitioner.search.exhaustive import every_plan
from partitioner.search.robust.network import LinkCondition, NetworkCondition, apply_condition, random_conditions
from partitioner.serialize import load_artefact, save_artefact

DELAYS, RATES = (0.0, 0.05), (2e4, 2e5, 2e6, 2e7)


@pytest.fixture(scope="module")
def model():
    return chain_model(3, 8)


@pytest.fixture(scope="module")
def conditions(model):
    return grid_conditions(model.cluster, DELAYS, RATES)


@pytest.fixture(scope="module")
def sweep(model, conditions):
    return predict_sweep(model, conditions)


def under(model, condition):
    return CostModel(model.graph, apply_condition(model.cluster, condition), model.profile)


def test_every_front_is_that_of_all_plans(model, conditions, sweep):
    for condition, found in zip(conditions, sweep.conditions, strict=True):
        problem = build_problem(under(model, condition))
        points = evaluate(problem, encode_plans(problem, list(every_plan(problem))))
        truth = points[front_indices(points)]
        assert list(zip(found.latency_seconds, found.bottleneck_seconds, strict=True)) == [*map(tuple, truth.tolist())]


def test_costs_are_those_of_the_cost_model_to_the_last_bit(model, conditions, sweep):
    for row, condition in enumerate(conditions):
        costs = under(model, condition)
        for column, index in enumerate(sweep.candidates):
            cost = costs.candidate(sweep.plans[index].stages).cost
            assert sweep.latency_seconds[row][column] == cost.latency_seconds
            assert sweep.throughput_per_second[row][column] == cost.throughput_per_second


def test_regrets_are_against_the_best_of_all_plans(model, conditions, sweep):
    """The judged plans' regrets are exact, and no plan of any front has less at worst than the minimax plan."""
    tables = []
    for condition in conditions:
        problem = build_problem(under(model, condition))
        every = list(every_plan(problem))
        tables.append(evaluate(problem, encode_plans(problem, every)))
    stages = [decode_stages(problem, encode_plans(problem, [plan]), 0) for plan in every]
    costs = np.stack(tables)
    regrets = costs / costs.min(axis=1, keepdims=True) - 1
    row_of = {one: index for index, one in enumerate(stages)}
    for plan in sweep.plans:
        row = row_of[plan.stages]
        assert plan.worst_regret == pytest.approx(tuple(regrets[:, row].max(axis=0)))
        assert plan.mean_regret == pytest.approx(tuple(regrets[:, row].mean(axis=0)))
    for objective, index in enumerate(sweep.minimax):
        assert sweep.plans[index].worst_regret[objective] == min(p.worst_regret[objective] for p in sweep.plans)


def test_not_splitting_and_sending_the_input_are_always_candidates_and_win_where_they_are_best(sweep):
    kinds = [sweep.plans[index].kind for index in sweep.candidates]
    assert kinds.count("stay") == 1
    assert kinds.count("send") == 2
    latency, _ = sweep.crossover
    slowest, fastest = latency.rates.index(RATES[0]), latency.rates.index(RATES[-1])
    assert sweep.plans[latency.best[1][slowest]].kind == "stay"
    assert sweep.plans[latency.best[0][fastest]].kind != "stay"


def test_maps_and_knees_speak_of_the_plans_of_the_fronts(sweep):
    latency, throughput = sweep.crossover
    for found in sweep.conditions:
        row, column = latency.delays.index(found.delay_seconds), latency.rates.index(found.bytes_per_second)
        assert latency.best[row][column] == found.plans[0]
        assert throughput.best[row][column] == found.plans[-1]
        assert found.knee in found.plans


def test_a_slow_link_contracts_the_front_to_the_smallest_boundary():
    pair = chain_model(2, 20)
    slow, fast = predict_sweep(pair, grid_conditions(pair.cluster, (0.0,), (1.1e5, 5e7))).conditions
    assert slow.contraction.holds
    assert slow.contraction.is_smallest
    assert slow.contraction.largest_bytes == min(map(pair.graph.boundary_bytes, range(1, 20)))
    assert not fast.contraction.holds


def test_two_devices_have_all_splits_among_the_candidates():
    pair = chain_model(2, 8)
    found = predict_sweep(pair, grid_conditions(pair.cluster, DELAYS, RATES))
    stages = {found.plans[index].stages for index in found.candidates}
    assert len(stages) == 2 + 2 * 7


def test_given_plans_are_judged_and_named(model, conditions):
    stages = (Stage(device="device-3", start=0, stop=3), Stage(device="device-1", start=3, stop=8))
    plan = Plan(model_sha256=model.graph.model_sha256, batch=1, stages=stages, window=1)
    found = predict_sweep(
        model, conditions, plans=[plan], label=lambda one: "+".join(stage.device for stage in one), home="device-3"
    )
    (index,) = [index for index in found.candidates if found.plans[index].stages == stages]
    assert found.plans[index].label == "device-3+device-1"
    assert [found.plans[i].kind for i in found.candidates if found.plans[i].label == "device-3"] == ["stay"]


def test_a_window_limits_throughputs_as_the_cost_model_says(model, conditions):
    narrow = CostModel(model.graph, model.cluster, model.profile, window=1)
    found = predict_sweep(narrow, conditions[:3])
    for row, condition in enumerate(conditions[:3]):
        costs = CostModel(model.graph, apply_condition(model.cluster, condition), model.profile, window=1)
        wanted = [costs.candidate(found.plans[i].stages).cost.throughput_per_second for i in found.candidates]
        assert list(found.throughput_per_second[row]) == wanted


def test_conditions_without_a_plan_or_a_grid(model):
    """Random links are on no grid; where the cluster has lost all links no plan is possible, and others still count."""
    conditions = (*random_conditions(model.cluster, 3, seed=1), NetworkCondition(name="cut off"))

    def apply(condition):
        cluster = apply_condition(model.cluster, condition)
        return replace(cluster, links=()) if condition.name == "cut off" else cluster

    found = predict_sweep(model, conditions, apply=apply)
    assert found.crossover == ()
    assert found.conditions[-1].plans == ()
    assert found.conditions[-1].knee is None
    assert all(math.isfinite(regret) for index in found.minimax for regret in found.plans[index].worst_regret)
    assert set(found.latency_seconds[-1]) == {math.inf}
    assert set(found.throughput_per_second[-1]) == {0.0}


def test_an_artefact_comes_back_whole(sweep, tmp_path):
    save_artefact(tmp_path / "predicted.json", sweep, schema=PREDICTED_SWEEP, seed=1)
    assert load_artefact(tmp_path / "predicted.json", PredictedSweep, schema=PREDICTED_SWEEP) == sweep


def test_progress_rises_to_one(model, conditions):
    told = []
    predict_sweep(model, conditions, on_progress=lambda fraction, words: told.append((fraction, words)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert all(words for _, words in told)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conditions": []}, "different names; got none"),
        ({"conditions": [NetworkCondition(name="a"), NetworkCondition(name="a")]}, "different names; got a"),
        ({"home": "d9"}, "Inputs are at 'd9'"),
        ({"conditions": [NetworkCondition(name="a", every_link=LinkCondition(loss=2.0))]}, "does not fit"),
        (
            {"plans": [Plan(model_sha256="", batch=1, stages=(Stage(device="x", start=0, stop=8),), window=1)]},
            "none of this problem's",
        ),
    ],
)
def test_what_does_not_fit_is_told(model, conditions, change, message):
    arguments = {"conditions": conditions, **change}
    with pytest.raises(PlanError, match=message):
        predict_sweep(model, **arguments)


def test_three_objectives_and_replicas_are_refused(model, conditions):
    wide = build_problem(model, objectives=("latency_seconds", "bottleneck_seconds", "wire_bytes"))
    with pytest.raises(PlanError, match="wants a problem of a cost model"):
        predict_sweep(wide, conditions)


def test_stages_are_encoded_as_they_are_decoded(model):
    problem = build_problem(model)
    for plan in list(every_plan(problem))[:50]:
        assert encode_stages(problem, decode_stages(problem, encode_plans(problem, [plan]), 0)) == plan
