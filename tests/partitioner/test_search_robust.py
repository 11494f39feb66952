from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from search_builders import SHA, random_cost_model

from partitioner.errors import InfeasibleError, PlanError
from partitioner.front import front_indices, hypervolume_2d, is_dominated
from partitioner.search.building import build_problem
from partitioner.search.encoding import decode_stages, encode_plans, evaluate
from partitioner.search.exact.front import exact_front
from partitioner.search.exhaustive import every_plan
from partitioner.search.outcome import Effort
from partitioner.search.problem import BOTTLENECK, LATENCY, MEMORY
from partitioner.search.robust.bounds import CLOSE
from partitioner.search.robust.result import CRITERIA, RobustResult
from partitioner.search.robust.search import search_robust
from partitioner.serialize import load_artefact, load_envelope, save_artefact


def conditions_of(seed, n_conditions, n_devices=3, n_units=5):
    """One graph and cluster under several conditions of its links."""
    random = np.random.default_rng(seed)
    base = build_problem(random_cost_model(random, n_devices, n_units, has_limits=False))
    shape, own = base.link_fixed_seconds.shape, random.spawn(1)[0]
    is_apart = base.link_busy_bytes_per_second is not None
    return {
        f"condition {number}": replace(
            base,
            link_fixed_seconds=random.exponential(4, shape),
            link_bytes_per_second=random.uniform(2, 60, shape),
            link_busy_bytes_per_second=own.uniform(2, 60, shape) if is_apart and number != 1 else None,
        )
        for number in range(n_conditions)
    }


def all_plans(problem):
    return encode_plans(problem, list(every_plan(problem)))


def worst_regrets(problems):
    """(n_plans, 2) worst regret of every plan that there is."""
    objectives = np.stack([evaluate(problem, all_plans(problem)) for problem in problems.values()])
    return (objectives / objectives.min(axis=1, keepdims=True) - 1).max(axis=0)


@pytest.mark.parametrize("seed", range(25))
def test_bounds_hold_for_every_plan_and_the_bottleneck_one_is_attained(seed):
    problems = conditions_of(seed, n_conditions=4)
    result = search_robust(problems)
    truth = worst_regrets(problems).min(axis=0)
    assert result.least_worst_regret[0] <= truth[0] + 1e-9
    assert result.least_worst_regret[1] == pytest.approx(truth[1], abs=1e-9)
    assert min(plan.worst_regret[1] for plan in result.plans) == pytest.approx(truth[1], abs=1e-9)


def test_the_least_worst_latency_regret_is_nearly_always_found():
    gaps, truths = [], []
    for seed in range(25):
        problems = conditions_of(100 + seed, n_conditions=4)
        found = min(plan.worst_regret[0] for plan in search_robust(problems).plans)
        truths.append(worst_regrets(problems)[:, 0].min())
        assert found >= truths[-1] - 1e-9
        gaps.append(found - truths[-1])
    assert np.mean(np.array(truths) > 0.01) >= 0.5, "the conditions must matter, or the test proves nothing"
    assert np.mean(np.array(gaps) < 1e-9) >= 0.9


def test_one_condition_has_no_regret():
    result = search_robust(conditions_of(3, n_conditions=1))
    assert min(plan.worst_regret[0] for plan in result.plans) == 0
    assert min(plan.worst_regret[1] for plan in result.plans) == 0
    assert all(plan.front_share == 1 for plan in search_robust(conditions_of(3, n_conditions=1), "probability").plans)


def test_the_best_plan_of_one_condition_does_worse_over_all():
    """The toy version, which searches the first condition only, never wins, and regrets far more on average."""
    wins = []
    for seed in range(20):
        problems = conditions_of(seed, n_conditions=6)
        nominal = problems["condition 0"]
        chosen = evaluate(nominal, all_plans(nominal))[:, 0].argmin()
        robust = min(plan.worst_regret[0] for plan in search_robust(problems).plans)
        wins.append(worst_regrets(problems)[chosen, 0] - robust)
    assert min(wins) >= -1e-9
    assert np.mean(wins) > 0.25


def test_mean_and_probability_choose_by_their_own_measure():
    problems = conditions_of(11, n_conditions=5)
    minimax, mean, probable = (search_robust(problems, name) for name in ("minimax", "mean", "probability"))
    assert min(p.mean_regret[0] for p in mean.plans) <= min(p.mean_regret[0] for p in minimax.plans)
    assert max(p.front_share for p in probable.plans) >= max(p.front_share for p in minimax.plans)
    assert "exact" in minimax.statement


