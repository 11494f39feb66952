"""The engine `labels` against enumeration: exact to the last bit, within the accuracy, bounds kept."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import of_devices, random_problem, smooth_problem
from search_wide import ALL, wide_cost_model

from partitioner.errors import PlanError
from partitioner.front import is_dominated
from partitioner.search.building import build_problem
from partitioner.search.encoding import encode_plans, evaluate, evaluate_quantities
from partitioner.search.engines import search
from partitioner.search.exact.front import exact_front
from partitioner.search.exhaustive import every_plan, exhaustive_front
from partitioner.search.labels import gaps as labels_gaps
from partitioner.search.labels import sweep as labels_sweep
from partitioner.search.labels.costs import round_up
from partitioner.search.labels.front import label_front
from partitioner.search.outcome import Effort
from partitioner.search.problem import BOTTLENECK, ENERGY, ERROR, LATENCY, MEMORY, WIRE

ACCURACIES = (0.001, 0.02, 0.1, 0.5)


def points(problem, engine=label_front, **effort):
    return evaluate(problem, engine(problem, Effort(**effort)).plans)


def wished(random, problem):
    """The problem with random objectives and, half the time, bounds that cut into what is possible."""
    names = [name for name in ALL if name != ERROR or problem.boundary_errors is not None]
    order = random.permutation(names).tolist()
    objectives = tuple(order[: random.integers(2, len(names) + 1)])
    bounds = {}
    if random.random() < 0.6:
        free = replace(problem, objectives=tuple(names))
        figures = points(free, exhaustive_front)
        for name in random.permutation(names)[: random.integers(1, 4)] if len(figures) else ():
            bounds[str(name)] = float(np.quantile(figures[:, names.index(name)], random.uniform(0.1, 1)))
    return replace(problem, objectives=objectives, bounds=bounds)


def bare_problem(seed, n_devices, n_units, is_coarse):
    """Forbidden links, memory limits, pins, few positions, ties; watts and errors of boundaries."""
    random = np.random.default_rng(seed)
    problem = random_problem(random, n_devices, n_units, has_limits=bool(seed % 4), is_coarse=is_coarse)
    errors = random.uniform(0, 0.1, n_units + 1) * (random.random(n_units + 1) < 0.7)
    watts = np.ceil(random.uniform(0, 4, n_devices)) if is_coarse else random.uniform(2, 20, n_devices)
    return wished(random, replace(problem, device_watts=watts, boundary_errors=errors))


def wide_problem(seed):
    """Codecs, crews, identical devices, few stages."""
    random = np.random.default_rng(seed)
    kinds = ((0, 1), (0, 0, 1), (0, 1, 2), (0, 0, 0))[seed % 4]
    model = wide_cost_model(random, kinds, int(random.integers(2, 5)))
    codecs = ((), ("int8",), ("int8", "zstd"))[int(random.integers(3))]
    stages, replicas = int(random.integers(1, 4)), int(random.integers(1, 4))
    return wished(random, build_problem(model, codecs=codecs, max_stages=stages, max_replicas=replicas))


problems = st.one_of(
    st.builds(bare_problem, st.integers(0, 10**9), st.integers(1, 4), st.integers(1, 7), st.booleans()),
    st.builds(wide_problem, st.integers(0, 10**9)),
)


def worst_excess(found, truth):
    """The least factor with which every point of the truth has one found that exceeds it by no more in any figure."""
    if not len(truth):
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(found[None] == truth[:, None], 1.0, found[None] / truth[:, None])
    return float(ratios.max(axis=2).min(axis=1).max())


@settings(max_examples=300, deadline=None, derandomize=True)
@given(problems)
def test_labels_are_exhaustive_to_the_last_bit(problem):
    outcome = label_front(problem, Effort())
    np.testing.assert_array_equal(evaluate(problem, outcome.plans), points(problem, exhaustive_front))
    assert outcome.is_exact


@settings(max_examples=250, deadline=None, derandomize=True)
@given(problems, st.sampled_from(ACCURACIES))
def test_every_plan_is_met_within_the_accuracy(problem, accuracy):
    outcome = label_front(problem, Effort(accuracy=accuracy))
    found, truth = evaluate(problem, outcome.plans), points(problem, exhaustive_front)
    assert len(found) == 0 if len(truth) == 0 else worst_excess(found, truth) <= 1 + accuracy
    assert np.all(np.isfinite(found))
    assert not np.any(is_dominated(found))
    assert outcome.gap == accuracy
    assert not outcome.is_exact


@settings(max_examples=100, deadline=None, derandomize=True)
@given(problems, st.sampled_from((0.0, 0.05)))
def test_little_room_changes_nothing_but_the_way(problem, accuracy):
    """Boxes are then narrowed to one level, labels get more room, and corners are left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels_sweep, "MANY", 3)
        patch.setattr(labels_sweep, "FEW", 2)
        patch.setattr(labels_sweep, "STEPS", 1)
        patch.setattr(labels_gaps, "MOST_CORNERS", 4)
        found = points(problem, accuracy=accuracy)
    truth = points(problem, exhaustive_front)
    if accuracy:
        assert worst_excess(found, truth) <= 1 + accuracy if len(found) else not len(truth)
    else:
        np.testing.assert_array_equal(found, truth)


