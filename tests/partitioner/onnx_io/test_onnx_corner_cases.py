"""Everything that ONNX permits and exporters rarely write."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_toy_graphs import node, save, value, weight

from partitioner.errors import UnsupportedModelError
from partitioner.onnx_io import cut_plan, verify_shards

INT64 = TensorProto.INT64
X = value("x", ["N", 16])


def check_every_cut(model, inputs=None):
    n_units = model.graph.n_units
    inputs = inputs or model.sample_inputs(3)
    for cuts in [*([position] for position in range(1, n_units)), list(range(1, n_units))]:
        assert verify_shards(model, cut_plan(model, cuts), inputs) <= 1e-5


def test_optional_inputs_that_are_left_out(load, tmp_path):
    nodes = [
        node("MatMul", "x w", "h"),
        helper.make_node("Clip", ["h", "", "most"], ["c"], name="clip"),
        helper.make_node("Unsqueeze", ["c", "zero"], ["u"], name="u"),
        helper.make_node("LSTM", ["u", "lw", "lr", "", "", "start"], ["", "last", ""], name="lstm", hidden_size=8),
        helper.make_node("Resize", ["last", "", "", "sizes"], ["r"], name="resize", mode="nearest"),
        node("Tanh", "r", "y"),
    ]
    tensors = [
        *(weight("w", 16, 16), weight("lw", 1, 32, 16), weight("lr", 1, 32, 8), weight("start", 1, 3, 8)),
        helper.make_tensor("most", 1, [], [0.5]),
        helper.make_tensor("zero", INT64, [1], [0]),
        helper.make_tensor("sizes", INT64, [3], [1, 3, 16]),
    ]
    model = load(save(tmp_path / "t.onnx", nodes, [X], [value("y", None)], tensors), batch=3)
    names = [name for layer in model.graph.layers for name in (*layer.inputs, *layer.outputs)]
    assert all(names)
    check_every_cut(model)


def test_tied_weights_are_one_blob_at_both_ends(load, tmp_path):
    nodes = [
        node("Gather", "table tokens", "e"),
        node("MatMul", "e w", "h"),
        node("Tanh", "h", "t"),
        node("Transpose", "table", "columns", perm=[1, 0]),
        node("MatMul", "t columns", "y"),
    ]
    tensors = [weight("table", 40, 16), weight("w", 16, 16)]
    model = load(save(tmp_path / "t.onnx", nodes, [value("tokens", ["N"], INT64)], [value("y", None)], tensors))
    first, last = model.cut(0, 1), model.cut(model.graph.n_units - 1, model.graph.n_units)
    assert first.blobs == last.blobs
    assert len(model.whole_shard().blobs) == 2
    check_every_cut(model)


def test_initializers_that_are_also_inputs_are_weights(load, tmp_path):
    nodes = [node("MatMul", "x w", "h"), node("Add", "h b", "t"), node("Tanh", "t", "y")]
    inputs = [value("w", [16, 16]), X, value("b", [16])]
    path = save(tmp_path / "t.onnx", nodes, inputs, [value("y", None)], [weight("w", 16, 16), weight("b", 16)])
    model = load(path, batch=2)
    assert model.graph.inputs == ("x",)
    assert set(model.sample_inputs(0)) == {"x"}
    check_every_cut(model)


def test_scalars_and_tensors_without_elements_travel(load, tmp_path):
    nodes = [
        node("MatMul", "x w", "h"),
        node("ReduceSum", "h", "total", keepdims=0),
        node("Mul", "total gain", "factor"),
        node("Slice", "h zero zero one", "nothing"),
        node("Tanh", "nothing", "still_nothing"),
        node("Concat", "still_nothing h", "joined", axis=1),
        node("Div", "joined factor", "y"),
    ]
    tensors = [
        *(weight("w", 16, 16), helper.make_tensor("gain", 1, [], [0.25])),
        *(helper.make_tensor("zero", INT64, [1], [0]), helper.make_tensor("one", INT64, [1], [1])),
    ]
    path = save(tmp_path / "t.onnx", nodes, [X], [value("y", None), value("nothing", None)], tensors)
    model = load(path, batch=2)
    assert model.graph.spec_of["total"].shape == ()
    assert model.graph.spec_of["nothing"].shape == (2, 0)
    assert model.graph.spec_of["nothing"].n_bytes == 0
    check_every_cut(model)


def test_outputs_that_nobody_reads_and_inputs_put_out_again(load, tmp_path):
    nodes = [
        helper.make_node("Split", ["x"], ["left", "ignored"], name="split", axis=1),
        helper.make_node("TopK", ["left", "k"], ["best", "places"], name="topk"),
        node("Tanh", "best", "y"),
        node("Neg", "left", "dead"),
    ]
    outputs = [value("y", None), value("x", ["N", 16]), value("bias", [4]), value("y2", None)]
    nodes.append(node("Identity", "y", "y2"))
    tensors = [weight("bias", 4), helper.make_tensor("k", INT64, [1], [4])]
    model = load(save(tmp_path / "t.onnx", nodes, [X], outputs, tensors), batch=2)
    assert "dead" not in {name for layer in model.graph.layers for name in layer.outputs}
    assert "ignored" not in {name for names in model.graph.boundaries for name in names}
    assert model.graph.outputs == ("y", "x", "bias", "y2")
    check_every_cut(model)


def test_operators_of_several_domains(load, tmp_path):
    nodes = [
        node("MatMul", "x w", "h"),
        helper.make_node("Gelu", ["h"], ["g"], name="gelu", domain="com.microsoft"),
        helper.make_node("SkipLayerNormalization", ["g3", "h3", "scale"], ["s3"], name="skip", domain="com.microsoft"),
        node("Tanh", "s3", "y"),
    ]
    nodes[2:2] = [node("Unsqueeze", "g zero", "g3"), node("Unsqueeze", "h zero", "h3")]
    tensors = [weight("w", 16, 16), weight("scale", 16), helper.make_tensor("zero", INT64, [1], [0])]
    path = save(tmp_path / "t.onnx", nodes, [X], [value("y", None)], tensors, domains=["com.microsoft"])
    model = load(path, batch=2)
    assert {layer.op for layer in model.graph.layers} >= {"com.microsoft.Gelu", "com.microsoft.SkipLayerNormalization"}
    check_every_cut(model)


def test_sparse_weights(load, tmp_path):
    values = numpy_helper.from_array(np.array([1.5, -2.0, 0.5], np.float32), "sparse")
    places = numpy_helper.from_array(np.array([3, 40, 200], np.int64), "places")
    nodes = [node("MatMul", "x sparse", "h"), node("Tanh", "h", "t"), node("MatMul", "t sparse", "y")]
    path = save(tmp_path / "t.onnx", nodes, [X], [value("y", None)])
    proto = onnx.load(path)
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [16, 16]))
    onnx.save(proto, path)
    check_every_cut(load(path))


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_other_floating_point_types(load, tmp_path, kind):
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    matrix = numpy_helper.from_array(numpy_helper.to_array(weight("w", 32, 32)).astype(dtype), "w")
    nodes = [node("MatMul", "x w", "h"), node("Relu", "h", "t"), node("MatMul", "t w", "y")]
    path = save(tmp_path / "t.onnx", nodes, [value("x", ["N", 32], kind)], [value("y", None, kind)], [matrix])
    check_every_cut(load(path, batch=2))


@pytest.mark.parametrize("kind", ["BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E5M2", "INT4", "UINT4"])
def test_small_constants_of_types_that_numpy_lacks_stay_nodes(load, tmp_path, kind):
    nodes = [
        node("Cast", "bias", "few_bits", to=TensorProto.DataType.Value(kind)),
        node("Cast", "few_bits", "rounded", to=TensorProto.FLOAT),
        node("MatMul", "x w", "h"),
        node("Tanh", "h", "t"),
        node("Add", "t rounded", "y"),
    ]
    bias = numpy_helper.from_array(np.arange(16, dtype=np.float32) / 2, "bias")
    model = load(save(tmp_path / "t.onnx", nodes, [X], [value("y", None)], [weight("w", 16, 16), bias], opset=21))
    assert [layer.op for layer in model.graph.layers] == ["MatMul", "Tanh", "Add"]
    check_every_cut(model)


def test_what_numpy_lacks_never_crosses_a_split_point(load, tmp_path):
    nodes = [
        node("MatMul", "x w", "h"),
        node("Cast", "h", "brief", to=TensorProto.BFLOAT16),
        node("Cast", "brief", "long", to=TensorProto.FLOAT),
        node("Tanh", "long", "y"),
    ]
    model = load(save(tmp_path / "t.onnx", nodes, [X], [value("y", None)], [weight("w", 16, 16)]))
    assert not any("brief" in names for names in model.graph.boundaries)
    check_every_cut(model)
    ends = [value("brief", None, TensorProto.BFLOAT16)]
    with pytest.raises(UnsupportedModelError, match="'brief' has an element type that cannot travel"):
        load(save(tmp_path / "u.onnx", nodes, [X], ends, [weight("w", 16, 16)]))
