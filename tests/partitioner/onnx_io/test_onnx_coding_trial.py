"""Errors of coded boundaries against the same computed by hand: NumPy codes, onnxruntime runs graphs cut by onnx."""

import math
from itertools import combinations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from onnx_toy_graphs import branched_network, node, residual_network, save, value, weight

from partitioner.equality import l2_error
from partitioner.errors import ModelError, PlanError
from partitioner.onnx_io import measure_codings

LEVELS = 15


def through_half(values):
    return values.astype(np.float16).astype(values.dtype), 2 * values.size


def through_levels(values):
    """Few levels between the extremes: errors that no rounding of float32 can hide or stand in for."""
    low, step = values.min(), (values.max() - values.min()) / LEVELS
    return (low + np.round((values - low) / step) * step).astype(values.dtype), values.size // 2


def unchanged(values):
    return values.copy(), values.nbytes + 16


def broken(values):
    return np.full_like(values, np.nan), 1


ROUND_TRIPS = {"half": through_half, "levels": through_levels, "same": unchanged, "broken": broken}


def transformer_block(path):
    """Single-head attention and a feed-forward part, each normalised and with a skip around it."""
    width = 16
    shapes = {"wq": (16, 16), "wk": (16, 16), "wv": (16, 16), "wo": (16, 16), "up": (16, 64), "down": (64, 16)}
    norms = [helper.make_tensor("one", TensorProto.FLOAT, [width], [1.0] * width)]
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [width**-0.5])
    nodes = [
        node("LayerNormalization", "x one", "n1"),
        *(node("MatMul", f"n1 w{letter}", letter) for letter in "qkv"),
        node("Transpose", "k", "kt", perm=[0, 2, 1]),
        node("MatMul", "q kt", "scores"),
        node("Mul", "scores scale", "scaled"),
        node("Softmax", "scaled", "weights", axis=-1),
        node("MatMul", "weights v", "mixed"),
        node("MatMul", "mixed wo", "attended"),
        node("Add", "attended x", "h"),
        node("LayerNormalization", "h one", "n2"),
        node("MatMul", "n2 up", "u"),
        node("Relu", "u", "r"),
        node("MatMul", "r down", "d"),
        node("Add", "d h", "y"),
    ]
    tensors = [*(weight(name, *shape) for name, shape in shapes.items()), *norms, scale]
    return save(path, nodes, [value("x", ["N", 12, width])], [value("y", None)], tensors)


@pytest.fixture(params=[residual_network, transformer_block, branched_network], ids=lambda build: build.__name__)
def case(request, load, tmp_path):
    path = request.param(tmp_path / "t.onnx")
    return path, load(path, batch=2)


