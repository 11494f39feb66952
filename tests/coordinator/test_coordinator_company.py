"""Stages that are tried together, and the rests between them."""

import pytest

from coordinator.company import LONGEST_SECONDS, Places, companies_of, companies_to_try, untried_stages
from partitioner.plan import Candidate, CostEstimate, Plan, Stage, StageCost
from partitioner.profile import DeviceProfile, Profile, StageTrial

CORES = {"a": (0,), "b": (1,), "c": (0,)}
APART = Places(host_of={"a": "pi-1", "b": "pi-2", "c": "pi-3"}, cores_of=CORES)
TOGETHER = Places(host_of=dict.fromkeys("abc", "box"), cores_of=CORES)


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
        stages=tuple(StageCost(device=device, seconds=seconds, memory_bytes=0) for device, _, _, seconds in stages),
        hops=(),
    )
    return Candidate(plan=plan, cost=cost)


SPLIT = candidate(0.040, ("a", 0, 2, 0.010), ("b", 2, 4, 0.018))


def test_a_machine_of_its_own_rests_while_all_others_work():
    companies = companies_of(SPLIT, APART)
    assert [company.stages for company in companies] == [(("a", (0, 2)),), (("b", (2, 4)),)]
    assert [company.rest_seconds for company in companies] == pytest.approx([0.030, 0.022])


def test_stages_of_one_machine_have_company_and_rest_for_what_is_left():
    (company,) = companies_of(SPLIT, TOGETHER)
    assert company.stages == (("a", (0, 2)), ("b", (2, 4)))
    assert company.rest_seconds == pytest.approx(0.006)


def test_stages_that_share_a_processor_do_not_work_at_the_same_time():
    (company,) = companies_of(candidate(0.04, ("a", 0, 1, 0.01), ("c", 1, 2, 0.01), ("b", 2, 4, 0.008)), TOGETHER)
    assert company.groups == ((("a", (0, 1)), ("b", (2, 4))), (("c", (1, 2)),))
    assert company.rest_seconds == 0.004


def test_a_rest_is_neither_negative_nor_endless():
    assert companies_of(candidate(0.009, ("a", 0, 4, 0.010)), APART)[0].rest_seconds == 0.0
    assert companies_of(candidate(9.0, ("a", 0, 4, 0.010)), APART)[0].rest_seconds == LONGEST_SECONDS


def profile(**trials):
    """Spans that were tried, by device."""
    figures = {"compute_seconds": 1.0, "low_seconds": 1.0, "high_seconds": 1.0, "handover_seconds": 0.0}

    def tried(start, stop):
        return StageTrial(start=start, stop=stop, **figures, busy_seconds=1.0, n_samples=9)

    devices = tuple(
        DeviceProfile(device=name, segments=(), runtime="", trials=tuple(tried(*span) for span in spans))
        for name, spans in trials.items()
    )
    return Profile(model_sha256="0", batch=1, n_units=4, devices=devices)


def test_every_untried_stage_is_in_one_company_and_the_most_used_come_first():
    front = [candidate(0.010, ("a", 0, 4, 0.010)), SPLIT, SPLIT, candidate(0.04, ("a", 0, 2, 0.01), ("c", 2, 4, 0.01))]
    companies = companies_to_try(profile(a=[(0, 4)]), front, APART)
    assert [company.stages for company in companies] == [(("a", (0, 2)),), (("b", (2, 4)),), (("c", (2, 4)),)]
    assert untried_stages(profile(a=[(0, 4)]), front) == {("a", (0, 2)): 3, ("b", (2, 4)): 2, ("c", (2, 4)): 1}


def test_a_company_of_which_all_is_tried_is_not_tried_again():
    assert companies_to_try(profile(a=[(0, 2)], b=[(2, 4)]), [SPLIT], TOGETHER) == ()
    (company,) = companies_to_try(profile(a=[(0, 2)], b=[]), [SPLIT], TOGETHER)
    assert company.stages == (("a", (0, 2)), ("b", (2, 4)))