@pytest.mark.parametrize("criterion", CRITERIA)
def test_an_order_of_conditions_changes_nothing(criterion):
    problems = conditions_of(5, n_conditions=4)
    nominal = problems["condition 2"]
    turned = dict(reversed(problems.items()))
    one, other = (search_robust(given, criterion, nominal=nominal, clock=lambda: 0.0) for given in (problems, turned))
    assert other.conditions == one.conditions[::-1]

    def as_in_one(plan):
        return replace(plan, regrets=plan.regrets[::-1])

    mirrored = replace(
        other,
        conditions=one.conditions,
        plans=tuple(
            replace(as_in_one(plan), mean_regret=mine.mean_regret)
            for plan, mine in zip(other.plans, one.plans, strict=True)
        ),
        nominal=tuple(
            replace(as_in_one(plan), mean_regret=mine.mean_regret)
            for plan, mine in zip(other.nominal, one.nominal, strict=True)
        ),
    )
    assert mirrored == one
    for plan, mine in zip(other.plans, one.plans, strict=True):
        assert plan.mean_regret == pytest.approx(mine.mean_regret, abs=1e-12)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_another_condition_never_lowers_the_least_worst_regret(seed):
    """The bottleneck's is exact; the latency's bound rises, to the accuracy of the game."""
    problems = conditions_of(seed, n_conditions=4)
    names = list(problems)
    least = [
        search_robust({name: problems[name] for name in names[:n]}, nominal=problems[names[0]]).least_worst_regret
        for n in (1, 2, 3, 4)
    ]
    for fewer, more in pairwise(least):
        assert more[1] >= fewer[1] - 1e-9
        assert more[0] >= fewer[0] - 2 * CLOSE


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_one_condition_gives_the_ends_of_its_exact_front(seed):
    problem = build_problem(random_cost_model(np.random.default_rng(seed), 3, 5, has_limits=False))
    front = evaluate(problem, exact_front(problem, Effort()).plans)
    result = search_robust({"only": problem})
    assert (result.plans[0].worst_regret[0], result.plans[-1].worst_regret[1]) == (0.0, 0.0)
    assert result.least_worst_regret == (0.0, 0.0)
    ends = [(plan.candidate.cost.latency_seconds, plan.candidate.cost.bottleneck_seconds) for plan in result.plans]
    assert ends[0] == tuple(front[0])
    assert ends[-1] == tuple(front[-1])
    assert [plan.worst_regret for plan in result.nominal] == [
        result.plans[0].worst_regret,
        result.plans[-1].worst_regret,
    ]


@pytest.mark.parametrize("seed", range(8))
def test_the_mean_bounds_hold_for_every_plan_and_the_latency_one_is_attained(seed):
    problems = conditions_of(200 + seed, n_conditions=4)
    objectives = np.stack([evaluate(problem, all_plans(problem)) for problem in problems.values()])
    truth = (objectives / objectives.min(axis=1, keepdims=True) - 1).mean(axis=0).min(axis=0)
    result = search_robust(problems, "mean")
    assert result.least_mean_regret[0] == pytest.approx(truth[0], abs=1e-9)
    assert min(plan.mean_regret[0] for plan in result.plans) == pytest.approx(truth[0], abs=1e-9)
    assert result.least_mean_regret[1] <= truth[1] + 1e-9


def test_the_front_of_worst_regrets_is_nearly_that_of_an_enumeration():
    """Between its ends nothing proves it; on small cases it can be counted."""
    shares = []
    for seed in range(15):
        problems = conditions_of(300 + seed, n_conditions=5)
        truth = worst_regrets(problems)
        found = np.array([plan.worst_regret for plan in search_robust(problems).plans])
        reference = tuple(truth[front_indices(truth)].max(axis=0) * 1.1 + 0.01)
        shares.append(hypervolume_2d(found, reference) / hypervolume_2d(truth, reference))
    assert max(shares) <= 1 + 1e-9
    assert min(shares) > 0.97
    assert np.mean(np.array(shares) > 1 - 1e-9) >= 0.8


def test_what_is_told_of_a_plan_is_what_the_evaluation_says():
    problems = conditions_of(21, n_conditions=4)
    objectives = {name: evaluate(problem, all_plans(problem)) for name, problem in problems.items()}
    plans = [
        decode_stages(problem, all_plans(problem), row)
        for problem in [problems["condition 0"]]
        for row in range(len(objectives["condition 0"]))
    ]
    result = search_robust(problems)
    for plan in (*result.plans, *result.nominal):
        row = plans.index(plan.candidate.plan.stages)
        regrets = [values[row] / values.min(axis=0) - 1 for values in objectives.values()]
        assert np.array(plan.regrets) == pytest.approx(np.array(regrets))
        assert plan.worst_regret == pytest.approx(np.max(regrets, axis=0))
        assert plan.mean_regret == pytest.approx(np.mean(regrets, axis=0))
        undominated = [not is_dominated(values)[row] for values in objectives.values()]
        assert plan.front_share == np.mean(undominated)
    assert result.n_evaluated >= len(problems) * len(result.plans)


