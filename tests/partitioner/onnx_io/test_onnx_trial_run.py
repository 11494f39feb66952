"""A graph that is tried out piece by piece gives the very values that it gives in one piece."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from onnx_toy_graphs import conditional_network, node, residual_network, save, value, weight

from partitioner.errors import UnsupportedModelError
from partitioner.onnx_io.node_reads import writes_of
from partitioner.onnx_io.reader import read_model
from partitioner.onnx_io.sample import sample_inputs
from partitioner.onnx_io.trial_run import trial_values


def opened(path: str, batch: int = 2):
    """The model of a file, its free dimensions bound, and the names of all that its nodes make."""
    source = read_model(Path(path), name="toy")
    for item in source.proto.graph.input:
        for dimension in item.type.tensor_type.shape.dim:
            dimension.dim_value = dimension.dim_value or batch
    return source, [name for inner in source.proto.graph.node for name in writes_of(inner)]


@pytest.mark.parametrize("is_external", [False, True])
@pytest.mark.parametrize("build", [residual_network, conditional_network])
def test_pieces_of_one_weight_each_give_the_values_of_the_whole(tmp_path, build, is_external):
    path = build(tmp_path / "t.onnx")
    if is_external:
        onnx.save_model(onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    source, names = opened(path)
    samples = [sample_inputs(source.proto.graph, seed) for seed in (0, 1)]
    options = {"what": "toy", "store": source.store, "samples": samples, "names": names}
    whole = dict(trial_values(source.proto, **options))
    pieces = dict(trial_values(source.proto, **options, most_bytes=1))
    assert list(pieces) == names
    for name in names:
        for one, other in zip(whole[name], pieces[name], strict=True):
            np.testing.assert_array_equal(one, other)
    reference = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = reference.run(["y"], samples[1])
    np.testing.assert_allclose(pieces["y"][1], expected, rtol=1e-4, atol=1e-5)


def test_only_what_is_asked_for_is_run(tmp_path):
    nodes = [node("MatMul", "x w", "h"), node("Reshape", "h impossible", "dead"), node("Tanh", "h", "y")]
    tensors = [weight("w", 16, 16), helper.make_tensor("impossible", TensorProto.INT64, [1], [7])]
    source, _ = opened(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)], tensors))
    samples = [sample_inputs(source.proto.graph, 0)]
    options = {"store": source.store, "samples": samples, "what": "toy"}
    ((name, (obtained,)),) = trial_values(source.proto, ["h"], **options)
    assert (name, obtained.shape) == ("h", (2, 16))
    with pytest.raises(UnsupportedModelError, match="toy"):
        list(trial_values(source.proto, ["dead"], **options))


def test_sequences_cross_from_piece_to_piece(tmp_path):
    nodes = [
        node("MatMul", "x w", "h"),
        node("SplitToSequence", "h", "parts", axis=1, keepdims=1),
        node("MatMul", "x v", "g"),
        node("ConcatFromSequence", "parts", "joined", axis=1),
        node("Add", "joined g", "y"),
    ]
    tensors = [weight("w", 16, 16), weight("v", 16, 16)]
    source, names = opened(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)], tensors))
    samples = [sample_inputs(source.proto.graph, 0)]
    proto = onnx.shape_inference.infer_shapes(source.proto)
    options = {"store": source.store, "samples": samples, "what": "toy", "most_bytes": 1}
    values = dict(trial_values(proto, ["y"], **options))
    x = samples[0]["x"]
    wanted = x @ onnx.numpy_helper.to_array(tensors[0]) + x @ onnx.numpy_helper.to_array(tensors[1])
    np.testing.assert_allclose(values["y"][0], wanted, rtol=1e-4, atol=1e-5)
    assert "parts" in names
    with pytest.raises(UnsupportedModelError, match="'parts' is no tensor"):
        list(trial_values(source.proto, ["y"], **options))


def test_what_numpy_lacks_between_pieces_is_told_in_a_line(tmp_path):
    nodes = [
        node("MatMul", "x w", "h"),
        node("Cast", "h", "brief", to=TensorProto.BFLOAT16),
        node("MatMul", "x v", "g"),
        node("Cast", "brief", "long", to=TensorProto.FLOAT),
        node("Add", "long g", "y"),
    ]
    tensors = [weight("w", 16, 16), weight("v", 16, 16)]
    source, _ = opened(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)], tensors))
    options = {"store": source.store, "samples": [sample_inputs(source.proto.graph, 0)], "what": "toy"}
    assert dict(trial_values(source.proto, ["y"], **options))["y"][0].shape == (2, 16)
    with pytest.raises(UnsupportedModelError, match=r"toy: .*No corresponding Numpy type") as caught:
        list(trial_values(source.proto, ["y"], **options, most_bytes=1))
    assert "\n" not in str(caught.value)