def test_the_random_problems_are_not_trivial():
    drawn = [bare_problem(seed, 4, 6, seed % 2 == 0) for seed in range(30)] + [wide_problem(seed) for seed in range(30)]
    sizes = [len(points(problem)) for problem in drawn]
    assert sum(size > 5 for size in sizes) > 15, sizes
    assert sum(size == 0 for size in sizes) > 1, sizes
    assert sum(bool(problem.bounds) for problem in drawn) > 20
    assert {len(problem.objectives) for problem in drawn} == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("objectives", [(LATENCY, BOTTLENECK), (BOTTLENECK, LATENCY)])
@pytest.mark.parametrize("seed", range(3))
def test_two_objectives_are_those_of_the_exact_engine(objectives, seed):
    problem = replace(smooth_problem(np.random.default_rng(seed), 5, 16), objectives=objectives)
    np.testing.assert_array_equal(points(problem), points(problem, exact_front))


def long_problem(n_devices, n_units, *objectives):
    """Devices that are good at different units, fast ones hungry, and fast links: the fronts are long."""
    random = np.random.default_rng(5)
    problem = smooth_problem(random, n_devices, n_units)
    speed = np.linspace(1, 2, n_devices)
    units = random.uniform(0.5, 2, (n_devices, n_units)) / speed[:, None]
    totals = np.concatenate([np.zeros((n_devices, 1)), np.cumsum(units, axis=1)], axis=1)
    seconds = totals[:, None, :] - totals[:, :, None] + 0.01
    return replace(
        problem,
        stage_seconds=np.where(np.isfinite(problem.stage_seconds), seconds, np.inf),
        link_fixed_seconds=problem.link_fixed_seconds / 100,
        link_bytes_per_second=problem.link_bytes_per_second * 5,
        device_watts=speed**3,
        objectives=objectives,
    )


@pytest.mark.parametrize("accuracy", [0.0, 0.03])
@pytest.mark.parametrize("third", [ENERGY, MEMORY, WIRE])
def test_larger_problems_meet_every_plan(third, accuracy):
    """Four devices and 14 units: some ten thousand plans."""
    problem = long_problem(4, 14, LATENCY, BOTTLENECK, third)
    found, truth = points(problem, accuracy=accuracy), points(problem, exhaustive_front)
    assert len(truth) > 10
    if accuracy:
        assert 1 < worst_excess(found, truth) <= 1 + accuracy
        assert len(found) < len(truth)
    else:
        np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize("seed", range(4))
def test_exchanging_identical_devices_changes_nothing(seed):
    model = wide_cost_model(np.random.default_rng(seed), (0, 1, 0, 1), 4)
    problem = build_problem(model, objectives=(LATENCY, BOTTLENECK, ENERGY), codecs=("int8",))
    order = np.array([2, 3, 0, 1])
    exchanged = replace(
        problem,
        **of_devices(problem, order),
        device_watts=problem.device_watts[order],
    )
    one, other = label_front(problem, Effort()), label_front(exchanged, Effort())
    np.testing.assert_array_equal(one.plans.rows(), other.plans.rows())
    np.testing.assert_array_equal(evaluate(problem, one.plans), evaluate(exchanged, other.plans))


def test_a_bound_on_a_sum_is_kept_to_the_last_bit():
    random = np.random.default_rng(8)
    problem = replace(random_problem(random, 3, 6, has_limits=False), objectives=(LATENCY, BOTTLENECK, WIRE))
    figures = evaluate_quantities(problem, encode_plans(problem, list(every_plan(problem))))
    for most in np.unique(figures[:, 0])[5:400:37]:
        for bound in (most, np.nextafter(most, 0)):
            bounded = replace(problem, bounds={LATENCY: float(bound)})
            np.testing.assert_array_equal(points(bounded), points(bounded, exhaustive_front))


