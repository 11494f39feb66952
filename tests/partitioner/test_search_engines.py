import subprocess
import sys

import numpy as np
import pytest
from search_builders import chain_graph, cluster_of, device_profile, profile_of, random_cost_model

from partitioner.cost import CostModel
from partitioner.errors import InfeasibleError, NoneFoundError, PlanError, TooManyStatesError
from partitioner.front import hypervolume_2d, is_dominated
from partitioner.search import ENGINES, build_problem, search
from partitioner.search import engines as engines_module
from partitioner.search.registry import HEURISTICS

MODEL = random_cost_model(np.random.default_rng(3), 4, 12, has_limits=False)


def points_of(candidates):
    return [(candidate.cost.latency_seconds, candidate.cost.bottleneck_seconds) for candidate in candidates]


@pytest.mark.parametrize("engine", ["exact", "exhaustive"])
def test_exact_engines_agree_and_say_so(engine):
    result = search(MODEL, engine)
    assert result.engine == engine
    assert result.certificate.is_exact
    assert result.certificate.statement.startswith("Exact")
    assert points_of(result.front) == points_of(search(MODEL).front)


def test_a_result_is_a_sorted_front_with_its_certificate():
    result = search(build_problem(MODEL), seed=4)
    points = points_of(result.front)
    assert points == sorted(points)
    assert not is_dominated(points).any()
    assert result.seed == 4
    assert result.seconds > 0
    assert result.n_evaluated >= len(result.front) > 2
    certificate = result.certificate
    assert all(x < certificate.reference[0] and y < certificate.reference[1] for x, y in points)
    assert certificate.hypervolume == certificate.exact_hypervolume == hypervolume_2d(points, certificate.reference) > 0


def test_candidates_carry_prediction_and_window():
    for candidate in search(MODEL).front:
        assert candidate.cost == MODEL.predict(candidate.plan)
        assert candidate.plan.model_sha256 == MODEL.graph.model_sha256
        assert candidate.plan.window >= candidate.cost.latency_seconds / candidate.cost.bottleneck_seconds


def test_the_dominated_sample_is_dominated_mixed_and_seeded():
    result = search(MODEL, n_dominated=50, seed=1)
    front = np.array(points_of(result.front))
    assert 0 < len(result.dominated) <= 50
    for point in points_of(result.dominated):
        assert (np.all(front <= point, axis=1) & np.any(front < point, axis=1)).any()
    assert {len(candidate.plan.stages) for candidate in result.dominated} == {1, 2, 3, 4}
    assert len({candidate.plan for candidate in result.dominated}) == len(result.dominated)
    assert search(MODEL, n_dominated=50, seed=1).dominated == result.dominated
    assert search(MODEL, n_dominated=50, seed=2).dominated != result.dominated
    assert search(MODEL, n_dominated=0).dominated == ()


def test_wishes_reach_the_front():
    result = search(build_problem(MODEL, pinned_first="d2", max_stages=2, positions=[3, 6, 9]))
    for candidate in (*result.front, *result.dominated):
        stages = candidate.plan.stages
        assert stages[0].device == "d2"
        assert len(stages) <= 2
        assert {stage.stop for stage in stages[:-1]} <= {3, 6, 9}


MANY = random_cost_model(np.random.default_rng(0), 20, 30, has_limits=False)


@pytest.mark.parametrize("engine", ["nsga2", "nsga3", "minimum_cut"])
def test_what_exact_has_no_room_for_is_left_to_the_others(engine):
    with pytest.raises(TooManyStatesError, match="allow fewer stages or split points, or use engine 'nsga2'"):
        search(MANY)
    result = search(MANY, engine, n_evaluations=500 if engine in HEURISTICS else None)
    assert result.front
    assert not result.certificate.is_exact


def test_few_stages_are_searched_exactly_on_many_devices():
    problem = build_problem(MANY, max_stages=2)
    assert points_of(search(problem).front) == points_of(search(problem, "exhaustive").front)
    assert max(len(candidate.plan.stages) for candidate in search(build_problem(MANY, max_stages=4)).front) > 2


def test_nsga2_tells_its_distance_to_exact():
    result = search(MODEL, "nsga2", seed=3, budget_seconds=0.5)
    certificate = result.certificate
    assert not certificate.is_exact
    assert 0 < certificate.hypervolume <= certificate.exact_hypervolume
    assert "NSGA-II" in certificate.statement
    assert "of the exact front's" in certificate.statement


def test_a_dear_comparison_is_left_out_and_said_so(monkeypatch):
    monkeypatch.setattr(engines_module, "CHEAP_CELLS", 10)
    certificate = search(MODEL, "nsga2", budget_seconds=0.2).certificate
    assert certificate.exact_hypervolume is None
    assert "unknown" in certificate.statement


def test_a_part_of_the_exact_front_is_not_called_exact():
    ticks = iter(range(1000))
    result = search(MODEL, budget_seconds=1.5, clock=lambda: float(next(ticks)))
    assert not result.certificate.is_exact
    assert result.certificate.exact_hypervolume is None
    assert result.certificate.statement.startswith("Incomplete")
    assert points_of(result.front) == points_of(search(MODEL).front)[: len(result.front)]


def test_progress_rises_to_one():
    told = []
    search(MODEL, on_progress=lambda fraction, words: told.append((fraction, words)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] == 1.0
    assert all(words for _, words in told)


def test_unknown_engines_are_refused_with_the_known_ones():
    with pytest.raises(
        PlanError, match="'magic' is unknown: choose one of exact, exhaustive, labels, minimum_cut, nsga2"
    ):
        search(MODEL, "magic")
    assert sorted(ENGINES) == ["exact", "exhaustive", "labels", "minimum_cut", "nsga2", "nsga2_random_key", "nsga3"]


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_no_engine_starts_on_an_infeasible_problem(engine):
    graph = chain_graph([10, 10, 10], weights=[2**20, 2**20])
    profile = profile_of(graph, device_profile("pi-1", {(0, 2): 1.0}))
    with pytest.raises(InfeasibleError, match="'pi-1' lacks 2 MiB"):
        search(CostModel(graph, cluster_of({"pi-1": 100}), profile), engine)


def test_a_budget_that_ends_before_the_first_plan_is_an_error():
    with pytest.raises(NoneFoundError, match="found none within its budget"):
        search(MODEL, budget_seconds=0.0)


def test_pymoo_is_loaded_only_when_asked_for():
    script = "import sys, partitioner.search; print('pymoo' in sys.modules, 'pydantic' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["False", "False"]
