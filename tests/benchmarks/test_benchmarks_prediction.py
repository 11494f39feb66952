"""Figures of the benchmark of predictions, by hand."""

import pytest

from benchmarks._prediction_figures import figures_of, regret_floor, regret_of
from benchmarks._prediction_points import Figures, Point


def figures(latency, throughput):
    return Figures(
        latency=latency,
        throughput=throughput,
        transfer=latency / 2,
        stages=(latency / 2,),
        latency_ends=(latency, latency),
        throughput_ends=(throughput, throughput),
    )


def point(plan, predicted, *visits, again=None):
    after = figures(*predicted)
    return Point(
        model="net",
        condition="lan",
        plan=plan,
        n_stages=1,
        is_split_series=True,
        sent_bytes=1 << 20,
        before=after,
        after=after,
        visits=tuple(figures(*visit) for visit in visits),
        again=again and figures(*again),
    )


def test_of_plans_with_the_same_throughput_the_faster_one_is_run():
    """A slow link binds all plans alike: the front has the one with the least latency."""
    group = [
        point("a", (1.0, 10.0), (1.0, 9.0)),
        point("b", (2.0, 10.0), (2.0, 7.0)),
        point("c", (3.0, 9.0), (3.0, 9.9)),
    ]
    assert regret_of(group, "throughput") == pytest.approx(9.9 / 9.0 - 1)
    assert regret_of(group, "latency") == 0.0


def test_the_floor_of_regret_is_that_of_a_choice_by_one_round():
    """In the first round b seems to be best; in the others it takes 3 s where a takes 2 s."""
    group = [point("a", (1, 1), (2, 1), (2, 1), (2, 1)), point("b", (1, 1), (1, 1), (3, 1), (3, 1))]
    assert regret_floor(group, "latency") == pytest.approx((3 / 2 - 1) / 3)


def test_no_prediction_need_be_nearer_than_a_plan_comes_to_itself():
    near, far = (
        {one.name: one for one in figures_of([point("a", (1.2, 1.0), (1.0, 1.0), (1.0, 1.0), again=(again, 1.0))])}
        for again in (1.0, 0.8)
    )
    assert near["prediction_latency_after_mape"].holds is False
    assert far["prediction_latency_after_mape"].holds is True  # it was 1.0 once, 0.8 when measured again
    assert far["prediction_latency_noise_mape"].value == pytest.approx(0.25)
