from dataclasses import replace
from types import SimpleNamespace

import pytest

from coordinator.benching import best_single, front_selection, recommend, winning_baseline
from coordinator.config import parse_cluster
from coordinator.measurement import Bottleneck, Estimate, LatencySummary, PlanMeasurement, Prediction
from coordinator.measuring import hops_on_real_links
from coordinator.stage_orders import runnable_fault
from partitioner.plan import Candidate, CostEstimate, HopCost, Plan, SharedCost, Stage


def exactly(value):
    return Estimate(value=value, low=value, high=value)


def make_plan(*devices):
    stages = tuple(Stage(device=device, start=index, stop=index + 1) for index, device in enumerate(devices))
    return Plan(model_sha256="0" * 64, batch=1, stages=stages, window=2)


def measured(devices, *, latency, rate):
    return PlanMeasurement(
        label="/".join(devices),
        plan=make_plan(*devices),
        latency_seconds=LatencySummary(
            mean=exactly(latency), p50=exactly(latency), p90=exactly(latency), p99=exactly(latency), n_samples=9
        ),
        throughput_per_second=exactly(rate),
        window=2,
        n_requests=9,
        n_errors=0,
        max_relative_error=0.0,
        predicted=Prediction(latency_seconds=latency, throughput_per_second=rate),
        bottleneck=Bottleneck(resource="device:a", busy_seconds=1 / rate, bound_per_second=rate),
        stages=(),
        input_send_seconds=0.0,
        spans=(),
    )


def candidate(*devices, place=1):
    """The place on a front: later ones take longer and do more."""
    cost = CostEstimate(
        latency_seconds=float(place),
        bottleneck_seconds=1.0 / place,
        bottleneck_resource="device:a",
        throughput_per_second=float(place),
        stages=(),
        hops=(),
    )
    return Candidate(plan=make_plan(*devices), cost=cost)


def test_a_split_that_wins_is_recommended_with_its_factor():
    chosen = measured(["a", "b"], latency=0.1, rate=30)
    sentence = recommend(chosen, [measured(["a"], latency=0.2, rate=10), measured(["b"], latency=0.1, rate=12)])
    assert sentence.startswith("Split: a[0:1] → b[1:2] gives 2.50 × ")
    assert "'b'" in sentence


def test_a_baseline_that_is_no_worse_in_both_wins():
    chosen = measured(["a", "b"], latency=0.1, rate=30)
    winner = measured(["b"], latency=0.09, rate=31)
    assert winning_baseline(chosen, [winner, measured(["a"], latency=0.05, rate=29)]) is winner
    assert recommend(chosen, [winner]).startswith("Do not split: the whole model on 'b'")


def test_a_single_stage_choice_says_do_not_split():
    chosen = measured(["a"], latency=0.1, rate=30)
    assert recommend(chosen, [chosen]) == ("Do not split: the whole model on 'a' is the best plan for this wish.")


def test_without_a_device_that_holds_the_model_the_sentence_says_so():
    assert "no single device can hold" in recommend(measured(["a", "b"], latency=0.1, rate=30), [])
    assert best_single([]) is None


def test_the_front_is_sampled_with_both_ends_and_without_the_chosen():
    front = [candidate("a", str(index), place=1 + index) for index in range(30)]
    selection = front_selection(front, front[0])
    assert [label for label, _ in selection][-1] == "most throughput"
    assert front[0] not in [found for _, found in selection]
    assert 6 <= len(selection) <= 8
    assert len({found.plan for _, found in selection}) == len(selection)


def test_the_ends_of_a_front_of_several_objectives_are_found_wherever_they_stand():
    front = [candidate("a", str(place), place=place) for place in (5, 9, 1, 4)]
    assert [label for label, _ in front_selection(front, candidate("z"))] == [
        "front 0", "most throughput", "least latency", "front 3"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"batch": 8}, "it is for batch 8, this run's for batch 1"),
        ({"stages": (Stage(device="a", start=0, stop=1, codec="int8"),)}, "last stage sends in codec 'int8'"),
        ({"stages": (Stage(device="a", start=0, stop=1, replicas=("b",)),)}, None),
        ({"stages": (Stage(device="a", start=0, stop=1, codec="int8"), Stage(device="b", start=1, stop=2))}, None),
        ({}, None),
    ],
)
def test_plans_that_no_node_can_run_are_told(changes, reason):
    model = SimpleNamespace(graph=SimpleNamespace(batch=1))
    fault = runnable_fault(replace(make_plan("a", "b"), **changes), model)
    assert fault is None if reason is None else reason in fault


@pytest.mark.parametrize("n_plans", [1, 2, 3, 8])
def test_a_short_front_is_measured_whole(n_plans):
    front = [candidate("a", str(index), place=1 + index) for index in range(n_plans)]
    other = candidate("z")
    assert [found for _, found in front_selection(front, other)] == front


def test_hops_over_emulated_links_cross_no_medium():
    air = (SharedCost(name="air", busy_seconds=9.0),)
    ends = (("client", "a"), ("a", "b"), ("b", "client"))
    hops = [HopCost(source=one, target=other, n_bytes=1, seconds=0, busy_seconds=0, media=air) for one, other in ends]
    nodes = [{"name": name, "local": True} for name in ("a", "b")]
    links = {"between": [{"from": "client", "to": "a", "rate": "5mbit"}]}
    fleet = SimpleNamespace(config=parse_cluster({"name": "k", "nodes": nodes, "links": links}))
    assert [bool(hop.media) for hop in hops_on_real_links(fleet, hops)] == [False, True, True]


def test_a_whole_model_on_several_devices_in_turn_is_no_single_device():
    plan = replace(make_plan("a"), stages=(Stage(device="a", start=0, stop=1, replicas=("b",)),))
    chosen = replace(measured(["a"], latency=0.1, rate=30), plan=plan)
    sentence = recommend(chosen, [measured(["a"], latency=0.1, rate=16)])
    assert sentence.startswith("Split: a+b[0:1] gives 1.88 × ")
