from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_builders import chain_graph, cluster_of, device_profile, profile_of, stage_trial

from partitioner.cluster import CLIENT
from partitioner.cost import CostModel, suggested_window
from partitioner.errors import CostModelError, PlanError
from partitioner.plan import Plan, Stage

GRAPH = chain_graph([100, 200, 50, 10], weights=[1000, 2000, 4000])
LINKS = {
    (CLIENT, "a"): (0.001, 1000.0),
    ("a", "b"): (0.002, 10_000.0),
    ("b", "a"): (0.0, 500.0),
    ("a", CLIENT): (0.0, 10.0),
    ("b", CLIENT): (0.003, 100.0),
}
CLUSTER = cluster_of({"a": 20_000, "b": 5000}, LINKS)
PROFILE = profile_of(
    GRAPH,
    device_profile("a", {(0, 1): 0.1, (1, 2): 0.2, (2, 3): 0.3, (0, 2): 0.25}, base_memory_bytes=10_000),
    device_profile("b", {(0, 1): 0.01, (1, 2): 0.02, (2, 3): 0.03}),
)
MODEL = CostModel(GRAPH, CLUSTER, PROFILE)


def plan_of(*stages, window=2):
    placed = tuple(Stage(device=device, start=start, stop=stop) for device, start, stop in stages)
    return Plan(model_sha256=GRAPH.model_sha256, batch=GRAPH.batch, stages=placed, window=window)


def test_a_plan_by_hand():
    cost = MODEL.predict(plan_of(("a", 0, 2), ("b", 2, 3)))
    # hops: .001 + 100/1000, .002 + 50/10000, .003 + 10/100; stages: measured .25, single .03
    assert [hop.seconds for hop in cost.hops] == pytest.approx([0.101, 0.007, 0.103])
    assert [hop.busy_seconds for hop in cost.hops] == pytest.approx([0.1, 0.005, 0.1])
    assert [(hop.source, hop.target, hop.n_bytes) for hop in cost.hops] == [
        (CLIENT, "a", 100), ("a", "b", 50), ("b", CLIENT, 10)
    ]  # fmt: skip
    assert [(stage.device, stage.seconds) for stage in cost.stages] == [("a", 0.25), ("b", 0.03)]
    assert [stage.memory_bytes for stage in cost.stages] == [13_900, 4300]
    assert cost.latency_seconds == pytest.approx(0.491)
    assert (cost.bottleneck_resource, cost.bottleneck_seconds) == ("device:a", 0.25)
    assert cost.throughput_per_second == pytest.approx(4.0)


def test_a_plan_of_stages_that_were_tried_by_hand():
    tried = (
        stage_trial(0, 2, compute=0.3, handover=0.04, busy=0.5),
        stage_trial(2, 3, compute=0.05, handover=0.0, busy=0.04),
    )
    devices = (replace(PROFILE.devices[0], trials=tried[:1]), replace(PROFILE.devices[1], trials=tried[1:]))
    links = tuple(replace(link, busy_bytes_per_second=20.0 if link.target == CLIENT else 0.0) for link in CLUSTER.links)
    model = CostModel(
        GRAPH,
        replace(CLUSTER, links=links, devices=tuple(replace(d, active_watts=10.0) for d in CLUSTER.devices)),
        replace(PROFILE, devices=devices),
    )
    cost = model.predict(plan_of(("a", 0, 2), ("b", 2, 3)))
    assert [stage.seconds for stage in cost.stages] == pytest.approx([0.34, 0.05])
    assert [stage.compute_seconds for stage in cost.stages] == pytest.approx([0.3, 0.05])
    assert [stage.busy_seconds for stage in cost.stages] == pytest.approx([0.5, 0.04])
    assert [hop.seconds for hop in cost.hops] == pytest.approx([0.101, 0.007, 0.103])
    assert [hop.busy_seconds for hop in cost.hops] == pytest.approx([0.1, 0.005, 0.5])
    assert cost.latency_seconds == pytest.approx(0.34 + 0.05 + 0.211)
    assert cost.bottleneck_seconds == pytest.approx(0.5)
    assert cost.energy_joules == pytest.approx(5.4)
    # what was not tried: 'a' computes 0.3 / 0.25 times as long, and hands over and is busy as in the one trial
    assert model.stage_compute_matrix("a")[1, 2] == pytest.approx(0.24)
    assert model.stage_seconds_matrix("a")[1, 2] == pytest.approx(0.28)
    assert model.stage_busy_matrix("a")[1, 2] == pytest.approx(0.44)


