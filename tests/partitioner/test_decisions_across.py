"""Regret, crossover and covers against what enumeration says."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partitioner.decisions.cover import best_cover
from partitioner.decisions.crossover import crossing_rate, crossover_map, rate_ranges
from partitioner.decisions.regret import regret_table

FIGURES = st.sampled_from([0.5, 1.0, 1.0, 1.5, 2.0, 3.0, 7.0, math.inf])


@st.composite
def cost_tables(draw, most_conditions=6, most_plans=6):
    """Few different figures, so that there are ties; under every condition some plan is possible."""
    n_conditions, n_plans = draw(st.integers(1, most_conditions)), draw(st.integers(1, most_plans))
    table = np.array(
        [draw(st.lists(FIGURES, min_size=n_plans, max_size=n_plans)) for _ in range(n_conditions)], dtype=np.float64
    )
    for row in table:
        if not np.isfinite(row).any():
            row[draw(st.integers(0, n_plans - 1))] = 2.0
    return table


@given(cost_tables())
def test_regrets_are_what_each_plan_costs_more_than_the_best_of_its_condition(costs):
    table = regret_table(costs)
    wanted = [[figure / min(row) - 1 for figure in row] for row in costs.tolist()]
    assert table.regrets.tolist() == wanted
    worst = [max(row[plan] for row in wanted) for plan in range(costs.shape[1])]
    assert table.worst.tolist() == worst
    assert table.worst[table.minimax] == min(worst)
    assert table.mean[table.least_mean] == min(table.mean)


def test_the_plan_of_least_worst_regret_need_not_be_best_anywhere():
    table = regret_table([[1.0, 1.3, 9.0], [9.0, 1.3, 1.0]])
    assert table.minimax == 1
    assert table.worst.tolist() == pytest.approx([8.0, 0.3, 8.0])


def test_a_best_that_is_not_among_the_plans_counts():
    assert regret_table([[2.0, 3.0]], best=[1.0]).worst.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("costs", [[], [[]], [[-1.0]], [[math.nan]], [[math.inf, math.inf]], [[0.0, 1.0]]])
def test_costs_without_a_possible_best_are_refused(costs):
    with pytest.raises(ValueError, match="want"):
        regret_table(costs)


@settings(max_examples=60)
@given(cost_tables(), st.integers(1, 4), st.sampled_from(["worst", "mean"]))
def test_a_cover_is_the_best_of_all_sets(costs, size, criterion):
    regrets = regret_table(costs).regrets
    cover = best_cover(regrets, size, criterion)
    judge = np.max if criterion == "worst" else np.mean
    sets = combinations(range(regrets.shape[1]), min(size, regrets.shape[1]))
    best = min(float(judge(regrets[:, chosen].min(axis=1))) for chosen in sets)
    assert cover.regret == pytest.approx(best)
    assert cover.is_exact
    assert cover.gap == 0
    assert len(cover.plans) <= size
    assert [regrets[row, plan] for row, plan in enumerate(cover.serving)] == regrets[:, cover.plans].min(
        axis=1
    ).tolist()


@settings(max_examples=60)
@given(cost_tables(), st.integers(1, 3), st.sampled_from(["worst", "mean"]))
def test_a_cover_that_is_not_enumerated_has_a_bound_that_holds(costs, size, criterion):
    regrets = regret_table(costs).regrets
    exact = best_cover(regrets, size, criterion)
    cover = best_cover(regrets, size, criterion, most_exact=0)
    assert cover.bound <= exact.regret * (1 + 1e-12) + 1e-12
    assert cover.regret >= exact.regret - 1e-12
    assert cover.bound <= cover.regret
    if cover.is_exact:
        assert cover.regret == pytest.approx(exact.regret)


def test_bounds_of_greedy_covers_are_near_on_smooth_networks():
    """Plans as lines in 1 / rate, as in a sweep: what greedy finds is close to the best, and the bound says so."""
    rates = np.geomspace(1e5, 1e8, 60)
    seconds, sizes = np.linspace(1.0, 0.1, 25), np.geomspace(1e3, 3e6, 25)
    regrets = regret_table(seconds + sizes / rates[:, None]).regrets
    for criterion in ("worst", "mean"):
        cover, exact = best_cover(regrets, 3, criterion, most_exact=0), best_cover(regrets, 3, criterion)
        assert cover.regret <= 1.3 * exact.regret + 1e-9
        assert 0.5 * exact.regret < cover.bound <= exact.regret * (1 + 1e-12)


@given(cost_tables(), st.floats(0, 1))
def test_ranges_of_rates_are_as_few_as_can_be_and_good_everywhere(costs, tolerance):
    rates = [1e6 * (row + 1) for row in range(len(costs))]
    ranges = rate_ranges(rates, costs, tolerance=tolerance)
    limits = costs.min(axis=1) * (1 + tolerance)
    assert ranges[0].low == 0
    assert ranges[-1].high == math.inf
    served = []
    for rate, row, limit in zip(rates, costs, limits, strict=True):
        here = [one for one in ranges if one.low <= rate <= one.high]
        assert any(row[one.plan] <= limit for one in here)
        served.append(here)
    assert len(ranges) == _fewest(costs, limits)


def _fewest(costs, limits):
    """Fewest plans in a row, by dynamic programming over all places to change."""
    least = [0] + [math.inf] * len(costs)
    for stop in range(1, len(costs) + 1):
        for start in range(stop):
            if np.any(np.all(costs[start:stop] <= limits[start:stop, None], axis=0)):
                least[stop] = min(least[stop], least[start] + 1)
    return least[-1]


@given(
    st.lists(st.tuples(st.floats(0.01, 2), st.floats(1e3, 1e7)), min_size=2, max_size=2),
    st.floats(1e4, 1e7),
    st.floats(1.1, 10),
)
def test_two_plans_cost_the_same_where_they_cross(plans, low, factor):
    rates = (low, low * factor)
    one, other = ([seconds + size / rate for rate in rates] for seconds, size in plans)
    rate = crossing_rate(rates, tuple(one), tuple(other))
    if (one[0] - other[0]) * (one[1] - other[1]) > 0 or one[0] - other[0] == one[1] - other[1]:
        assert rate is None
    else:
        (first, first_size), (second, second_size) = plans
        assert rates[0] * (1 - 1e-9) <= rate <= rates[1] * (1 + 1e-9)
        assert first + first_size / rate == pytest.approx(second + second_size / rate, rel=1e-6)


def test_a_crossover_is_found_between_the_rates_that_were_looked_at():
    """Splitting costs 0.3 s and 1 MB, not splitting 0.8 s: they are even at 2 MB/s."""
    rates = [0.5e6, 1e6, 4e6, 8e6]
    costs = [[0.8, 0.3 + 1e6 / rate] for rate in rates]
    below, above = rate_ranges(rates, costs, tolerance=0)
    assert (below.plan, above.plan) == (0, 1)
    assert below.high == above.low == pytest.approx(2e6)


@given(cost_tables())
def test_the_map_holds_the_first_of_the_best_plans_at_each_place(costs):
    delays = [0.01 * (row % 2) for row in range(len(costs))]
    rates = [1e6 * (row // 2 + 1) for row in range(len(costs))]
    found = crossover_map(delays, rates, costs)
    for delay, rate, row in zip(delays, rates, costs.tolist(), strict=True):
        cell = found.delays.index(delay), found.rates.index(rate)
        winner = found.best[cell[0]][cell[1]]
        assert winner == row.index(min(row))
        others = [figure for plan, figure in enumerate(row) if plan != winner]
        assert found.margins[cell[0]][cell[1]] == (min(others) / row[winner] - 1 if others else math.inf)
    n_places = sum(winner >= 0 for line in found.best for winner in line)
    assert n_places == len(costs)
    assert set(found.winners) == {winner for line in found.best for winner in line if winner >= 0}


def test_two_conditions_at_one_place_are_refused():
    with pytest.raises(ValueError, match="different pairs"):
        crossover_map([0.0, 0.0], [1e6, 1e6], [[1.0], [2.0]])


@pytest.mark.parametrize("rates", [[1e6], [2e6, 1e6], [0.0, 1e6]])
def test_rates_that_do_not_rise_are_refused(rates):
    with pytest.raises(ValueError, match="rising rates"):
        rate_ranges(rates, [[1.0], [1.0]])