class Reference:
    """The model's file, run by onnxruntime with some tensors replaced on their way to whoever reads them later."""

    def __init__(self, path, graph):
        self._proto = onnx.shape_inference.infer_shapes(onnx.load(path))
        self._graph = graph

    def run(self, sample, coded):
        """Outputs when what is alive at each position of `coded` goes through its function."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        values = dict(sample)
        del proto.graph.value_info[:]
        del proto.graph.output[:]
        names = [name for unit_node in proto.graph.node for name in unit_node.output]
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        for stop in [*sorted(coded), self._graph.n_units]:
            values |= self._computed(proto, values)
            if stop in coded:
                values = {name: coded[stop](values[name])[0] for name in self._graph.boundaries[stop]}
                self._behind(proto, set(values))
        return {name: values[name] for name in self._graph.outputs}

    def _computed(self, proto, values):
        session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        wanted = {one.name: values[one.name] for one in session.get_inputs()}
        return dict(zip(names, session.run(names, wanted), strict=True))

    def _behind(self, proto, alive):
        """Leaves the nodes that are needed when `alive` is all there is."""
        needed, kept = set(self._graph.outputs) - alive, []
        for unit_node in reversed(proto.graph.node):
            if needed & set(unit_node.output):
                kept.insert(0, unit_node)
                needed = (needed | set(unit_node.input)) - set(unit_node.output) - alive
        kept_names = {name for unit_node in kept for name in unit_node.output}
        infos = {info.name: info for info in (*self._proto.graph.value_info, *self._proto.graph.input)}
        infos |= {info.name: info for info in self._proto.graph.output}
        del proto.graph.node[:], proto.graph.input[:], proto.graph.output[:]
        proto.graph.node.extend(kept)
        read = {name for unit_node in kept for name in unit_node.input}
        proto.graph.input.extend(infos[name] for name in sorted(alive & read))
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(kept_names))


def worst_error(obtained, expected):
    return max(
        float(np.linalg.norm((obtained[name] - values).astype(np.float64)) / np.linalg.norm(values.astype(np.float64)))
        for name, values in expected.items()
    )


def test_errors_are_those_of_a_direct_computation(case):
    path, model = case
    samples = [model.sample_inputs(seed) for seed in range(2)]
    codings = {coding.codec: coding for coding in measure_codings(model, ROUND_TRIPS, samples=samples)}
    reference = Reference(path, model.graph)
    for name in ("half", "levels"):
        expected = [
            max(
                worst_error(reference.run(sample, {position: ROUND_TRIPS[name]}), model.run_whole(sample))
                for sample in samples
            )
            for position in range(model.graph.n_units)
        ]
        assert min(expected) > 1e-6
        # Rounding inside the model differs with how onnxruntime fuses it, hence the absolute part.
        assert codings[name].output_errors[:-1] == pytest.approx(expected, rel=0.02, abs=3e-6)


def test_bytes_are_those_that_travel_and_equal_arrays_have_no_error(case):
    _, model = case
    codings = {coding.codec: coding for coding in measure_codings(model, ROUND_TRIPS, samples=[model.sample_inputs(0)])}
    raw = [model.graph.boundary_bytes(position) for position in range(model.graph.n_units + 1)]
    n_tensors = list(map(len, model.graph.boundaries))
    assert list(codings["half"].wire_bytes) == [n_bytes // 2 for n_bytes in raw]
    assert list(codings["same"].wire_bytes) == [n_bytes + 16 * n for n_bytes, n in zip(raw, n_tensors, strict=True)]
    assert set(codings["same"].output_errors) == {0.0}
    assert set(codings["broken"].output_errors) == {math.inf}
    assert codings["levels"].output_errors[-1] > codings["half"].output_errors[-1] > 0


def test_a_lossless_codec_that_loses_a_bit_is_found_out(load, tmp_path):
    model = load(residual_network(tmp_path / "t.onnx"))

    def slip(values):
        spoilt = values.copy()
        spoilt.flat[-1] += 0.5
        return spoilt, values.nbytes

    (coding,) = measure_codings(model, {"zstd": slip}, samples=[model.sample_inputs(0)])
    assert min(coding.output_errors) > 0


def test_positions_that_nobody_asked_for_are_infinite_unless_nothing_changed(load, tmp_path):
    model = load(residual_network(tmp_path / "t.onnx"))
    n_units, told = model.graph.n_units, []
    trips = {"half": through_half, "same": unchanged}
    half, same = measure_codings(
        model, trips, samples=[model.sample_inputs(0)], positions=[2], on_progress=lambda *counts: told.append(counts)
    )
    assert [math.isfinite(error) for error in half.output_errors] == [at == 2 for at in range(n_units + 1)]
    assert set(same.output_errors) == {0.0}
    assert told == [(done, n_units + 1) for done in range(1, n_units + 2)]


def test_wrong_requests_are_refused(load, tmp_path):
    model = load(residual_network(tmp_path / "t.onnx"))
    sample = model.sample_inputs(0)
    with pytest.raises(PlanError, match=r"Positions \[-1, 99\] of 't' do not exist"):
        measure_codings(model, ROUND_TRIPS, samples=[sample], positions=[-1, 0, 99])
    with pytest.raises(PlanError, match="give one or more"):
        measure_codings(model, ROUND_TRIPS, samples=[])
    with pytest.raises(ModelError, match="wants input 'x'"):
        measure_codings(model, ROUND_TRIPS, samples=[{}])


def test_errors_of_two_boundaries_add_at_most_by_half_more(case):
    """What the search's sum over boundaries rests on."""
    path, model = case
    sample = model.sample_inputs(0)
    expected, reference = model.run_whole(sample), Reference(path, model.graph)
    for name in ("half", "levels"):
        (coding,) = measure_codings(model, {name: ROUND_TRIPS[name]}, samples=[sample])
        ratios = [
            worst_error(reference.run(sample, dict.fromkeys(pair, ROUND_TRIPS[name])), expected)
            / sum(coding.output_errors[position] for position in pair)
            for pair in combinations(range(1, model.graph.n_units), 2)
        ]
        assert max(ratios) <= 1.5


def test_l2_error_of_what_cannot_be_compared():
    ones = np.ones(4, np.float32)
    assert l2_error(ones * np.float32(1.5), ones) == pytest.approx(0.5)
    assert l2_error(np.array([3.0, 4.0]) * 1e300, np.array([3.0, 0.0]) * 1e300) == pytest.approx(4 / 3)
    assert l2_error(ones[:3], ones) == l2_error(ones, 0 * ones) == l2_error(ones.astype(np.float64), ones) == math.inf
    assert l2_error(0 * ones, 0 * ones) == 0
    holes = np.array([1.0, np.nan, np.inf, 2.0])
    assert l2_error(holes, holes) == 0
    assert l2_error(np.array([1.0, 1.0, np.inf, 2.0]), holes) == math.inf
    assert l2_error(np.array([np.inf, np.nan, np.inf, 2.0]), holes) == math.inf
    assert l2_error(np.array([1, 2, 3, 900]), np.array([1, 2, 3, 4])) == 0.25


def test_a_model_that_fails_on_what_a_codec_made_has_an_infinite_error(load, tmp_path):
    model = load(residual_network(tmp_path / "t.onnx"))

    def misshapen(values):
        return np.zeros((*values.shape, 2, 3), values.dtype), values.nbytes

    (coding,) = measure_codings(model, {"broken": misshapen}, samples=[model.sample_inputs(0)], positions=[1])
    assert coding.output_errors[1] == math.inf
