"""Conditions put on emulated links, and whether they are in force."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sweep_builders import sweep_file

from coordinator.config import parse_cluster
from coordinator.config.bandwidth_trace import RecordedStep
from coordinator.errors import ConditionError
from coordinator.results.values import LinkFound
from coordinator.sweep.applying import apply_to, bare_config, check_conditions, emulated_link
from coordinator.sweep.axes import emulated_axes
from coordinator.sweep.network_profiles import PROFILES, profile_condition
from coordinator.sweep.verifying import delivery_doubt, doubts_about, links_of
from node_agent.dataplane.shaping import ShapedLink
from node_agent.messages import LinkEmulation
from partitioner.cluster import CLIENT, Cluster, Device, Link
from partitioner.plan import Plan, Stage
from partitioner.search.robust.network import LinkCondition, NetworkCondition

CONFIG = parse_cluster(
    {
        "name": "two",
        "nodes": [{"name": "a", "local": True}, {"name": "b", "local": True}],
        "links": {
            "default": {"delay": "4ms", "rate": "80mbit"},
            "between": [{"from": "b", "to": "client", "both": False, "forbidden": True}],
        },
    }
)
WAYS = (("client", "a"), ("a", "client"), ("a", "b"), ("b", "a"), ("client", "b"))
BARE = Cluster(
    name="two",
    devices=(Device(name="a", memory_bytes=1), Device(name="b", memory_bytes=1)),
    links=tuple(
        Link(source=one, target=two, fixed_seconds=0.001, bytes_per_second=1e8, busy_bytes_per_second=2e8)
        for one, two in WAYS
    ),
)


def applied(condition: NetworkCondition, plane: str = "grpc"):
    return apply_to(CONFIG, BARE, condition, plane=plane)


def test_as_is_is_the_description() -> None:
    as_is = applied(profile_condition("as-is"))
    for way in WAYS:
        assert as_is.config.link_emulation(*way) == CONFIG.link_emulation(*way)
    link = as_is.cluster.link_of["a", "b"]
    assert link.fixed_seconds == pytest.approx(0.005)
    assert link.bytes_per_second == pytest.approx(1 / (1 / 1e8 + 1 / 1e7))
    assert link.busy_bytes_per_second == pytest.approx(1e7)


def test_absolute_values_replace_factors_are_on_the_description_and_silence_keeps_it() -> None:
    condition = NetworkCondition(
        name="mixed",
        every_link=LinkCondition(loss=0.01),
        links={
            ("a", "b"): LinkCondition(delay_seconds=0.02, rate_factor=0.5),
            ("b", "a"): LinkCondition(delay_factor=2.0, bytes_per_second=3e6, loss=0.0, jitter_seconds=0.002),
        },
    )
    config = applied(condition, "tcp").config
    seed = CONFIG.link_emulation("a", "b").seed
    assert config.link_emulation("a", "b") == LinkEmulation(
        delay_seconds=0.02, bytes_per_second=5e6, loss=0.01, seed=seed
    )
    back = config.link_emulation("b", "a")
    assert back.delay_seconds == pytest.approx(2 * 0.005 - 0.001)
    assert (back.bytes_per_second, back.loss, back.jitter_seconds) == (3e6, 0.0, 0.002)
    client = config.link_emulation("client", "a")
    assert (client.delay_seconds, client.bytes_per_second, client.loss) == (0.004, 1e7, 0.01)
    assert config.is_forbidden("b", "client")
    assert {config.plane_of(*way) for way in WAYS} == {"tcp"}
    assert CONFIG.plane_of("a", "b") == "grpc"


def test_a_factor_of_one_leaves_a_link_as_it_is() -> None:
    same = LinkCondition(delay_factor=1.0, rate_factor=1.0)
    condition = NetworkCondition(
        name="slow",
        every_link=LinkCondition(delay_seconds=0.02, bytes_per_second=1e6),
        links={("client", "a"): same},
    )
    assert applied(condition).config.link_emulation("client", "a") == CONFIG.link_emulation("client", "a")
    assert applied(condition).config.link_emulation("a", "b").bytes_per_second == 1e6


def test_unlimited_and_no_delay_can_be_asked_for() -> None:
    config = applied(NetworkCondition(name="free", every_link=LinkCondition(delay_seconds=0.0))).config
    assert config.link_emulation("a", "b") == LinkEmulation(
        bytes_per_second=1e7, seed=CONFIG.link_emulation("a", "b").seed
    )


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (NetworkCondition(name="as-is"), (0.004, 1e7)),
        (NetworkCondition(name="slow", every_link=LinkCondition(bytes_per_second=1e6)), (0.004, 1e6)),
        (NetworkCondition(name="far", every_link=LinkCondition(delay_seconds=0.02)), (0.02, 1e7)),
        (NetworkCondition(name="half", every_link=LinkCondition(rate_factor=0.5)), (0.004, 5e6)),
        (NetworkCondition(name="one way", links={("a", "b"): LinkCondition(bytes_per_second=1e6)}), (0.004, None)),
        (NetworkCondition(name="to the client", links={("client", "a"): LinkCondition(loss=0.1)}), (0.004, 1e7)),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_a_condition_stands_where_it_and_the_description_put_the_links_between_devices(condition, expected) -> None:
    assert emulated_axes(applied(condition)) == expected


def test_links_of_this_machine_have_no_limit_bare_and_real_ones_stand_nowhere() -> None:
    as_is = profile_condition("as-is")
    assert emulated_axes(apply_to(bare_config(CONFIG, "tcp"), BARE, as_is, plane="tcp")) == (0.0, math.inf)
    nodes = [{"name": name, "address": f"{name}:50051"} for name in ("a", "b")]
    real = parse_cluster({"name": "two", "nodes": nodes, "security": {"plaintext": True}})
    assert emulated_axes(apply_to(real, BARE, as_is, plane="tcp")) == (None, None)


def test_a_link_that_follows_a_trace_stands_at_its_mean() -> None:
    steps = [
        RecordedStep(seconds=seconds, bytes_per_second=rate, delay_seconds=None)
        for seconds, rate in ((1.0, 1e6), (3.0, 2e6))
    ]
    followed = apply_to(CONFIG, BARE, NetworkCondition(name="drive"), plane="tcp", trace=steps)
    assert emulated_axes(followed) == pytest.approx((0.004, 1.75e6))


def test_nothing_is_emulated_bare() -> None:
    bare = bare_config(CONFIG, "tcp")
    assert all(bare.link_emulation(*way) is None for way in WAYS)
    assert bare.is_forbidden("b", "client")


def test_a_faster_or_nearer_link_than_there_is_is_refused_with_all_faults() -> None:
    condition = NetworkCondition(
        name="dream",
        links={("a", "b"): LinkCondition(bytes_per_second=1e9), ("b", "a"): LinkCondition(delay_factor=0.01)},
    )
    with pytest.raises(ConditionError) as caught:
        applied(condition)
    told = str(caught.value)
    assert "a → b is to carry 8 Gbit/s, but carries 1.6 Gbit/s at most" in told
    assert "b → a is to have 0.95 ms less delay than the 1 ms that it has bare" in told


def test_remote_nodes_are_refused_before_anything_is_started() -> None:
    config = parse_cluster(
        {
            "name": "mixed",
            "nodes": [{"name": "a", "local": True}, {"name": "far", "address": "127.0.0.1:4000"}],
        }
    )
    near = NetworkCondition(name="near", links={("client", "a"): LinkCondition(loss=0.1)})
    check_conditions(config, [profile_condition("as-is"), near])
    with pytest.raises(ConditionError) as caught:
        check_conditions(config, [near, profile_condition("lte")])
    told = str(caught.value)
    assert "'lte' changes client → far, a → far" in told
    assert "'near'" not in told
    for alternative in (
        "as-is",
        "splitfront nodes shape far --delay 25ms --jitter 8ms --rate 30mbit --loss 0.1%",
        "local: true",
    ):
        assert alternative in told


@settings(max_examples=60, deadline=None)
@given(
    delay=st.floats(0, 1),
    rate=st.floats(1e3, 1e9),
    loss=st.floats(0, 0.3),
    more=st.floats(0, 0.5),
    slower=st.floats(0.01, 1),
)
def test_a_worse_link_is_never_predicted_better(
    delay: float, rate: float, loss: float, more: float, slower: float
) -> None:
    bare = BARE.links[0]
    good = emulated_link(bare, LinkEmulation(delay_seconds=delay, bytes_per_second=rate, loss=loss))
    bad = emulated_link(bare, LinkEmulation(delay_seconds=delay + more, bytes_per_second=rate * slower, loss=loss))
    assert bare.seconds(10_000) <= good.seconds(10_000) <= bad.seconds(10_000) * (1 + 1e-9)
    assert good.sustained_bytes_per_second >= bad.sustained_bytes_per_second * (1 - 1e-9)
    assert good.sustained_bytes_per_second >= good.bytes_per_second * (1 - 1e-9)


def found(round_trip: float, rate: float, **asked: float) -> LinkFound:
    return LinkFound(source="a", target="b", round_trip_seconds=round_trip, bytes_per_second=rate, **asked)


ASKED = {"asked_round_trip_seconds": 0.4, "asked_bytes_per_second": 625e3}
BOTH = {
    ("a", "b"): LinkEmulation(delay_seconds=0.2, bytes_per_second=625e3),
    ("b", "a"): LinkEmulation(delay_seconds=0.2, bytes_per_second=625e3),
}


@pytest.mark.parametrize(
    ("link", "doubts"),
    [
        (found(0.403, 610e3, **ASKED), []),
        (found(0.44, 500e3, **ASKED), []),
        (found(0.002, 610e3, **ASKED), ["the round trip a → b takes 2 ms, asked were 400 ms"]),
        (found(0.8, 610e3, **ASKED), ["the round trip a → b takes 800 ms, asked were 400 ms"]),
        (found(0.4, 9e7, **ASKED), ["a → b carries 720 Mbit/s, asked were 5 Mbit/s"]),
        (found(0.4, 1e5, **ASKED), ["a → b carries 800 kbit/s, asked were 5 Mbit/s"]),
        (found(5.0, 1.0), []),
    ],
    ids=["as asked", "a busy machine", "no delay", "too much", "no limit", "too slow", "nothing asked"],
)
def test_what_is_found_is_held_against_what_was_asked(link: LinkFound, doubts: list[str]) -> None:
    assert list(doubts_about([link], BARE.link_of, BOTH)) == doubts


def test_jitter_and_loss_are_forgiven_their_scatter() -> None:
    shaky = {
        way: LinkEmulation(delay_seconds=0.015, jitter_seconds=0.008, bytes_per_second=1.25e6, loss=0.01)
        for way in BOTH
    }
    asked = {"asked_round_trip_seconds": 0.03, "asked_bytes_per_second": 1.25e6}
    assert not list(doubts_about([found(0.05, 0.7e6, **asked)], BARE.link_of, shaky))
    assert list(doubts_about([found(0.12, 0.7e6, **asked)], BARE.link_of, shaky))


def test_a_plan_that_is_faster_than_its_links_was_not_under_the_condition() -> None:
    asked = [LinkEmulation(delay_seconds=0.1), LinkEmulation(bytes_per_second=1e6), LinkEmulation()]
    assert delivery_doubt(0.35, 0.05, asked, [10, 200_000, 10]) is None
    assert "took 200 ms" in delivery_doubt(0.2, 0.05, asked, [10, 200_000, 10])


def test_links_of_a_plan_are_those_of_its_flow_replicas_too() -> None:
    stages = (Stage(device="a", start=0, stop=1, replicas=("c",)), Stage(device="b", start=1, stop=2))
    plan = Plan(model_sha256="", batch=1, stages=stages, window=1)
    assert links_of(plan) == ((CLIENT, "a"), (CLIENT, "c"), ("a", "b"), ("c", "b"), ("b", CLIENT))


def test_every_profile_can_be_had_on_a_quick_machine() -> None:
    for name in PROFILES:
        assert applied(profile_condition(name)).cluster.links
    assert sweep_file().conditions(CONFIG)


def test_a_search_over_conditions_counts_losses_as_emulation_has_them() -> None:
    """`LinkCondition` is what robust searches and predicted sweeps apply; here it is held against the emulated link."""
    ideal = Link(source="a", target="b", fixed_seconds=0.05, bytes_per_second=1e6)
    lossy = LinkCondition(loss=0.1).apply(ideal)
    shaped = ShapedLink(LinkEmulation(delay_seconds=0.05, bytes_per_second=1e6, loss=0.1, seed=3))
    passages = [shaped.schedule(0.0, 15_000) for _ in range(3000)]
    assert lossy.sustained_bytes_per_second == pytest.approx(3000 * 15_000 / passages[-1].free_at, rel=0.01)
    assert lossy.bytes_per_second < lossy.sustained_bytes_per_second


def test_repairs_delay_a_lone_message_and_keep_no_link_busy() -> None:
    emulation = LinkEmulation(delay_seconds=0.05, bytes_per_second=1e6, loss=0.1)
    link = emulated_link(BARE.links[0], emulation)
    assert link.busy_bytes_per_second == pytest.approx(0.9e6)
    shaped, sizes = ShapedLink(emulation), [15_000] * 2000
    passages = [shaped.schedule(0.0, size) for size in sizes]
    sustained = sum(sizes) / passages[-1].free_at
    assert sustained == pytest.approx(link.busy_bytes_per_second, rel=0.02)
    lone = [ShapedLink(replace(emulation, seed=seed)).schedule(0.0, 15_000).arrive_at for seed in range(2000)]
    assert sum(lone) / len(lone) == pytest.approx(link.seconds(15_000), rel=0.03)
