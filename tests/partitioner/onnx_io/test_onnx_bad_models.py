"""Models that cannot be used get an error of one line that names the node or the tensor."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_toy_graphs import FLOAT, chain, node, save, value, weight

from partitioner.errors import ModelError, ModelFileError, UnsupportedModelError

X, Y = value("x", ["N", 16]), value("y", None)


def refusal(load, path, kind=ModelError, *, names_model=True, **options):
    with pytest.raises(kind) as caught:
        load(str(path), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    assert not names_model or Path(path).stem in message
    return message


def test_cycle_is_named_node_by_node(load, tmp_path):
    nodes = [
        node("Tanh", "x", "t"),
        node("Add", "t c", "a"),
        node("Abs", "a", "b"),
        node("Neg", "b", "c"),
        node("Tanh", "c", "y"),
    ]
    message = refusal(load, save(tmp_path / "round.onnx", nodes, [X], [Y]), UnsupportedModelError)
    assert "cycle" in message
    assert all(name in message for name in ("'n_a'", "'n_b'", "'n_c'"))
    assert "'n_y'" not in message, "what only waits for the cycle is not part of it"


def test_dangling_input_is_named_with_its_node(load, tmp_path):
    nodes = [node("Tanh", "x", "t"), node("Add", "t ghost", "a"), node("Tanh", "a", "y")]
    message = refusal(load, save(tmp_path / "open.onnx", nodes, [X], [Y]), UnsupportedModelError)
    assert "'n_a'" in message
    assert "'ghost'" in message


def test_dangling_capture_of_a_body_is_named(load, tmp_path):
    then = helper.make_graph([node("Add", "x ghost", "a")], "then", [], [value("a", None)])
    other = helper.make_graph([node("Neg", "x", "b")], "else", [], [value("b", None)])
    branch = helper.make_node("If", ["flag"], ["y"], name="branch", then_branch=then, else_branch=other)
    path = save(tmp_path / "open.onnx", [branch], [X, value("flag", [], TensorProto.BOOL)], [Y])
    message = refusal(load, path, UnsupportedModelError)
    assert "'branch'" in message
    assert "'ghost'" in message


def test_output_that_nobody_makes_is_named(load, tmp_path):
    path = save(tmp_path / "open.onnx", [node("Tanh", "x", "y")], [X], [Y, value("ghost", None)])
    assert "output 'ghost'" in refusal(load, path, UnsupportedModelError)


def test_tensor_that_is_made_twice_is_named(load, tmp_path):
    nodes = [node("Tanh", "x", "t"), helper.make_node("Abs", ["x"], ["t"], name="again"), node("Neg", "t", "y")]
    message = refusal(load, save(tmp_path / "twice.onnx", nodes, [X], [Y]), UnsupportedModelError)
    assert "'t'" in message
    assert "'again'" in message
    nodes = [node("Tanh", "x", "w"), node("Neg", "w", "y")]
    message = refusal(load, save(tmp_path / "twice.onnx", nodes, [X], [Y], [weight("w", 4)]), UnsupportedModelError)
    assert "'w'" in message
    assert "'n_w'" in message
    nodes = [node("MatMul", "x w", "y")]
    tensors = [weight("w", 16, 16), weight("w", 16, 16, seed=1)]
    assert "'w'" in refusal(load, save(tmp_path / "twice.onnx", nodes, [X], [Y], tensors), UnsupportedModelError)


def test_dimension_that_matters_is_asked_for(load, tmp_path):
    path = save(tmp_path / "free.onnx", [node("Tanh", "x", "y")], [value("x", ["N", "width"])], [Y])
    message = refusal(load, path)
    assert "width" in message
    assert "--dim width=64" in message
    path = save(tmp_path / "free.onnx", [node("Tanh", "x", "y")], [value("x", None)], [Y])
    assert "input 'x' has no rank" in refusal(load, path, UnsupportedModelError)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, ["N", 16])), "sequence"),
        (helper.make_optional_type_proto(helper.make_tensor_type_proto(FLOAT, ["N", 16])), "optional"),
        (helper.make_sparse_tensor_type_proto(FLOAT, ["N", 16]), "sparse"),
        (helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(FLOAT, ["N", 16])), "map"),
    ],
)
def test_inputs_and_outputs_that_are_no_tensors_are_named(load, tmp_path, kind, word):
    path = save(tmp_path / "odd.onnx", [node("Identity", "x", "y")], [helper.make_value_info("x", kind)], [Y])
    message = refusal(load, path, UnsupportedModelError)
    assert "'x'" in message
    assert word in message


def test_output_that_is_a_sequence_is_named(load, tmp_path):
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, ["N", 16]))
    nodes = [node("Tanh", "x", "t"), node("SequenceConstruct", "t x", "y")]
    path = save(tmp_path / "odd.onnx", nodes, [X], [helper.make_value_info("y", kind)])
    assert "'y'" in refusal(load, path, UnsupportedModelError)


def test_strings_at_the_ends_are_named(load, tmp_path):
    nodes = [node("StringNormalizer", "x", "y")]
    path = save(tmp_path / "odd.onnx", nodes, [value("x", [3], TensorProto.STRING)], [value("y", None, 8)])
    assert "'x'" in refusal(load, path, UnsupportedModelError, batch=3)


def external_model(folder: Path, **entries: str) -> Path:
    """A model whose first weight has other entries for its place."""
    path = Path(chain(folder / "outside.onnx", external=True))
    proto = onnx.load(path, load_external_data=False)
    tensor = proto.graph.initializer[0]
    kept = {entry.key: entry.value for entry in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, entry in kept.items():
        tensor.external_data.add(key=key, value=entry)
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"location": "../weights.bin"}, "outside the model's folder"),
        ({"location": "/etc/hostname"}, "outside the model's folder"),
        ({"location": ""}, "no file"),
        ({"location": "absent.bin"}, "missing"),
        ({"length": "4095"}, "4096"),
        ({"length": "8192"}, "4096"),
        ({"offset": "99999999"}, "cut off"),
        ({"offset": "-4"}, "offset"),
        ({"offset": "four"}, "offset"),
        ({"length": "many"}, "length"),
    ],
)
def test_external_data_in_a_wrong_place_is_refused(load, tmp_path, entries, words):
    message = refusal(load, external_model(tmp_path, **entries), ModelFileError, names_model=False)
    assert words in message
    assert "'w0'" in message


def test_weight_of_a_wrong_length_is_named(load, tmp_path):
    tensor = numpy_helper.from_array(np.zeros((16, 16), np.float32), "w")
    tensor.raw_data = tensor.raw_data[:-4]
    path = save(tmp_path / "short.onnx", [node("MatMul", "x w", "y")], [X], [Y], [tensor])
    message = refusal(load, path, ModelFileError, names_model=False)
    assert "'w'" in message
    assert "1024" in message
    tensor = TensorProto(name="typed", data_type=FLOAT, dims=[16, 16], float_data=[1.0] * 255)
    path = save(tmp_path / "short.onnx", [node("MatMul", "x typed", "y")], [X], [Y], [tensor])
    assert "'typed'" in refusal(load, path, ModelFileError, names_model=False)


def test_shape_that_cannot_be_is_named_with_its_node(load, tmp_path):
    nodes = [node("Tanh", "x", "t"), node("MatMul", "t w", "y")]
    path = save(tmp_path / "shapes.onnx", nodes, [X], [Y], [weight("w", 17, 16)])
    assert "n_y" in refusal(load, path, UnsupportedModelError)
