"""Quantised models are cut between integers, and the shards give the very numbers of the whole."""

import logging
from itertools import combinations
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_toy_graphs import chain, node, residual_network, save, value, weight

from partitioner.onnx_io import Model, cut_plan, load_model, verify_shards


def quantised(folder: Path, style: str, *, per_channel: bool) -> Model:
    """The residual network, calibrated on noise."""
    from onnxruntime import quantization

    class Noise(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._left = [np.random.default_rng(seed).standard_normal((1, 3, 8, 8)) for seed in range(8)]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return {"x": self._left.pop().astype(np.float32)} if self._left else None

    logging.getLogger().setLevel(logging.ERROR)
    quantization.quantize_static(
        residual_network(folder / "float.onnx"),
        str(folder / "quantised.onnx"),
        Noise(),
        quant_format=quantization.QuantFormat[style],
        per_channel=per_channel,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    return load_model(str(folder / "quantised.onnx"), batch=2, cache_dir=folder / "cache")


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("style", ["QDQ", "QOperator"])
def test_statically_quantised_network_is_equal_at_every_cut(tmp_path, style, per_channel):
    model = quantised(tmp_path, style, per_channel=per_channel)
    graph = model.graph
    assert graph.n_units >= 10
    for point in graph.split_points:
        assert {graph.spec_of[name].dtype for name in point.boundary} == {"uint8"}, point
    inputs = model.sample_inputs(7)
    positions = range(1, graph.n_units)
    for cuts in [*combinations(positions, 1), *combinations(positions, 2), tuple(positions)]:
        assert verify_shards(model, cut_plan(model, cuts), inputs) == 0
    assert model.run_whole(inputs)["y"].std() > 1


def test_dynamically_quantised_network_is_equal_at_every_cut(tmp_path):
    from onnxruntime import quantization

    quantization.quantize_dynamic(chain(tmp_path / "float.onnx"), str(tmp_path / "quantised.onnx"))
    model = load_model(str(tmp_path / "quantised.onnx"), batch=2, cache_dir=tmp_path / "cache")
    assert {layer.op for layer in model.graph.layers} >= {"DynamicQuantizeLinear", "MatMulInteger"}
    for position in range(1, model.graph.n_units):
        assert verify_shards(model, cut_plan(model, [position]), model.sample_inputs(7)) == 0


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("has_bias", [False, True])
def test_network_with_quantised_weights_alone_is_equal_at_every_cut(load, tmp_path, bits, has_bias):
    kind, most = {4: (TensorProto.INT4, 7), 8: (TensorProto.INT8, 127)}[bits]
    draws = np.random.default_rng(0)
    nodes, tensors, current = [], [helper.make_tensor("s", TensorProto.FLOAT, [], [0.3 / most])], "x"
    for block in range(3):
        values = draws.integers(-most, most, (64, 64)).astype(helper.tensor_dtype_to_np_dtype(kind))
        tensors += [numpy_helper.from_array(values, f"w{block}"), weight(f"b{block}", 64)]
        nodes += [
            node("DequantizeLinear", f"w{block} s", f"f{block}"),
            node("MatMul", f"{current} f{block}", f"m{block}"),
        ]
        if has_bias:
            nodes.append(node("Add", f"m{block} b{block}", f"a{block}"))
        nodes.append(node("Relu", nodes[-1].output[0], f"r{block}"))
        current = f"r{block}"
    model = load(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 64])], [value(current, None)], tensors, opset=21))
    positions = range(1, model.graph.n_units)
    assert len(positions) >= 2
    for cuts in [*([position] for position in positions), list(positions)]:
        assert verify_shards(model, cut_plan(model, cuts), model.sample_inputs(7)) <= 1e-5


def test_each_reader_of_a_dequantised_tensor_has_its_own(load, tmp_path):
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.05])
    zero = helper.make_tensor("z", TensorProto.UINT8, [], [128])
    nodes = [
        node("QuantizeLinear", "x s z", "q"),
        node("DequantizeLinear", "q s z", "d"),
        node("Tanh", "d", "a"),
        node("Sigmoid", "d", "b"),
        node("Add", "a b", "y"),
    ]
    path = save(
        tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None), value("d", None)], [scale, zero]
    )
    model = load(path)
    assert [layer.op for layer in model.graph.layers].count("DequantizeLinear") == 3, "two readers and the client"
    for position in range(1, model.graph.n_units):
        assert verify_shards(model, cut_plan(model, [position]), model.sample_inputs(0)) <= 1e-5


@pytest.mark.parametrize("is_external", [False, True])
def test_weights_of_four_bits_are_blobs(load, tmp_path, is_external):
    packed = np.random.default_rng(0).integers(-8, 8, (64, 65)).astype(np.int8)
    weight = numpy_helper.from_array(packed.astype(helper.tensor_dtype_to_np_dtype(TensorProto.INT4)), "w")
    assert weight.data_type == TensorProto.INT4
    nodes = [
        node("DequantizeLinear", "w s", "f"),
        node("MatMul", "x f", "h"),
        node("Tanh", "h", "t"),
        node("Abs", "t", "y"),
    ]
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.05])
    model = helper.make_model(
        helper.make_graph(nodes, "toy", [value("x", ["N", 64])], [value("y", None)], [weight, scale]),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    )
    onnx.save_model(
        model, tmp_path / "t.onnx", save_as_external_data=is_external, location="weights.bin", size_threshold=0
    )
    loaded = load(str(tmp_path / "t.onnx"), batch=3)
    (blob,) = loaded.whole_shard().blobs
    assert blob.n_bytes == 64 * 65 // 2
    for position in range(1, loaded.graph.n_units):
        shards = cut_plan(loaded, [position])
        assert verify_shards(loaded, shards, loaded.sample_inputs(0)) <= 1e-5
    assert loaded.cut(0, 1).blobs == (blob,)
