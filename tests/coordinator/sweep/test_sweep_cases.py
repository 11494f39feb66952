"""From a sweep's file to its cases, and to their order."""

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_builders import N_UNITS
from sweep_builders import SWEEP, MemoryStore, case, run_of, studies_of, sweep_file

from coordinator.config.sweep import PlanChoice
from coordinator.errors import ConfigError
from coordinator.report.sweep.reading import read_sweep, setting_of
from coordinator.sweep.beginning import begin
from coordinator.sweep.cases import expand, sweep_order
from coordinator.sweep.plan_choices import chosen_stages, coded, label_of
from partitioner.plan import Stage

GRAPH = studies_of(sweep_file())[0].graph
NODES = ("a", "b", "c")


def chosen(choice: dict[str, object], nodes: tuple[str, ...] = NODES, seed: int = 0):
    choices = [PlanChoice.model_validate(choice)]
    return [one.stages for one in chosen_stages(choices, GRAPH, [], nodes, seed=seed)]


def test_block_level_on_the_first_two_nodes_and_every_node_alone() -> None:
    plans = chosen({"every": "block-level"})
    assert [[stage.device for stage in stages] for stages in plans[:3]] == [["a"], ["b"], ["c"]]
    assert [stages[0].stop for stages in plans[3:]] == list(range(1, N_UNITS))
    assert {tuple(stage.device for stage in stages) for stages in plans[3:]} == {("a", "b")}


@pytest.mark.parametrize(
    "choice", [{"every": "front"}, {"every": "all"}, {"random": 4}, {"splits": [3]}, {"spread": 2}], ids=str
)
def test_not_to_split_is_always_among_them(choice: dict[str, object]) -> None:
    plans = chosen(choice)
    assert [(Stage(device=name, start=0, stop=N_UNITS),) for name in NODES] == plans[:3]


@settings(max_examples=40, deadline=None)
@given(wanted=st.integers(1, N_UNITS + 3))
def test_spread_points_differ_and_reach_both_ends(wanted: int) -> None:
    points = [stages[0].stop for stages in chosen({"spread": wanted})[3:]]
    assert points == sorted(set(points))
    assert len(points) == min(wanted, N_UNITS - 1)
    if wanted > 1:
        assert points[0] == 1
        assert points[-1] == N_UNITS - 1


@settings(max_examples=40, deadline=None)
@given(wanted=st.integers(1, 12), seed=st.integers(0, 2**40))
def test_random_plans_are_plans_and_the_same_for_a_seed(wanted: int, seed: int) -> None:
    plans = chosen({"random": wanted}, seed=seed)
    assert plans == chosen({"random": wanted}, seed=seed)
    assert len(plans[3:]) == wanted == len(set(plans[3:]))
    for stages in plans:
        assert stages[0].start == 0
        assert stages[-1].stop == N_UNITS
        assert all(one.stop == other.start for one, other in pairwise(stages))
        assert len({stage.device for stage in stages}) == len(stages)


def test_given_splits_of_several_stages_and_those_that_the_model_lacks() -> None:
    assert [[stage.stop for stage in stages] for stages in chosen({"splits": [4, [2, 6]]})[3:]] == [[4, 12], [2, 6, 12]]
    assert len(chosen({"splits": [4, [2, 6]]}, nodes=("a", "b"))) == 3
    with pytest.raises(ConfigError, match=r"has split points 1 to 11, got 12, 40"):
        chosen({"splits": [4, 12, 40]})


def test_labels_name_devices_only_where_they_are_others() -> None:
    stages = tuple(chosen({"splits": [[2, 6]]})[-1])
    assert label_of(stages, NODES) == "split 2+6"
    assert label_of(stages, ("b", "a", "c")) == "split 2+6 on a, b, c"
    assert label_of(stages[:1], NODES) == "whole model on a"
    assert [stage.codec for stage in coded(stages, "int8")] == ["int8", "int8", "none"]


