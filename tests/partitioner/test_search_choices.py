"""Codecs, replicas, objectives and bounds as part of the problem."""

from dataclasses import replace

import numpy as np
import pytest
from search_wide import ALL, wide_cost_model

from partitioner.errors import PlanError
from partitioner.plan import Stage
from partitioner.search.building import build_problem
from partitioner.search.encoding import decode, encode_plans, evaluate
from partitioner.search.exhaustive import every_plan
from partitioner.search.problem import BOTTLENECK, ERROR, LATENCY, MEMORY


def every(problem):
    plans = encode_plans(problem, list(every_plan(problem)))
    return plans.take(np.isfinite(evaluate(problem, plans)[:, 0]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("codecs", "max_replicas"), [((), 1), (("int8", "zstd"), 1), ((), 3), (("zstd", "int8"), 2)])
def test_objectives_are_those_of_the_cost_model_to_the_last_bit(seed, codecs, max_replicas):
    model = wide_cost_model(np.random.default_rng(seed), (0, 0, 1), 4)
    objectives = ALL if codecs else ALL[:-1]
    problem = build_problem(model, objectives=objectives, codecs=codecs, max_replicas=max_replicas)
    plans = every(problem)
    costs = [candidate.cost for candidate in decode(problem, plans)]
    figures = [[getattr(cost, name) for name in objectives] for cost in costs]
    np.testing.assert_array_equal(evaluate(problem, plans), figures)


def test_every_plan_with_codecs_is_there_once():
    model = wide_cost_model(np.random.default_rng(1), (0, 1), 3)
    plain, coded = build_problem(model), build_problem(model, codecs=("int8", "zstd"))
    described = [candidate.plan.describe() for candidate in decode(coded, every(coded))]
    assert len(set(described)) == len(described)
    assert {candidate.plan.describe() for candidate in decode(plain, every(plain))} < set(described)
    assert any("→int8→" in text for text in described)


def test_what_coding_takes_is_told_beside_the_stage():
    model = wide_cost_model(np.random.default_rng(1), (0, 1), 3)
    first, last = Stage(device="d0", start=0, stop=1, codec="int8"), Stage(device="d1", start=1, stop=3)
    plain, coded = (model.candidate((stage, last)).cost for stage in (replace(first, codec="none"), first))
    encoding, decoding = model.coding_seconds("d0", 1, "int8")[0], model.coding_seconds("d1", 1, "int8")[1]
    assert (coded.stages[0].decode_seconds, coded.stages[0].encode_seconds) == (0.0, encoding)
    assert (coded.stages[1].decode_seconds, coded.stages[1].encode_seconds) == (decoding, 0.0)
    assert [stage.coding_seconds for stage in plain.stages] == [0.0, 0.0]
    assert coded.stages[0].seconds == pytest.approx(plain.stages[0].seconds + encoding)
    assert coded.stages[1].busy_seconds == pytest.approx(plain.stages[1].busy_seconds + decoding)


def test_a_codec_that_another_outdoes_everywhere_is_left_out():
    model = wide_cost_model(np.random.default_rng(1), (0, 1), 3)
    zstd = model.codecs.coding_of["zstd"]
    useless = replace(zstd, wire_bytes=tuple(10 * size for size in zstd.wire_bytes))
    table = replace(model.codecs, codings=(model.codecs.coding_of["int8"], useless))
    problem = build_problem(replace(model, codecs=table), codecs=("int8", "zstd"))
    assert "zstd" not in problem.gate_codecs
    assert problem.gate_codecs.count("int8") == model.graph.n_units - 1


def test_crews_are_of_identical_devices_only():
    model = wide_cost_model(np.random.default_rng(2), (0, 1, 0, 0, 2), 3)
    problem = build_problem(model, max_replicas=3)
    assert problem.device_names[5:] == ("d0+d2", "d2+d3", "d0+d2+d3")
    assert build_problem(model, max_replicas=2).device_names[5:] == ("d0+d2", "d2+d3")
    assert build_problem(model, pinned_first="d2", max_replicas=3).device_names[5:] == ("d0+d3",)


def test_two_replicas_halve_the_bottleneck_and_keep_the_latency():
    model = wide_cost_model(np.random.default_rng(3), (0, 0), 3)
    problem = build_problem(model, max_replicas=2)
    alone, together = evaluate(problem, encode_plans(problem, [[(0, 3)], [(2, 3)]]))
    assert together[0] == alone[0]
    assert together[1] == pytest.approx(alone[1] / 2)


@pytest.mark.parametrize("name", ALL)
def test_a_bound_keeps_what_is_within(name):
    model = wide_cost_model(np.random.default_rng(4), (0, 1, 1), 4)
    free = build_problem(model, objectives=ALL, codecs=("int8",), max_replicas=2)
    plans = every(free)
    figures = evaluate(free, plans)[:, ALL.index(name)]
    most = float(np.quantile(figures, 0.4))
    bounded = build_problem(model, codecs=("int8",), max_replicas=2, bounds={name: most})
    np.testing.assert_array_equal(np.isfinite(evaluate(bounded, plans)[:, 0]), figures <= most)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"objectives": ("latency_seconds", "beauty")}, "'beauty' cannot be searched"),
        ({"objectives": ("latency_seconds",)}, "two or more different objectives"),
        ({"bounds": {LATENCY: -1.0}}, "latency_seconds <= -1.0 cannot be kept"),
        ({"codecs": ("gzip",)}, r"gzip were not measured \(measured are: int8, zstd\)"),
        ({"objectives": (LATENCY, ERROR)}, "output error 0"),
        ({"max_replicas": 0}, "max_replicas is 0"),
    ],
)
def test_wishes_that_cannot_be_met(wishes, message):
    with pytest.raises(PlanError, match=message):
        build_problem(wide_cost_model(np.random.default_rng(0), (0, 1), 3), **wishes)


def test_energy_wants_the_power_of_all():
    model = wide_cost_model(np.random.default_rng(0), (0, 1), 3)
    devices = (model.cluster.devices[0], replace(model.cluster.devices[1], active_watts=None))
    silent = replace(model, cluster=replace(model.cluster, devices=devices))
    with pytest.raises(PlanError, match="d1 name no active_watts"):
        build_problem(silent, objectives=(LATENCY, "energy_joules"))


def test_peaks_and_sums_are_told_apart():
    problem = build_problem(wide_cost_model(np.random.default_rng(0), (0, 1), 3), objectives=ALL, codecs=("int8",))
    assert [quantity.name for quantity in problem.quantities if quantity.is_peak] == [BOTTLENECK, MEMORY]