def test_replicas_share_the_busy_time_and_energy_is_that_of_one_request():
    devices = tuple(
        replace(PROFILE.devices[1], device=name, trials=(stage_trial(0, 3, 0.06, 0.01, busy, memory_bytes=9000),))
        for name, busy in (("a", 0.08), ("b", 0.1))
    )
    places = {"a": 20_000, "b": 20_000}
    cluster = cluster_of(places)
    cluster = replace(cluster, devices=tuple(replace(device, active_watts=10.0) for device in cluster.devices))
    model = CostModel(GRAPH, cluster, profile_of(GRAPH, *devices))
    stage = Stage(device="a", start=0, stop=3, replicas=("b",))
    (cost,) = model.predict(replace(plan_of(("a", 0, 3)), stages=(stage,))).stages
    assert (cost.seconds, cost.compute_seconds, cost.busy_seconds) == pytest.approx((0.07, 0.06, 0.05))
    assert cost.joules == pytest.approx(1.0)
    assert cost.memory_bytes == 9000 + 4 * 110


def test_impossible_trials_and_rates_are_faults():
    trials = (
        stage_trial(0, 9, 1.0, 0.0, 1.0),
        stage_trial(0, 1, 0.0, -0.1, 1.0),
        stage_trial(0, 2, 0.1, float("nan"), float("inf")),
    )
    profile = replace(PROFILE, devices=(replace(PROFILE.devices[0], trials=trials), PROFILE.devices[1]))
    links = (replace(CLUSTER.links[0], busy_bytes_per_second=-1.0), *CLUSTER.links[1:])
    with pytest.raises(CostModelError) as caught:
        CostModel(GRAPH, replace(CLUSTER, links=links), profile)
    for fault in (
        "trial [0:9] of 'a' is no span of 3 units",
        "trial [0:1] of 'a' has compute_seconds 0.0, wanted more than 0",
        "trial [0:1] of 'a' has handover_seconds -0.1, wanted 0 or more",
        "trial [0:2] of 'a' has handover_seconds nan",
        "trial [0:2] of 'a' has busy_seconds inf",
        "link 'client' → 'a' has busy_bytes_per_second -1.0",
    ):
        assert fault in str(caught.value)


def test_a_small_window_limits_throughput():
    assert MODEL.predict(plan_of(("a", 0, 2), ("b", 2, 3), window=1)).throughput_per_second == pytest.approx(1 / 0.491)


def test_a_slow_link_is_the_bottleneck():
    cost = MODEL.predict(plan_of(("a", 0, 3)))
    assert (cost.bottleneck_resource, cost.bottleneck_seconds) == ("link:a->client", 1.0)


def test_a_device_used_twice_is_busy_twice():
    cost = MODEL.predict(plan_of(("a", 0, 1), ("b", 1, 2), ("a", 2, 3)))
    links_back = [hop for hop in cost.hops if (hop.source, hop.target) == ("b", "a")]
    assert links_back[0].seconds == pytest.approx(0.1)
    assert cost.bottleneck_seconds == pytest.approx(1.0)
    wider = replace(CLUSTER, links=tuple(replace(link, bytes_per_second=1e9) for link in CLUSTER.links))
    cost = CostModel(GRAPH, wider, PROFILE).predict(plan_of(("a", 0, 1), ("b", 1, 2), ("a", 2, 3)))
    assert (cost.bottleneck_resource, cost.bottleneck_seconds) == ("device:a", pytest.approx(0.4))


def test_throughput_counts_samples_of_a_batch():
    graph = replace(GRAPH, batch=8)
    model = CostModel(graph, CLUSTER, replace(PROFILE, batch=8))
    plan = replace(plan_of(("a", 0, 2), ("b", 2, 3)), batch=8)
    assert model.predict(plan).throughput_per_second == pytest.approx(32.0)


def test_all_faults_of_a_plan_at_once():
    wrong = replace(plan_of(("b", 1, 2), ("c", 1, 2)), model_sha256="f" * 64, batch=3, window=0)
    with pytest.raises(PlanError) as caught:
        MODEL.predict(wrong)
    for fault in (
        "it is for model 'ffffffffffff', the graph is 'aaaaaaaaaaaa'",
        "it is for batch 3, the graph for batch 1",
        "its window is 0",
        "a gap leaves the units [0:1] out",
        "an overlap runs the units [1:2] twice",
        "a gap leaves the units [2:3] out",
        "device 'c' is unknown (the cluster has a, b)",
        "there is no link 'client' → 'b'",
    ):
        assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("stages", "fault"),
    [
        ((), "it has no stages"),
        ((("a", 0, 3), ("b", 3, 3)), r"stage 1 \[3:3\] is no span of 3 units"),
        ((("a", 0, 4),), r"stage 0 \[0:4\] is no span of 3 units"),
        ((("a", 0, 2), ("a", 2, 3)), "two stages in a row are on 'a': make them one"),
    ],
)
def test_plans_that_fit_nowhere(stages, fault):
    with pytest.raises(PlanError, match=fault):
        MODEL.predict(plan_of(*stages))


