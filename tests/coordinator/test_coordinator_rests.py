"""The rest before a stage's lone request."""

import pytest
from coordinator.rests import LONGEST_SECONDS, rests_of
from partitioner.plan import Candidate, CostEstimate, Plan, Stage, StageCost

APART = {"a": "pi-1", "b": "pi-2"}
TOGETHER = {"a": "box", "b": "box"}


def candidate(latency, *stages):
    """(device, start, stop, compute seconds) of each stage."""
    plan = Plan(
        model_sha256="0",
        batch=1,
        stages=tuple(Stage(device=device, start=start, stop=stop) for device, start, stop, _ in stages),
        window=1,
    )
    cost = CostEstimate(
        latency_seconds=latency,
        bottleneck_seconds=latency,
        bottleneck_resource="device:a",
        throughput_per_second=1 / latency,
        stages=tuple(
            StageCost(device=device, seconds=seconds, memory_bytes=0)
            for device, _, _, seconds in stages
        ),
        hops=(),
    )
    return Candidate(plan=plan, cost=cost)


SPLIT = candidate(0.040, ("a", 0, 2, 0.010), ("b", 2, 4, 0.018))


def test_a_machine_of_its_own_rests_while_all_others_work():
    rests = rests_of([SPLIT], APART)
    assert rests == pytest.approx({("a", (0, 2)): 0.030, ("b", (2, 4)): 0.022})


def test_a_machine_with_two_stages_rests_twice_for_what_is_left():
    rests = rests_of([SPLIT], TOGETHER)
    assert rests == pytest.approx({("a", (0, 2)): 0.006, ("b", (2, 4)): 0.006})


def test_a_stage_of_several_plans_rests_for_their_median():
    plans = [candidate(latency, ("a", 0, 4, 0.010)) for latency in (0.012, 0.020, 0.035)]
    assert rests_of(plans, APART) == pytest.approx({("a", (0, 4)): 0.010})


def test_a_rest_is_neither_negative_nor_endless():
    assert rests_of([candidate(0.009, ("a", 0, 4, 0.010))], APART) == {("a", (0, 4)): 0.0}
    assert rests_of([candidate(9.0, ("a", 0, 4, 0.010))], APART) == {("a", (0, 4)): LONGEST_SECONDS}
