"""Evolutionary engines with further objectives, bounds and codecs, judged by the engine `labels`."""

from dataclasses import replace

import numpy as np
import pytest
from search_wide import ALL, wide_cost_model

from partitioner.front import is_dominated
from partitioner.hypervolume import hypervolume
from partitioner.search.building import build_problem
from partitioner.search.encoding import encode_plans, evaluate
from partitioner.search.engines import ENGINES, search
from partitioner.search.evolutionary.extremes import extreme_plans
from partitioner.search.evolutionary.variation import violations
from partitioner.search.exhaustive import every_plan
from partitioner.search.labels.front import label_front
from partitioner.search.outcome import Effort
from partitioner.search.problem import BOTTLENECK, ENERGY, ERROR, LATENCY, MEMORY, WIRE

MANY = (ALL, (BOTTLENECK, LATENCY), (ENERGY, WIRE), (LATENCY, BOTTLENECK, ENERGY), (MEMORY, ERROR, BOTTLENECK))


def coded_problem(seed, objectives, bounds=None):
    model = wide_cost_model(np.random.default_rng(seed), (0, 1, 1), 6)
    return build_problem(model, objectives=objectives, codecs=("int8",), bounds=bounds)


def bounded(problem, names):
    """Bounds that about half of the plans keep, one by one."""
    plans = encode_plans(problem, list(every_plan(problem)))
    figures = evaluate(replace(problem, objectives=ALL), plans)
    allowed = figures[np.isfinite(figures[:, 0])]
    return replace(problem, bounds={name: float(np.quantile(allowed[:, ALL.index(name)], 0.5)) for name in names})


def assert_close(problem, engine, seed):
    front = evaluate(problem, label_front(problem, Effort()).plans)
    outcome = ENGINES[engine](problem, Effort(seed=seed, n_evaluations=3000))
    found = evaluate(problem, outcome.plans)
    assert np.all(np.isfinite(found))
    assert not np.any(is_dominated(found))
    assert not np.any(is_dominated(np.concatenate([front, found]))[: len(front)])
    reference = tuple((np.maximum(front.max(axis=0), 1e-9) * 1.1).tolist())
    assert hypervolume(found, reference) >= 0.9 * hypervolume(front, reference)


@pytest.mark.parametrize("engine", ["nsga2", "nsga3", pytest.param("nsga2_random_key", marks=pytest.mark.slow)])
@pytest.mark.parametrize("objectives", MANY)
def test_further_objectives_with_codecs(engine, objectives):
    assert_close(coded_problem(0, objectives), engine, seed=1)


@pytest.mark.parametrize("engine", ["nsga2", "nsga3"])
@pytest.mark.parametrize(
    ("objectives", "names"),
    [((LATENCY, BOTTLENECK), (ENERGY,)), ((LATENCY, ENERGY, ERROR), (BOTTLENECK, MEMORY)), (ALL, (WIRE, LATENCY))],
)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_bounds_are_kept_and_nearly_all_is_found(engine, objectives, names, seed):
    assert_close(bounded(coded_problem(seed, objectives), names), engine, seed)


@pytest.mark.parametrize("name", ALL)
def test_what_breaks_a_bound_violates_by_its_share(name):
    problem = coded_problem(3, (LATENCY, BOTTLENECK))
    plans = encode_plans(problem, list(every_plan(problem)))
    plans = plans.take(np.isfinite(evaluate(problem, plans)[:, 0]))
    figures = evaluate(replace(problem, objectives=ALL), plans)[:, ALL.index(name)]
    most = float(np.quantile(figures, 0.4))
    amounts = violations(replace(problem, bounds={name: most}), plans)
    np.testing.assert_allclose(amounts, np.maximum(figures - most, 0) / (most or 1.0), rtol=1e-12)
    assert np.any(amounts > 0)
    np.testing.assert_array_equal(violations(problem, plans), 0.0)


def test_the_extremes_are_the_least_of_every_sum():
    problem = coded_problem(1, (LATENCY, BOTTLENECK, ENERGY, WIRE))
    front = evaluate(problem, label_front(problem, Effort()).plans)
    seeds = evaluate(problem, extreme_plans(problem))
    np.testing.assert_array_equal(seeds.min(axis=0), front.min(axis=0))
    assert len(extreme_plans(replace(problem, objectives=(LATENCY, BOTTLENECK)))) == 2


def test_search_gives_a_certificate_without_two_objectives():
    result = search(coded_problem(2, (LATENCY, ENERGY, ERROR)), "nsga3", n_evaluations=1000)
    assert result.certificate.exact_hypervolume is None
    assert len(result.certificate.reference) == 3