def test_the_accuracy_is_used():
    problem = long_problem(5, 30, LATENCY, BOTTLENECK, ENERGY)
    exact, rough = points(problem), points(problem, accuracy=0.1)
    assert len(rough) < len(exact) / 3
    assert worst_excess(rough, exact) <= 1.1


def test_a_budget_ends_it_and_the_plans_found_are_plans():
    problem = long_problem(5, 30, LATENCY, BOTTLENECK, WIRE)
    seconds = iter(range(10**6))
    outcome = label_front(problem, Effort(budget_seconds=25, clock=lambda: float(next(seconds))))
    assert len(outcome.plans)
    assert not outcome.is_exact
    assert outcome.gap is None
    assert "the budget ended" in outcome.statement
    assert not np.any(is_dominated(evaluate(problem, outcome.plans)))
    nothing = label_front(problem, Effort(budget_seconds=0.0))
    assert len(nothing.plans) == 0
    assert not nothing.is_exact


def test_progress_rises_to_one():
    problem = replace(smooth_problem(np.random.default_rng(2), 4, 10), objectives=(LATENCY, BOTTLENECK, WIRE))
    told = []
    label_front(problem, Effort(on_progress=lambda share, message: told.append((share, message))))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert told[-1][1].endswith("plans found")


def test_bounds_that_forbid_everything_leave_nothing():
    problem = replace(
        smooth_problem(np.random.default_rng(2), 3, 6), objectives=(LATENCY, WIRE), bounds={LATENCY: 0.01}
    )
    outcome = label_front(problem, Effort())
    assert len(outcome.plans) == 0
    assert outcome.is_exact


def test_too_many_labels_say_what_to_do(monkeypatch):
    monkeypatch.setattr(labels_sweep, "MOST_BYTES", 100_000)
    monkeypatch.setattr(labels_sweep, "MANY", 100)
    problem = long_problem(6, 40, LATENCY, WIRE, ENERGY)
    with pytest.raises(PlanError, match="give it an accuracy"):
        label_front(problem, Effort())


@pytest.mark.parametrize("accuracy", [-0.1, float("nan"), float("inf")])
def test_an_accuracy_that_cannot_be(accuracy):
    with pytest.raises(PlanError, match="wanted 0 or more"):
        label_front(smooth_problem(np.random.default_rng(1), 2, 3), Effort(accuracy=accuracy))


@pytest.mark.parametrize("accuracy", [1e-3, 0.1, 2.0])
def test_peaks_are_rounded_up_by_less_than_the_accuracy(accuracy):
    peaks = np.concatenate([np.random.default_rng(0).lognormal(0, 8, 10_000), [0.0, np.inf]])
    grid = round_up(peaks, accuracy)
    assert np.all(grid >= peaks)
    assert np.all(grid[:-1] <= peaks[:-1] * (1 + accuracy))
    np.testing.assert_array_equal(grid[-2:], [0.0, np.inf])
    np.testing.assert_array_equal(np.argsort(grid, kind="stable"), np.lexsort((np.arange(len(grid)), grid)))
    assert np.all(np.diff(grid[np.argsort(peaks)]) >= 0)


def test_search_takes_labels_by_itself_and_certifies_the_gap():
    model = wide_cost_model(np.random.default_rng(3), (0, 1, 2), 5)
    problem = build_problem(model, objectives=(LATENCY, BOTTLENECK, ENERGY))
    exact, rough = search(problem), search(problem, accuracy=0.05)
    assert (exact.engine, exact.certificate.is_exact, exact.certificate.gap) == ("labels", True, 0.0)
    assert (rough.engine, rough.certificate.is_exact, rough.certificate.gap) == ("labels", False, 0.05)
    assert "Within 0.05" in rough.certificate.statement
    assert "Exact" in exact.certificate.statement


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.integers(0, 10**9),
    st.sampled_from([(0, 0), (0, 0, 1), (0, 1, 0, 1), (0, 0, 0)]),
    st.sampled_from([(LATENCY, BOTTLENECK, ENERGY), (BOTTLENECK, MEMORY), (WIRE, BOTTLENECK, ENERGY)]),
    st.sampled_from([None, 2]),
)
def test_replicas_are_placed_exactly(seed, kinds, objectives, max_stages):
    model = wide_cost_model(np.random.default_rng(seed), kinds, 3)
    problem = build_problem(model, objectives=objectives, max_replicas=3, max_stages=max_stages)
    found, every = (engine(problem, Effort()).plans for engine in (label_front, exhaustive_front))
    np.testing.assert_array_equal(evaluate(problem, found), evaluate(problem, every))
