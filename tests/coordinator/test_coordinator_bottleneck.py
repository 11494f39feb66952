from dataclasses import replace

import pytest

from coordinator.bottleneck import find_bottleneck, tensor_bytes
from coordinator.measurement import Estimate, ReplicaMeasurement, StageMeasurement
from partitioner.plan import CostEstimate, HopCost, Plan, SharedCost, Stage, StageCost

STAGE = StageMeasurement(
    stage=0,
    device="a",
    start=0,
    stop=1,
    queue_seconds=9.0,
    decode_seconds=0.004,
    compute_seconds=0.02,
    encode_seconds=0.005,
    send_seconds=0.03,
    sent_bytes=10,
    predicted_compute_seconds=0.02,
)
COST = CostEstimate(
    latency_seconds=1.0,
    bottleneck_seconds=1.0,
    bottleneck_resource="device:a",
    throughput_per_second=1.0,
    stages=(),
    hops=(),
)
LAST = replace(STAGE, stage=1, device="b", compute_seconds=0.01, send_seconds=0.001)


def replica(device, *, n_requests=10, compute=0.02, send=0.03):
    return ReplicaMeasurement(
        device=device, n_requests=n_requests, compute_seconds=compute, send_seconds=send, sent_bytes=10
    )


def test_the_bottleneck_is_the_busiest_of_devices_and_links():
    found = find_bottleneck([STAGE, LAST], 0.005, batch=4)
    assert found.resource == "link:a->b"
    assert found.bound_per_second == pytest.approx(4 / 0.03)
    assert find_bottleneck([STAGE, LAST], 0.05, batch=1).resource == "link:client->a"


def test_a_medium_is_busy_for_all_that_was_sent_over_it():
    air = (SharedCost(name="air", busy_seconds=9.0),)
    ends = (("client", "a", air), ("a", "b", air), ("b", "client", ()))
    hops = [
        HopCost(source=one, target=other, n_bytes=1, seconds=0, busy_seconds=0, media=on) for one, other, on in ends
    ]
    found = find_bottleneck(
        [STAGE, replace(STAGE, stage=1, device="b")], 0.005, replace(COST, hops=tuple(hops)), batch=1
    )
    assert (found.resource, found.busy_seconds) == ("medium:air", 0.005 + 0.03)


def test_cores_are_busy_for_what_lone_requests_take_on_all_devices_that_share_them():
    """Under load each stage took twice as long, since the other computed meanwhile."""
    host = (SharedCost(name="a+b", busy_seconds=0.5),)
    predicted = [
        StageCost(device=name, seconds=0.5, memory_bytes=1, processors=on) for name, on in (("a", host), ("b", host))
    ]
    alone = Estimate(value=0.02, low=0.02, high=0.02)
    stages = [
        replace(STAGE, stage=index, device=name, send_seconds=0.0, compute_seconds=0.04, unloaded_compute_seconds=alone)
        for index, name in enumerate("ab")
    ]
    cost = replace(COST, stages=tuple(predicted), hops=())
    found = find_bottleneck(stages, 0.001, cost, batch=1)
    assert (found.resource, found.busy_seconds) == ("processor:a+b", 0.02 + 0.02)
    half = replace(predicted[1], processors=(SharedCost(name="a+b", busy_seconds=0.25),))  # of its core, by a quota
    found = find_bottleneck(stages, 0.001, replace(cost, stages=(predicted[0], half)), batch=1)
    assert (found.resource, found.busy_seconds) == ("processor:a+b", pytest.approx(0.02 + 0.5 * 0.02))
    single = replace(cost, stages=(predicted[0], replace(predicted[1], processors=())))
    assert find_bottleneck(stages, 0.001, single, batch=1).resource == "device:a"


def test_replicas_share_what_their_stage_keeps_busy():
    crew = replace(STAGE, replicas=(replica("a"), replica("c")))
    found = find_bottleneck([crew, LAST], 0.005, batch=1)
    assert (found.resource, found.busy_seconds) == ("link:a->b", pytest.approx(0.015))
    found = find_bottleneck([replace(crew, replicas=(replica("a"), replica("c", compute=0.05))), LAST], 0.0, batch=1)
    assert (found.resource, found.busy_seconds) == ("device:c", pytest.approx(0.025))


def test_a_replica_counts_with_the_requests_that_it_bore():
    crew = replace(STAGE, replicas=(replica("a", n_requests=30, send=0.0), replica("c", n_requests=10, send=0.0)))
    found = find_bottleneck([crew, LAST], 0.0, batch=1)
    assert (found.resource, found.busy_seconds) == ("device:a", pytest.approx(0.015))


def test_links_between_two_crews_share_by_the_least_common_multiple():
    """Two sources, three targets: six links, three for each source."""
    sources = replace(STAGE, replicas=(replica("a", compute=0.0), replica("c", compute=0.0)))
    targets = replace(LAST, replicas=tuple(replica(name, compute=0.0, send=0.0) for name in "xyz"))
    found = find_bottleneck([sources, targets], 0.0, batch=1)
    assert found.busy_seconds == pytest.approx(0.03 / 6)
    found = find_bottleneck([targets, LAST], 0.3, batch=1)
    assert (found.resource, found.busy_seconds) == ("link:client->x", pytest.approx(0.1))


def test_coding_keeps_an_emulated_device_as_well_and_a_real_one_beside():
    coded = replace(STAGE, predicted_decode_seconds=0.004, predicted_encode_seconds=0.005, send_seconds=0.0)
    real = find_bottleneck([coded, LAST], 0.0, batch=1)
    emulated = find_bottleneck([replace(coded, is_paced=True), LAST], 0.0, batch=1)
    assert (real.resource, real.busy_seconds) == ("device:a", pytest.approx(0.02))
    assert (emulated.resource, emulated.busy_seconds) == ("device:a", pytest.approx(0.029))
    plain = find_bottleneck([replace(STAGE, is_paced=True, send_seconds=0.0), LAST], 0.0, batch=1)
    assert plain.busy_seconds == pytest.approx(0.02)


def test_links_of_replicas_carry_their_turns_of_the_bytes():
    stages = (Stage(device="a", start=0, stop=1, replicas=("c",)), Stage(device="b", start=1, stop=2))
    plan = Plan(model_sha256="", batch=1, stages=stages, window=1)
    hops = [HopCost(source="", target="", n_bytes=n, seconds=0.0, busy_seconds=0.0) for n in (600, 100, 8)]
    assert tensor_bytes(plan, hops) == {
        "link:client->a": 300,
        "link:client->c": 300,
        "link:a->b": 50,
        "link:c->b": 50,
        "link:b->client": 8,
    }
