"""What to run under one condition, against plain enumeration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_builders import SHA

from partitioner.bounds import parse_bound
from partitioner.choice import choose
from partitioner.decisions.candidates import check_candidates, plan_kind, simplest_first
from partitioner.decisions.condition import decide
from partitioner.decisions.contraction import FEW, find_contraction
from partitioner.errors import ChoiceError, PlanError
from partitioner.front import knee_index
from partitioner.plan import Candidate, CostEstimate, Plan, Stage

FIGURE = st.sampled_from([1.0, 2.0, 3.0, 4.0, 5.0, math.inf])
POINTS = st.lists(st.tuples(FIGURE, FIGURE), min_size=1, max_size=8)


def is_beaten(points, index):
    mine = points[index]
    return (
        any(all(a <= b for a, b in zip(other, mine, strict=True)) and other != mine for other in points)
        or mine in points[:index]
    )


@given(POINTS)
def test_the_front_is_what_no_plan_beats_and_the_first_of_equals(points):
    decision = decide(points)
    possible = [index for index, point in enumerate(points) if all(map(math.isfinite, point))]
    wanted = [index for index in possible if not is_beaten(points, index)]
    assert sorted(decision.front) == wanted
    if wanted:
        assert points[decision.best[0]] == min(points[index] for index in possible)
        assert points[decision.best[1]] == min((points[i] for i in possible), key=lambda point: point[::-1])
        front = [points[index] for index in decision.front]
        assert decision.knee == decision.front[knee_index(front)]
    else:
        assert (decision.knee, decision.best) == (None, (None, None))


def candidate(index, latency, bottleneck):
    stages = (Stage(device="d", start=0, stop=index + 1),)
    return Candidate(
        plan=Plan(model_sha256=SHA, batch=1, stages=stages, window=1),
        cost=CostEstimate(
            latency_seconds=latency,
            bottleneck_seconds=bottleneck,
            bottleneck_resource="device:d",
            throughput_per_second=1 / bottleneck,
            stages=(),
            hops=(),
        ),
    )


@given(POINTS, st.sampled_from([None, 1.0, 2.5, 4.0]), st.sampled_from([None, 1.0, 2.5, 4.0]))
def test_bounds_choose_as_the_command_does(points, most_latency, most_bottleneck):
    decision = decide(points, (most_latency, most_bottleneck))
    wish = [] if most_latency is None else [f"latency<={most_latency}s"]
    wish += [] if most_bottleneck is None else [f"throughput>={1 / most_bottleneck}"]
    front = [candidate(index, *points[index]) for index in decision.front]
    if not wish or not front:
        assert decision.within is None
        return
    assert [parse_bound(bound).figure for bound in wish]
    try:
        chosen = choose(front, ",".join(wish))
    except ChoiceError:
        assert decision.within is None
    else:
        assert points[decision.within] == (chosen.cost.latency_seconds, chosen.cost.bottleneck_seconds)


def test_bounds_must_be_as_many_as_objectives():
    with pytest.raises(ValueError, match="as many bounds"):
        decide([[1.0, 2.0]], (1.0,))


def stages(*spans):
    return tuple(Stage(device=device, start=start, stop=stop) for device, start, stop in spans)


def test_kinds_of_plans():
    assert plan_kind(stages(("pi", 0, 5)), "pi") == "stay"
    assert plan_kind(stages(("server", 0, 5)), "pi") == "send"
    assert plan_kind(stages(("pi", 0, 2), ("server", 2, 5)), "pi") == "split"
    assert plan_kind((Stage(device="pi", start=0, stop=5, replicas=("pi-2",)),), "pi") == "split"


@pytest.mark.parametrize(
    ("kinds", "missing"),
    [
        (["split"], "do not split.*no plan that sends"),
        (["split", "send"], "do not split"),
        (["stay", "split"], "sends"),
    ],
)
def test_a_choice_without_not_splitting_is_refused(kinds, missing):
    with pytest.raises(PlanError, match=missing):
        check_candidates(kinds, n_devices=2)


def test_a_single_device_can_send_nothing():
    check_candidates(["stay"], n_devices=1)
    check_candidates(["split", "send", "stay"], n_devices=3)


def test_the_simplest_of_equal_plans_comes_first():
    kinds = ["split", "send", "stay", "split"]
    order = simplest_first(kinds)
    assert [kinds[index] for index in order] == ["stay", "send", "split", "split"]
    points = np.array([[1.0, 1.0]] * 4)[list(order)]
    assert order[decide(points).front[0]] == 2


def test_a_front_of_the_smallest_boundaries_has_contracted():
    sizes, splits = [100.0, 7.0, 50.0, 7.0, 900.0], [True, True, True, True, False]
    found = find_contraction([1, 4], sizes, splits, [False, True, False, True, False])
    assert found.holds
    assert (found.n_front, found.n_splits, found.largest_bytes, found.n_no_larger) == (1, 4, 7.0, 2)


def test_it_has_also_where_links_hold_back_all_that_send_more():
    found = find_contraction(
        [1], [100.0, 7.0, 50.0, 60.0, 900.0], [True] * 4 + [False], [True, False, True, True, False]
    )
    assert found.holds
    assert (found.is_link_bound, found.is_rest_link_bound) == (False, True)


@pytest.mark.parametrize(
    ("front", "bound"),
    [
        ([0, 1], [True] * 5),  # 100 bytes on the front, 50 beside it
        ([1], [False, False, True, True, True]),  # a device is the bottleneck, also of one that sends more
        ([4], [True] * 5),  # no split on the front
        ([0, 1, 2, 3], [True] * 5),  # all splits: nothing was drawn together
    ],
)
def test_other_fronts_have_not(front, bound):
    assert not find_contraction(front, [100.0, 7.0, 50.0, 60.0, 900.0], [True] * 4 + [False], bound).holds


@given(st.lists(st.integers(1, 6), min_size=1, max_size=10), st.data())
def test_contraction_agrees_with_its_words(sizes, data):
    front = data.draw(st.lists(st.integers(0, len(sizes) - 1), max_size=5, unique=True))
    found = find_contraction(front, sizes, [True] * len(sizes), [True] * len(sizes))
    largest = max((sizes[index] for index in front), default=0)
    beside = [size for index, size in enumerate(sizes) if index not in front]
    assert found.is_smallest == all(size >= largest for size in beside)
    assert found.n_no_larger == (sum(size <= largest for size in sizes) if front else 0)
    if found.holds and not found.is_smallest:
        assert found.n_no_larger <= max(1, FEW * len(sizes))
