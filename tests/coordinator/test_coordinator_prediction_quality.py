"""What is said of predictions, and what speaks against them."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from prediction_builders import N_UNITS, chain_model, exactly, measure

from coordinator.config import parse_cluster
from coordinator.leaving_out import correct_each_by_others
from coordinator.prediction_quality import (
    distinct_plans,
    figure_doubts,
    health_doubts,
    prediction_quality,
    shared_machines,
    unshared_media,
)
from coordinator.recalibration import recalibrate
from coordinator.statistics import robust_variation

MODEL = chain_model()
PLACES = ((("a", 4), ("b", N_UNITS)), (("a", 6), ("b", N_UNITS)), (("a", N_UNITS),), (("b", N_UNITS),))


def world(factors, **how):
    plans = tuple(measure(MODEL, f"plan {i}", places, factors, **how) for i, places in enumerate(PLACES))
    return correct_each_by_others(MODEL, plans)


def test_every_plan_is_there_with_its_errors_before_and_after():
    plans = world({"a": 1.25, "b": 1.0})
    found = prediction_quality(plans, (), ())
    assert [one.label for one in found.plans] == [plan.label for plan in plans]
    assert found.plans[2].throughput == pytest.approx(0.25, rel=0.01)
    assert found.plans[2].corrected_throughput == pytest.approx(0.0, abs=1e-9)
    assert found.paced is None
    assert found.unpaced.throughput.before.worst == pytest.approx(0.25, rel=0.01)
    assert found.unpaced.throughput.after.mape == pytest.approx(0.0, abs=1e-9)
    stages = found.unpaced.stage_seconds
    assert (stages.before.n, stages.after.n) == (6, 6)
    assert stages.before.worst == pytest.approx(-0.2)
    assert stages.before.worst_name.startswith("plan 0: a[0:4]")
    assert (found.unpaced.latency_order.n, found.unpaced.latency_order.tau) == (4, 1.0)


def test_plans_with_a_paced_stage_stand_apart_and_their_stages_count_nowhere():
    plans = world({"b": 1.1}, paced=("a",))
    found = prediction_quality(plans, recalibrate(MODEL, plans, "busy").factors, ())
    assert [one.is_paced for one in found.plans] == [True, True, True, False]
    assert (found.paced.latency.before.n, found.unpaced.latency.before.n) == (3, 1)
    assert found.paced.stage_seconds.before.n == 2  # those on b
    assert found.unpaced.stage_seconds.before.n == 1
    assert [one.device for one in found.devices] == ["b"]
    only_paced = prediction_quality(world({}, paced=("a", "b")), (), ())
    assert only_paced.unpaced is None
    assert only_paced.paced.stage_seconds is None


def test_a_measurement_that_stands_twice_counts_once_and_equal_labels_lose_no_plan():
    plans = world({"a": 1.3})
    chosen = replace(plans[2], label="chosen")
    found = prediction_quality((chosen, *plans), (), ())
    assert len(found.plans) == 5
    assert found.unpaced.latency.before.n == 4
    same_names = [replace(plan, label="x") for plan in plans]
    assert prediction_quality(same_names, (), ()).unpaced.latency.before.n == 4
    assert len(distinct_plans((chosen, *plans))) == 4


@pytest.mark.parametrize(("factor", "n_doubts"), [(1.0, 0), (1.08, 0), (1.3, 2), (0.7, 2)])
def test_an_error_of_the_chosen_plan_above_a_tenth_is_said(factor, n_doubts):
    plans = world({"a": factor, "b": factor})
    said = list(figure_doubts(plans, ()))
    assert len(said) == n_doubts
    for text, what in zip(said, ("latency", "throughput"), strict=False):
        assert f"The {what} of the chosen plan was predicted" in text
        assert "--profile live" in text
    if factor == 0.7:
        assert "% above what was measured" in said[0]
        assert "% below what was measured" in said[1]


def test_the_remedy_is_recalibration_only_where_that_would_have_helped():
    plan = world({"a": 1.5, "b": 1.5})[0]
    assert "--profile live" in next(figure_doubts((plan,), ()))
    still_wrong = replace(plan, corrected=plan.predicted)
    assert "do not explain it" in next(figure_doubts((still_wrong,), ()))
    assert "--profile live" in next(figure_doubts((replace(plan, corrected=None),), ()))


def test_a_noisy_stage_is_said_once_for_its_device_with_the_worst_plan():
    plans = world({})
    noisy = [
        replace(plan, stages=tuple(replace(s, variation=v) if s.device == "a" else s for s in plan.stages))
        for plan, v in zip(plans, (0.1, 0.4, 0.3, 0.0), strict=True)
    ]
    assert len(list(figure_doubts(noisy, ()))) == 1
    assert "'a' varied by 40 % in 'plan 1'" in next(figure_doubts(noisy, ()))


def test_an_emulated_device_that_cannot_keep_its_pace_is_said():
    plans = world({}, paced=("a",))
    assert not list(figure_doubts(plans, ()))
    late = [
        replace(
            plan,
            stages=tuple(
                replace(s, compute_median_seconds=exactly(s.predicted_compute_seconds * ratio)) for s in plan.stages
            ),
        )
        for plan, ratio in zip(plans, (1.02, 1.3, 1.1, 1.0), strict=True)
    ]
    (said,) = figure_doubts(late, ())
    assert said.startswith("The emulated device 'a' took 30 % longer than it was to in 'plan 1'")


def test_factors_that_are_not_believed_are_said():
    plans = world({"a": 9.0})
    said = list(figure_doubts(plans, recalibrate(MODEL, plans, "busy").factors))
    assert "Stages on 'a' took 9.00 to 9.00 ×" in said[-1]
    assert "more than is believed" in said[-1]


def test_what_nodes_say_before_and_after_is_told_with_the_time():
    said = list(health_doubts({"a": ("hot", "full"), "b": ()}, {"a": ("hot",), "b": ("slow",)}))
    assert [text.split(" the measurement")[0] for text in said] == [
        "Node 'a' said before and after", "Node 'a' said before", "Node 'b' said after"
    ]  # fmt: skip
    assert "hot" in said[0]
    assert not list(health_doubts({"a": ()}, {"a": ()}))


@pytest.mark.parametrize(
    ("slowdowns", "threads", "hosts", "is_shared"),
    [
        ((0, 0), (1, 1), ("h", "h"), False),
        ((0, 0), (1, 2), ("h", "h"), True),
        ((0, 0), (1, 2), ("h", "i"), False),
        ((0, 4), (1, 2), ("h", "h"), False),
    ],
)
def test_unpaced_nodes_that_share_too_few_cores_are_said(slowdowns, threads, hosts, is_shared):
    nodes = [
        SimpleNamespace(
            name=f"n{i}",
            is_paced=slowdown > 0,
            description=SimpleNamespace(
                n_threads=n_threads,
                n_cores=2,
                cores=(0, 1),
                cpu_limit=0.0,
                host_id=host,
                providers=("CPUExecutionProvider",),
            ),
        )
        for i, (slowdown, n_threads, host) in enumerate(zip(slowdowns, threads, hosts, strict=True))
    ]
    said = list(shared_machines(nodes))
    assert bool(said) == is_shared
    assert all("'n0', 'n1' share one machine and compute with 3 threads on 2 cores" in text for text in said)


def test_a_medium_whose_links_are_emulated_is_said_to_be_shared_in_predictions_only():
    nodes = [{"name": "a", "local": True}, {"name": "b", "local": True}]
    media = [{"name": "air", "nodes": ["a"]}, {"name": "line", "links": [{"from": "b", "to": "client"}]}]
    between = [{"from": "a", "to": "b", "rate": "5mbit"}]
    config = parse_cluster({"name": "k", "nodes": nodes, "media": media, "links": {"between": between}})
    (said,) = unshared_media(SimpleNamespace(config=config))
    assert "Medium 'air' is shared in predictions only" in said
    assert "2 of its 4 links" in said


def test_nothing_measured_is_no_error_of_zero():
    plan = replace(world({})[0], throughput_per_second=exactly(0.0))
    with pytest.raises(ValueError, match="leave it out"):
        prediction_quality((plan,), (), ())


def test_variation_is_the_coefficient_of_normal_samples_and_deaf_to_single_outliers():
    import numpy as np

    samples = np.random.default_rng(3).normal(10, 1.5, 4000)
    assert robust_variation(samples.tolist()) == pytest.approx(0.15, rel=0.05)
    disturbed = [*samples.tolist(), *[1000.0] * 40]
    assert robust_variation(disturbed) == pytest.approx(0.15, rel=0.06)
    assert np.std(disturbed) / np.mean(disturbed) > 4
    often = [*samples.tolist(), *[30.0] * 800]
    assert robust_variation(often) > 0.5


def test_a_measurement_with_its_quality_survives_the_disk_and_an_old_one_loads(tmp_path):
    from coordinator.measurement import Measurement, PlanMeasurement
    from partitioner.serialize import load_artefact, save_artefact

    plans = world({"a": 1.2}, noise=0.03)
    measurement = Measurement(
        **{name: getattr(plans[0], name) for name in PlanMeasurement.__dataclass_fields__},
        cost=MODEL.predict(plans[0].plan),
        front=plans[1:2],
        baselines=plans[2:],
        recommendation="",
        emulation={},
        environment={},
        prediction=prediction_quality(plans, recalibrate(MODEL, plans, "busy").factors, ("careful",)),
    )
    path = tmp_path / "measurement.json"
    save_artefact(path, measurement, schema="measurement", seed=1)
    assert load_artefact(path, Measurement, schema="measurement") == measurement
    old = json.loads(path.read_text())
    del old["prediction"]
    for plan in (old, *old["front"], *old["baselines"]):
        del plan["corrected"]
        for stage in plan["stages"]:
            for name in ("compute_median_seconds", "unloaded_compute_seconds", "corrected_compute_seconds",
                         "variation", "is_paced"):  # fmt: skip
                del stage[name]
    path.write_text(json.dumps(old))
    loaded = load_artefact(path, Measurement, schema="measurement")
    assert loaded.prediction is None
    assert loaded.stages[0].compute_median_seconds is None