def test_identical_devices_and_links_give_one_answer_whichever_is_named_first():
    random = np.random.default_rng(4)
    base = build_problem(random_cost_model(random, 3, 5, has_limits=False))
    stages = base.stage_seconds.copy()
    stages[1] = stages[0]
    problems, turned = {}, {}
    swap = np.array([1, 0, 2, 3])
    for number in range(4):
        fixed, rate = random.exponential(4, (4, 4)), random.uniform(2, 60, (4, 4))
        fixed, rate = fixed + fixed[swap][:, swap], rate + rate[swap][:, swap]
        problems[f"c{number}"] = replace(
            base, stage_seconds=stages, link_fixed_seconds=fixed, link_bytes_per_second=rate
        )
        turned[f"c{number}"] = replace(problems[f"c{number}"], device_names=("d1", "d0", "d2"))
    one, other = search_robust(problems, nominal=base), search_robust(turned, nominal=base)
    assert [plan.worst_regret for plan in one.plans] == [plan.worst_regret for plan in other.plans]
    assert one.least_worst_regret == other.least_worst_regret


class SteppingClock:
    """Each look at it takes a second."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("budget_seconds", [0.5, 3.0, 10.0, 25.0, 60.0, 100.0])
def test_a_budget_that_ends_early_is_said_and_bounds_still_hold(budget_seconds):
    problems = conditions_of(31, n_conditions=6)
    truth = worst_regrets(problems).min(axis=0)
    result = search_robust(problems, budget_seconds=budget_seconds, clock=SteppingClock())
    assert result.is_complete == ("ncomplete" not in result.statement)
    assert result.plans
    assert result.least_worst_regret[0] <= truth[0] + 1e-9
    assert result.least_worst_regret[1] <= truth[1] + 1e-9
    if budget_seconds < 5:
        assert "of 6 conditions" in result.statement
        assert "may be larger" in result.statement
    whole = search_robust(problems)
    assert whole.is_complete
    assert whole.seconds > 0
    assert "ncomplete" not in whole.statement


def test_progress_rises_to_the_end_and_names_the_conditions():
    told = []
    search_robust(conditions_of(3, n_conditions=5), on_progress=lambda share, what: told.append((share, what)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert {f"front under condition {number}" for number in range(5)} <= {what for _, what in told}


def test_a_result_survives_the_disk_to_the_last_bit(tmp_path):
    result = search_robust(conditions_of(6, n_conditions=3), "mean", seed=17)
    save_artefact(tmp_path / "robust.json", result, seed=17)
    assert load_artefact(tmp_path / "robust.json", RobustResult) == result
    envelope = load_envelope(tmp_path / "robust.json")
    assert (envelope.schema, envelope.seed) == ("splitfront/robust/1", 17)
    assert envelope.model_sha256 == SHA


def test_an_impossible_condition_is_named_with_the_reason():
    problems = conditions_of(2, 2)
    nominal = problems["condition 0"]
    cut = np.full_like(nominal.link_fixed_seconds, np.inf)
    with pytest.raises(InfeasibleError, match=r"Under condition 'torn': .*no link from 'client'"):
        search_robust(problems | {"torn": replace(nominal, link_fixed_seconds=cut)}, nominal=nominal)


def test_wrong_conditions_are_named():
    with pytest.raises(PlanError, match="at least one"):
        search_robust({})
    with pytest.raises(PlanError, match="differ in devices"):
        search_robust(conditions_of(1, 1) | {"other": conditions_of(1, 1, n_devices=2)["condition 0"]})
    with pytest.raises(PlanError, match="'best' is unknown"):
        search_robust(conditions_of(1, 1), "best")


def test_conditions_without_a_common_plan_are_infeasible():
    problem = conditions_of(2, 1, n_devices=2)["condition 0"]
    cut = {}
    for number in range(2):
        fixed = np.full_like(problem.link_fixed_seconds, np.inf)
        fixed[2, number] = fixed[number, 2] = 0.1
        cut[f"only device {number}"] = replace(problem, link_fixed_seconds=fixed)
    with pytest.raises(InfeasibleError, match="under all of only device 0, only device 1"):
        search_robust(cut)


@pytest.mark.parametrize("name", [LATENCY, BOTTLENECK, "wire_bytes"])
def test_a_bound_that_scaled_times_would_break_is_refused(name):
    """Seconds of a bound are not those of a problem that weighs conditions, in which a time is a share of the best."""
    problems = {key: replace(problem, bounds={name: 1.0}) for key, problem in conditions_of(0, 3).items()}
    with pytest.raises(PlanError, match=f"bounds on {name} cannot be kept in it: bound memory_bytes alone"):
        search_robust(problems)


@pytest.mark.parametrize("seed", range(6))
def test_a_bound_on_memory_is_kept_under_all_conditions(seed):
    problems = conditions_of(seed, 3)
    memory = [evaluate(replace(one, objectives=(LATENCY, MEMORY)), all_plans(one))[:, 1] for one in problems.values()]
    most = float(np.quantile(np.max(memory, axis=0), 0.4))
    bounded = {key: replace(problem, bounds={MEMORY: most}) for key, problem in problems.items()}
    result = search_robust(bounded)
    assert min(plan.worst_regret[1] for plan in result.plans) == pytest.approx(
        np.nanmin(worst_regrets(bounded)[:, 1]), abs=1e-9
    )
    assert all(plan.candidate.cost.memory_bytes <= most for plan in result.plans)
