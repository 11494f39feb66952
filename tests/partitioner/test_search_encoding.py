import numpy as np
import pytest
from search_builders import random_cost_model, random_problem

from partitioner.cost_faults import plan_faults
from partitioner.errors import PlanError
from partitioner.plan import Plan
from partitioner.search.building import build_problem
from partitioner.search.encoding import decode, decode_rows, decode_stages, encode_plans, evaluate
from partitioner.search.sampling import possible_stages, random_plans


@pytest.mark.parametrize("seed", range(20))
def test_evaluation_is_prediction_to_the_last_bit(seed):
    random = np.random.default_rng(seed)
    model = random_cost_model(random, int(random.integers(1, 5)), int(random.integers(1, 9)))
    problem = build_problem(model)
    plans = random_plans(problem, 40, random)
    for row, (latency, bottleneck) in enumerate(evaluate(problem, plans)):
        stages = decode_stages(problem, plans, row)
        plan = Plan(model_sha256=model.graph.model_sha256, batch=1, stages=stages, window=1)
        faults = plan_faults(plan, model.graph, model.cluster)
        if faults:
            assert all("there is no link" in fault for fault in faults)
            assert np.isinf(latency)
            continue
        candidate = model.candidate(stages)
        if model.memory_faults(candidate.plan):
            assert np.isinf(latency)
        else:
            assert (candidate.cost.latency_seconds, candidate.cost.bottleneck_seconds) == (latency, bottleneck)


def test_wishes_forbid_plans():
    model = random_cost_model(np.random.default_rng(0), 3, 6, has_limits=False)
    problem = build_problem(model, pinned_first="d1", pinned_last="d2", max_stages=2, positions=[2, 4])
    allowed = [[(1, 2), (2, 6)], [(1, 4), (2, 6)]]
    forbidden = [
        [(0, 6)],
        [(1, 6)],
        [(1, 3), (2, 6)],
        [(2, 2), (1, 6)],
        [(1, 2), (0, 4), (2, 6)],
        [(1, 2), (1, 6)],
        [(1, 2), (2, 4)],
        [],
    ]
    finite = np.isfinite(evaluate(problem, encode_plans(problem, allowed + forbidden))).all(axis=1)
    assert finite.tolist() == [True] * len(allowed) + [False] * len(forbidden)


def test_codes_and_rows_are_one_to_one():
    problem = random_problem(np.random.default_rng(1), 4, 9, has_limits=False)
    plans = random_plans(problem, 50, np.random.default_rng(2))
    again = decode_rows(plans.rows())
    assert np.array_equal(again.devices, plans.devices)
    assert np.array_equal(again.stops, plans.stops)
    distinct = {tuple(row) for row in plans.rows().tolist()}
    assert len(plans.unique()) == len(distinct)


@pytest.mark.parametrize("seed", range(30))
def test_random_plans_obey_pins_stages_and_positions(seed):
    random = np.random.default_rng(seed)
    problem = random_problem(random, int(random.integers(1, 5)), int(random.integers(1, 9)))
    least, most = possible_stages(problem)
    if least > most:
        return
    free = random_problem(np.random.default_rng(seed), problem.n_devices, problem.n_units, has_limits=False)
    wishes = {
        name: getattr(problem, name) for name in ("pinned_first", "pinned_last", "max_stages", "is_position_allowed")
    }
    linked = type(problem)(**{name: getattr(free, name) for name in free.__dataclass_fields__} | wishes)
    plans = random_plans(linked, 100, random)
    assert np.isfinite(evaluate(linked, plans)).all()
    assert set(np.sum(plans.devices >= 0, axis=1).tolist()) <= set(range(least, most + 1))


def test_decoding_wants_a_cost_model():
    problem = random_problem(np.random.default_rng(0), 2, 3, has_limits=False)
    with pytest.raises(PlanError, match="build_problem"):
        decode(problem, encode_plans(problem, [[(0, 3)]]))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"pinned_first": "x"}, "Pinned device 'x' is unknown: the cluster has d0, d1"),
        ({"pinned_last": "y"}, "Pinned device 'y'"),
        ({"max_stages": 0}, "max_stages is 0"),
        ({"positions": [0, 2, 5]}, r"Positions \[0, 5\] are no split points: wanted 1 … 4"),
    ],
)
def test_impossible_wishes_are_refused(wish, message):
    with pytest.raises(PlanError, match=message):
        build_problem(random_cost_model(np.random.default_rng(0), 2, 5), **wish)
