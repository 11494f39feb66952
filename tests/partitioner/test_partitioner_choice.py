import pytest

from partitioner.choice import check_wish, choose
from partitioner.errors import ChoiceError
from partitioner.plan import Candidate, CostEstimate, Plan, Stage


def candidate(latency, bottleneck):
    plan = Plan(
        model_sha256="a" * 64, batch=1, stages=(Stage(device="pi", start=0, stop=int(latency * 1000)),), window=9
    )
    cost = CostEstimate(
        latency_seconds=latency,
        bottleneck_seconds=bottleneck,
        bottleneck_resource="device:pi",
        throughput_per_second=1 / bottleneck,
        stages=(),
        hops=(),
    )
    return Candidate(plan=plan, cost=cost)


FRONT = (candidate(0.040, 0.040), candidate(0.048, 0.020), candidate(0.060, 0.015), candidate(0.100, 0.0125))


@pytest.mark.parametrize(
    ("wish", "index"),
    [
        ("knee", 1),
        ("latency", 0),
        ("throughput", 3),
        ("0", 0),
        (" 3 ", 3),
        ("latency<=50ms", 1),
        ("latency <= 0.06 s", 2),
        ("latency<=60000us", 2),
        ("latency<=4.8e4µs", 1),
        ("LATENCY<=50MS", 1),
        ("throughput>=60", 2),
        ("throughput>=50/s", 1),
        ("throughput>=50, latency<=100ms", 2),
        ("latency<=70ms,throughput>=20,throughput", 2),
        ("latency<=70ms,latency", 0),
        ("knee,throughput>=60", 2),
        ("latency<=90ms,latency<=50ms", 1),
    ],
)
def test_wishes(wish, index):
    check_wish(wish)
    assert choose(FRONT, wish) is FRONT[index]


def test_the_order_of_the_front_does_not_matter_to_wishes():
    for wish in ("knee", "latency", "throughput", "latency<=50ms", "throughput>=60"):
        assert choose(FRONT[::-1], wish) is choose(FRONT, wish)


@pytest.mark.parametrize(
    ("wish", "part"),
    [
        ("latency<=30ms", "has latency <= 30 ms: the least latency is 40 ms (pi[0:40])"),
        (
            "throughput>=1000",
            "has throughput >= 1000/s: the least latency is 40 ms (pi[0:40]), the most throughput 80/s",
        ),
        ("latency<=50ms,throughput>=60", "has latency <= 50 ms and throughput >= 60/s"),
        ("4", "The front has no plan 4: it has 4, 0 … 3"),
        ("latency,throughput", "names 2 aims, latency and throughput"),
    ],
)
def test_unanswered_wishes_say_what_there_is(wish, part):
    with pytest.raises(ChoiceError) as caught:
        choose(FRONT, wish)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    "wish",
    [
        "",
        "best",
        "latency<=50",
        "latency>=50ms",
        "throughput<=3",
        "latency<=-1ms",
        "-1",
        "1,knee",
        "knee,",
        "1.5",
        "latency<=nanms",
    ],
)
def test_unreadable_wishes_list_the_forms(wish):
    for read in (check_wish, lambda wish: choose(FRONT, wish)):
        with pytest.raises(ChoiceError, match=r"cannot be read at .*: wanted `knee`, `latency`"):
            read(wish)


def test_an_empty_front_has_nothing():
    with pytest.raises(ChoiceError, match="front is empty"):
        choose((), "knee")
