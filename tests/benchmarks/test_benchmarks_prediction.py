"""Figures of the benchmark of predictions, by hand."""

from functools import partial

import numpy as np
import pytest

from benchmarks._prediction_figures import figures_of, floor, hypervolume, order, predicted, regret_of_best
from benchmarks._prediction_points import Figures, Point, median_figures
from partitioner.comparison import REFERENCE_MARGIN


def figures(latency, throughput):
    return Figures(
        latency=latency,
        throughput=throughput,
        transfer=latency / 2,
        stages=(latency / 2,),
        latency_ends=(latency, latency),
        throughput_ends=(throughput, throughput),
    )


def point(plan, predicted, *measured):
    after, rounds = figures(*predicted), tuple(figures(*one) for one in measured)
    return Point(
        model="net",
        condition="lan",
        plan=plan,
        n_stages=1,
        is_split_series=True,
        sent_bytes=1 << 20,
        before=after,
        after=after,
        measured=median_figures(rounds),
        rounds=rounds,
    )


def test_of_plans_with_the_same_throughput_the_faster_one_is_run():
    """A slow link binds all plans alike: the front has the one with the least latency."""
    group = [
        point("a", (1.0, 10.0), (1.0, 9.0)),
        point("b", (2.0, 10.0), (2.0, 7.0)),
        point("c", (3.0, 9.0), (3.0, 9.9)),
    ]
    assert predicted(group, partial(regret_of_best, quantity="throughput")) == pytest.approx(9.9 / 9.0 - 1)
    assert predicted(group, partial(regret_of_best, quantity="latency")) == 0.0


def test_the_floor_of_regret_is_that_of_a_choice_by_one_round():
    """In the first round b seems to be best; in the others it takes 3 s where a takes 2 s."""
    group = [point("a", (1, 1), (2, 1), (2, 1), (2, 1)), point("b", (1, 1), (1, 1), (3, 1), (3, 1))]
    assert floor(group, partial(regret_of_best, quantity="latency")) == pytest.approx((3 / 2 - 1) / 3)


def test_the_floor_of_an_order_is_that_of_one_round_in_the_others():
    """Predicted well, and one of three pairs of plans changes places from the first round to the second."""
    group = [point("a", (1, 1), (1, 1), (1, 1)), point("b", (2, 1), (2, 1), (3, 1)), point("c", (3, 1), (3, 1), (2, 1))]
    by_latency = partial(order, quantity="latency")
    assert floor(group, by_latency) == pytest.approx(1 / 3)
    assert predicted(group, by_latency) == pytest.approx(2 / np.sqrt(3 * 2))  # 1, 2.5 and 2.5 s: b and c are equal


def test_the_floor_of_a_hypervolume_is_that_of_one_rounds_front_in_the_others():
    """The best plan of each round is the worst of the other: of the hypervolume the margin beyond it is left."""
    group = [point("a", (1, 1), (1, 1), (2, 1)), point("b", (2, 1), (2, 1), (1, 1))]
    assert floor(group, hypervolume) == pytest.approx(REFERENCE_MARGIN / (1 + REFERENCE_MARGIN))
    assert predicted(group, hypervolume) == 1.0  # both took 1.5 s in the median


def test_no_prediction_need_be_nearer_than_a_plan_comes_to_itself():
    """1.1 s for a plan that took 1 s in the median: too far, unless it took 0.9 s at first and 1.1 s later."""
    near, far = (
        {one.name: one for one in figures_of([point("a", (1.1, 1.0), (1.0 - apart, 1.0), (1.0 + apart, 1.0))])}
        for apart in (0.0, 0.1)
    )
    assert near["prediction_latency_after_mape"].value == far["prediction_latency_after_mape"].value
    assert near["prediction_latency_after_mape"].holds is False
    assert far["prediction_latency_after_mape"].holds is True
    assert far["prediction_latency_noise_mape"].value == pytest.approx(0.2 / 1.1 / np.sqrt(2))  # two rounds