def test_all_dimensions_are_multiplied_and_nothing_comes_twice() -> None:
    file = sweep_file(SWEEP + "data_planes: [grpc, tcp]\n")
    cases = expand(file.config, studies_of(file)).cases
    plans_of_pair, plans_of_three = 2 + N_UNITS - 1, 1 + N_UNITS - 1  # a and b alone are cases of the pair already
    assert len(cases) == 2 * 2 * (plans_of_pair + plans_of_three)
    assert len({each.key for each in cases}) == len(cases)
    assert Counter(each.condition for each in cases) == {"as-is": len(cases) // 2, "slow": len(cases) // 2}
    assert {each.nodes for each in cases} == {("a", "b"), ("a", "b", "c")}
    labels = {(each.plan_label, tuple(s.device for s in each.plan.stages)) for each in cases}
    assert len({label for label, _ in labels}) == len(labels)


def test_the_predicted_fronts_of_all_conditions_are_measured_under_each() -> None:
    file = sweep_file(SWEEP.replace("block-level", "front"))
    cases = expand(file.config, studies_of(file)).cases
    plans = {
        condition: {each.plan.stages for each in cases if each.condition == condition}
        for condition in ("as-is", "slow")
    }
    assert plans["as-is"] == plans["slow"]
    assert any(len(stages) > 1 for stages in plans["slow"])


def test_a_given_window_holds_for_every_plan() -> None:
    file = sweep_file(SWEEP + "window: 7\n")
    assert {each.plan.window for each in expand(file.config, studies_of(file)).cases} == {7}


def test_plans_that_do_not_fit_are_left_out_and_said() -> None:
    file = sweep_file()
    (study,) = studies_of(file)
    small = {
        key: replace(
            applied,
            cluster=replace(
                applied.cluster,
                devices=tuple(
                    replace(device, memory_bytes=1) if device.name == "a" else device
                    for device in applied.cluster.devices
                ),
            ),
        )
        for key, applied in study.under.items()
    }
    expansion = expand(file.config, [replace(study, under=small, _models={})])
    assert expansion.cases
    assert all("a" not in [stage.device for stage in each.plan.stages] for each in expansion.cases)
    assert any("whole model on a" in reason for reason in expansion.left_out)


@settings(max_examples=30, deadline=None)
@given(n_cases=st.integers(1, 11), n_repeats=st.integers(1, 8), seed=st.integers(0, 2**40))
def test_each_block_holds_each_case_once(n_cases: int, n_repeats: int, seed: int) -> None:
    cases = [case(number) for number in range(n_cases)]
    order = sweep_order(cases, seed, n_repeats)
    assert order == sweep_order(cases[::-1], seed, n_repeats)
    for repeat in range(n_repeats):
        block = order[repeat * n_cases : (repeat + 1) * n_cases]
        assert {number for _, number in block} == {repeat}
        assert {key for key, _ in block} == {each.key for each in cases}
    assert order[:n_cases] == sweep_order(cases, seed, 1)


def test_blocks_are_in_new_orders_and_seeds_differ() -> None:
    cases = [case(number) for number in range(11)]
    order = sweep_order(cases, 0, 20)
    blocks = [tuple(key for key, number in order if number == repeat) for repeat in range(20)]
    assert len(set(blocks)) == 20
    assert order != sweep_order(cases, 1, 20)


def test_every_case_comes_early_and_late() -> None:
    """Over many blocks the mean place of a case is the middle: no case is always measured on a warm machine."""
    cases, n_blocks = [case(number) for number in range(11)], 400
    places: Counter[str] = Counter()
    for position, (key, _) in enumerate(sweep_order(cases, 3, n_blocks)):
        places[key] += position % 11
    deviation = math.sqrt((11**2 - 1) / 12 / n_blocks)
    assert all(abs(total / n_blocks - 5) < 4.5 * deviation for total in places.values())


def test_a_plan_that_subsets_share_is_measured_once_and_compared_in_each() -> None:
    """The whole model on b is best here, and all subsets have b."""
    file = sweep_file(SWEEP.replace("[[a, b], [c, b, a]]", "[[a, b], [b, c], [c, b, a]]"))
    sweep = begin(file, studies_of(file), MemoryStore()).sweep
    seconds = {each.key: 0.01 if each.plan_label == "whole model on b" else 0.05 for each in sweep.cases}
    runs = [
        run_of(sweep, position, figures={"latency_seconds": seconds[key], "throughput_per_second": 1 / seconds[key]})
        for position, (key, repeat) in enumerate(sweep.order)
        if repeat == 0
    ]
    series = read_sweep(sweep, runs)
    assert [one.setting.nodes for one in series.settings] == [("a", "b"), ("b", "c"), ("a", "b", "c")]
    for setting in series.settings:
        whole = {plan for plan in setting.plans if plan.startswith("whole")}
        assert whole == {f"whole model on {name}" for name in setting.setting.nodes}
        assert setting.recommendation.headline.startswith("Do not split. Run the whole model on b")
    assert {*series.settings[0].plans, *series.settings[1].plans} == {*series.settings[2].plans}
    assert sorted(point.case_key for _, point in series.cases) == sorted(each.key for each in sweep.cases)
    assert len(series.runs) == len(runs)
    assert all(setting.setting == setting_of(case_of(sweep, point)) for setting, point in series.cases)


def case_of(sweep, point):
    (found,) = (each for each in sweep.cases if each.key == point.case_key)
    return found