def test_memory_is_told_by_device():
    faults = MODEL.memory_faults(plan_of(("a", 0, 1), ("b", 1, 3)))
    assert len(faults) == 1
    assert "on 'b' (memory 0.005 MiB)" in faults[0]
    assert MODEL.memory_faults(plan_of(("a", 0, 2), ("b", 2, 3))) == ()


def test_the_idle_agent_counts_once_for_a_device_used_twice():
    twice = plan_of(("a", 0, 1), ("b", 1, 2), ("a", 2, 3))
    # 1000 + 300 + 4·300 and 4000 + 60 + 4·60, and once 10,000
    fits = CostModel(GRAPH, cluster_of({"a": 16_800, "b": 5000}, LINKS), PROFILE)
    lacks = CostModel(GRAPH, cluster_of({"a": 16_799, "b": 5000}, LINKS), PROFILE)
    assert fits.memory_faults(twice) == ()
    assert len(lacks.memory_faults(twice)) == 1


def test_all_faults_of_the_inputs_at_once():
    links = (*CLUSTER.links, replace(CLUSTER.links[0], target="z", bytes_per_second=0.0, fixed_seconds=-1.0))
    cluster = replace(CLUSTER, links=links, devices=(*CLUSTER.devices, replace(CLUSTER.devices[0], name="c")))
    broken = device_profile("a", {(0, 9): 1.0, (0, 1): 0.0, (1, 2): float("nan")})
    profile = replace(PROFILE, model_sha256="e" * 64, batch=2, n_units=9, devices=(broken, PROFILE.devices[1]))
    with pytest.raises(CostModelError) as caught:
        CostModel(GRAPH, cluster, profile)
    for fault in (
        "the profile is of model 'eeeeeeeeeeee'",
        "holds for batch 2",
        "has 9 units, the graph 3",
        "segment [0:9] of 'a' is no span of 3 units",
        "segment [0:1] of 'a' has 0.0 seconds",
        "segment [1:2] of 'a' has nan seconds",
        "link 'client' → 'z' names the unknown device 'z'",
        "bytes_per_second 0.0",
        "fixed_seconds -1.0",
        "device 'c' has no profile",
    ):
        assert fault in str(caught.value)


def test_untimed_units_and_doubled_names_are_faults():
    profile = replace(PROFILE, devices=(device_profile("a", {(0, 2): 1.0}), PROFILE.devices[1]))
    doubled = replace(CLUSTER, devices=(*CLUSTER.devices, CLUSTER.devices[0], replace(CLUSTER.devices[0], name=CLIENT)))
    with pytest.raises(CostModelError) as caught:
        CostModel(GRAPH, doubled, profile)
    for fault in ("'a' leaves 1 units untimed", "two devices are named 'a'", "a device is named 'client'"):
        assert fault in str(caught.value)
    with pytest.raises(CostModelError, match="no devices"):
        CostModel(GRAPH, replace(CLUSTER, devices=(), links=()), PROFILE)


def test_matrices_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        MODEL.stage_seconds_matrix("a")[0, 1] = 0.0
    assert MODEL.stage_seconds_matrix("a").dtype == np.float64
    assert not MODEL.stage_busy_matrix("a").flags.writeable
    assert not MODEL.stage_compute_matrix("a").flags.writeable
    assert MODEL.stage_memory_matrix("a").shape == (4, 4)


@given(st.floats(1e-6, 10), st.floats(1e-6, 10))
def test_the_suggested_window_keeps_the_bottleneck_busy(latency, bottleneck):
    window = suggested_window(latency, bottleneck)
    assert window / latency >= 1 / bottleneck
    assert (window - 2) * bottleneck <= latency


@pytest.mark.parametrize(("latency", "bottleneck"), [(1.0, 0.0), (1.0, -1.0), (float("inf"), 1.0), (1.0, float("nan"))])
def test_no_window_for_impossible_figures(latency, bottleneck):
    with pytest.raises(ValueError, match="No window"):
        suggested_window(latency, bottleneck)


def test_candidates_come_with_their_window():
    candidate = MODEL.candidate(plan_of(("a", 0, 2), ("b", 2, 3)).stages)
    assert candidate.plan.window == 3
    assert candidate.cost == MODEL.predict(candidate.plan)
    assert candidate.cost.throughput_per_second == pytest.approx(1 / candidate.cost.bottleneck_seconds)
