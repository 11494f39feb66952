"""What a network condition makes of a cluster."""

from dataclasses import replace

import numpy as np
import pytest
from search_builders import cluster_of, random_cost_model

from partitioner.cluster import CLIENT
from partitioner.errors import PlanError
from partitioner.search.building import build_problem
from partitioner.search.robust.conditions import condition_problems
from partitioner.search.robust.network import (
    PROBED,
    LinkCondition,
    NetworkCondition,
    apply_condition,
    random_conditions,
)

CLUSTER = cluster_of({"a": 1, "b": 1}, {(CLIENT, "a"): (0.01, 1e6), ("a", "b"): (0.02, 2e6), ("b", CLIENT): (0.0, 4e6)})


def figures(condition):
    return {
        pair: (link.fixed_seconds, link.bytes_per_second, link.jitter_seconds)
        for pair, link in apply_condition(CLUSTER, condition).link_of.items()
    }


def test_single_links_say_what_they_say_and_take_the_rest_from_every_link():
    changed = figures(
        NetworkCondition(
            name="evening",
            every_link=LinkCondition(rate_factor=0.5, delay_factor=3.0),
            links={("a", "b"): LinkCondition(bytes_per_second=7e5, jitter_seconds=0.004)},
        )
    )
    assert changed == {
        (CLIENT, "a"): (0.03, 5e5, 0.0),
        ("a", "b"): (pytest.approx(0.06), 7e5, 0.004),
        ("b", CLIENT): (0.0, 2e6, 0.0),
    }


def test_a_condition_that_says_nothing_changes_nothing():
    assert apply_condition(CLUSTER, NetworkCondition(name="same")) == CLUSTER


@pytest.mark.parametrize(
    ("change", "rate", "busy_rate"),
    [
        (LinkCondition(rate_factor=0.5), 5e5, 1.5e6),
        (LinkCondition(bytes_per_second=7e5), 7e5, 0.0),
        (LinkCondition(loss=0.1), 0.9 / (1e-6 + 0.1 * 0.02 / 1500), 0.9 * 3e6),
        (LinkCondition(bytes_per_second=7e5, loss=0.1), 0.9 / (1 / 7e5 + 0.1 * 0.02 / 1500), 0.9 * 7e5),
        (LinkCondition(delay_factor=2.0), 1e6, 3e6),
    ],
)
def test_what_changes_the_rate_changes_what_the_link_sustains(change, rate, busy_rate):
    links = (replace(CLUSTER.links[0], busy_bytes_per_second=3e6), *CLUSTER.links[1:])
    cluster = apply_condition(replace(CLUSTER, links=links), NetworkCondition(name="other", every_link=change))
    assert cluster.links[0].bytes_per_second == pytest.approx(rate)
    assert cluster.links[0].busy_bytes_per_second == pytest.approx(busy_rate)
    assert cluster.links[0].busy_seconds(600) == pytest.approx(600 / (busy_rate or rate))
    if not change.loss:
        assert cluster.links[1].busy_bytes_per_second == 0.0


def test_loss_costs_what_a_simulation_of_packets_says():
    """Every lost packet is sent again and waits a round trip; the mean of many draws is the closed form."""
    loss, fixed, rate, n_packets = 0.03, 0.01, 1e6, 200
    lost = np.random.default_rng(1).negative_binomial(n_packets, 1 - loss, 200_000)
    seconds = fixed + (n_packets + lost) * 1500 / rate + lost * 2 * fixed
    link = apply_condition(CLUSTER, NetworkCondition(name="lossy", every_link=LinkCondition(loss=loss))).link_of[
        (CLIENT, "a")
    ]
    assert (link.fixed_seconds, link.bytes_per_second < rate) == (fixed, True)
    assert link.seconds(n_packets * 1500) == pytest.approx(seconds.mean(), rel=2e-3)


def test_all_faults_are_named_at_once():
    condition = NetworkCondition(
        name="odd",
        every_link=LinkCondition(loss=1.0, rate_factor=0.0),
        links={("b", "a"): LinkCondition(delay_seconds=-1.0, delay_factor=2.0)},
    )
    with pytest.raises(PlanError) as caught:
        apply_condition(CLUSTER, condition)
    for word in (
        "'odd'",
        "loss of every link",
        "rate_factor",
        "no link b → a",
        "delay_seconds of b → a is -1.0",
        "both delay_seconds and delay_factor",
    ):
        assert word in str(caught.value)


def test_random_conditions_are_log_uniform_around_the_probe_and_prefixes_of_more():
    conditions = random_conditions(CLUSTER, 400, seed=3)
    assert conditions[:7] == random_conditions(CLUSTER, 7, seed=3)
    assert conditions[:7] != random_conditions(CLUSTER, 7, seed=4)
    assert len({condition.name for condition in conditions}) == 400
    rates = np.log10([[change.rate_factor for change in c.links.values()] for c in conditions])
    delays = np.log10([[change.delay_factor for change in c.links.values()] for c in conditions])
    for factors in (rates, delays):
        assert (factors.min() >= -1, factors.max() <= 1) == (True, True)
        assert np.abs(factors.mean(axis=0)).max() < 0.1
        assert np.std(factors, axis=0) == pytest.approx(np.full(3, 1 / np.sqrt(3)), abs=0.05)
    assert abs(np.corrcoef(rates.ravel(), delays.ravel())[0, 1]) < 0.1
    fixed = random_conditions(CLUSTER, 1, seed=0, rate_spread=1.0, delay_spread=1.0)[0]
    assert apply_condition(CLUSTER, fixed) == CLUSTER


def test_random_conditions_refuse_impossible_wishes():
    with pytest.raises(PlanError, match=r"rate_spread is 0\.5"):
        random_conditions(CLUSTER, 1, seed=0, rate_spread=0.5)
    with pytest.raises(PlanError, match="-1 random conditions"):
        random_conditions(CLUSTER, -1, seed=0)


def test_problems_of_conditions_are_those_of_their_clusters():
    """The short way, which changes links only, gives the arrays that the whole way gives; stage times are shared."""
    model = random_cost_model(np.random.default_rng(2), 3, 5)
    nominal = build_problem(model)
    conditions = random_conditions(model.cluster, 3, seed=1)
    problems = condition_problems(nominal, model.cluster, conditions)
    assert list(problems) == [PROBED, *(condition.name for condition in conditions)]
    for condition in conditions:
        slow = build_problem(type(model)(model.graph, apply_condition(model.cluster, condition), model.profile))
        fast = problems[condition.name]
        assert np.array_equal(fast.hop_seconds, slow.hop_seconds)
        assert np.array_equal(fast.busy_seconds, slow.busy_seconds)
        assert np.array_equal(fast.allowed_seconds, slow.allowed_seconds)
        assert fast.allowed_seconds is nominal.allowed_seconds
    with pytest.raises(PlanError, match="'random-001'"):
        condition_problems(nominal, model.cluster, (*conditions, conditions[0]))
