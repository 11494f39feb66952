"""Arrays that a user gives bind the free dimensions, and are what every run takes."""

import numpy as np
import pytest
from onnx import TensorProto
from onnx_toy_graphs import branched_network, node, save, value, weight

from partitioner.errors import ModelError, ModelFileError, UnsupportedModelError
from partitioner.onnx_io import cut_plan, inputs_digest, read_inputs, verify_shards

INT64 = TensorProto.INT64


def two_inputs(path):
    """tokens [N, seq] → table rows; mask [N, seq] marks those that count; image-like x [N, 16, width]."""
    nodes = [
        node("Gather", "table tokens", "e"),
        node("Unsqueeze", "mask last", "m"),
        node("Mul", "e m", "kept"),
        node("ReduceSum", "kept one", "summed", keepdims=1),
        node("MatMul", "summed x", "p"),
        node("Tanh", "p", "y"),
    ]
    inputs = [value("tokens", ["N", "seq"], INT64), value("mask", ["N", "seq"]), value("x", ["N", 16, "width"])]
    tensors = [weight("table", 40, 16), *(ints(name, [size]) for name, size in (("last", 2), ("one", 1)))]
    return save(path, nodes, inputs, [value("y", None)], tensors)


def ints(name, values):
    tensor = TensorProto(name=name, data_type=INT64, dims=[len(values)])
    tensor.int64_data.extend(values)
    return tensor


def arrays(batch=3, seq=5, width=7):
    generator = np.random.default_rng(4)
    return {
        "tokens": generator.integers(0, 40, (batch, seq)),
        "mask": np.ones((batch, seq), np.float32),
        "x": generator.standard_normal((batch, 16, width)).astype(np.float32),
    }


def test_sizes_and_samples_come_from_the_arrays(load, tmp_path):
    given = arrays()
    np.savez(tmp_path / "in.npz", **given)
    model = load(two_inputs(tmp_path / "t.onnx"), inputs=read_inputs(tmp_path / "in.npz"))
    assert model.graph.batch == 3
    assert {name: model.graph.spec_of[name].shape for name in ("tokens", "x", "y")} == {
        "tokens": (3, 5),
        "x": (3, 16, 7),
        "y": (3, 1, 7),
    }
    for seed in (0, 5):
        samples = model.sample_inputs(seed)
        assert samples.keys() == given.keys()
        assert all(np.array_equal(samples[name], given[name]) for name in given)
    assert inputs_digest(model.given_inputs) == inputs_digest(given)
    assert inputs_digest(given | {"mask": given["mask"] * 2}) != inputs_digest(given)
    for position in range(1, model.graph.n_units):
        assert verify_shards(model, cut_plan(model, [position]), model.sample_inputs(0)) <= 1e-5
    by_hand = load(two_inputs(tmp_path / "t.onnx"), batch=3, dims={"seq": 5, "width": 7})
    assert by_hand.graph == model.graph


def test_all_faults_stand_in_one_line(load, tmp_path):
    path = two_inputs(tmp_path / "toy.onnx")
    wrong = arrays()
    wrong["tokenz"] = wrong.pop("tokens")
    wrong["mask"] = wrong["mask"].astype(np.float64)
    wrong["x"] = wrong["x"][0]
    with pytest.raises(ModelError) as caught:
        load(path, inputs=wrong)
    message = str(caught.value)
    assert "\n" not in message
    for words in (
        "do not fit toy",
        "'tokenz' is no input (did you mean 'tokens'?)",
        "an array for input 'tokens' is missing",
        "'mask' is float64, the model wants float32",
        "'x' has shape [16, 7], the model wants [N, 16, width]",
    ):
        assert words in message, message


@pytest.mark.parametrize(
    ("changed", "options", "words"),
    [
        ({"mask": np.ones((3, 6), np.float32)}, {}, "axis 1 of 'mask' is 6, but 'seq' is 5 in 'tokens'"),
        ({"x": np.ones((3, 15, 7), np.float32)}, {}, "axis 1 of 'x' is 15, the model wants 16"),
        ({"x": np.ones((2, 16, 7), np.float32)}, {}, "axis 0 of 'x' is 2, but 'N' is 3 in 'tokens'"),
        ({"x": np.ones((3, 16, 0), np.float32)}, {}, "axis 2 of 'x' is 0, it must be at least 1"),
        ({}, {"batch": 4}, "'tokens' has 3 samples, but batch 4 was asked for"),
        ({}, {"dims": {"width": 8}}, "axis 2 of 'x' is 7, but was bound to 8"),
        ({}, {"dims": {"widht": 7}}, "did you mean 'width'"),
    ],
)
def test_sizes_that_do_not_fit_are_named(load, tmp_path, changed, options, words):
    with pytest.raises(ModelError) as caught:
        load(two_inputs(tmp_path / "t.onnx"), inputs=arrays() | changed, **options)
    assert words in str(caught.value)


def test_trials_run_on_what_was_given(load, tmp_path):
    """A shape that the values of an input decide: random ones, 0 or 1, would be refused."""
    nodes = [node("Tanh", "x", "t"), node("Reshape", "t target", "r"), node("Tanh", "r", "y")]
    inputs = [value("x", ["N", 16]), value("target", [1], INT64)]
    path = save(tmp_path / "t.onnx", nodes, inputs, [value("y", ["flat"])])
    with pytest.raises(UnsupportedModelError, match="t: "):
        load(path)
    given = {"x": np.ones((2, 16), np.float32), "target": np.array([32])}
    assert load(path, inputs=given).graph.spec_of["y"].shape == (32,)


def test_sizes_that_follow_given_values_still_vary(load, tmp_path):
    nodes = [node("Relu", "x", "r"), node("NonZero", "r", "y")]
    path = save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None, INT64)])
    given = {"x": np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)}
    with pytest.raises(UnsupportedModelError, match="'y' depends on the values"):
        load(path, inputs=given)


def test_an_input_that_was_bound_to_a_value_may_be_given_too(load, tmp_path):
    nodes = [node("Mul", "x factor", "y"), node("Tanh", "y", "z")]
    nodes.insert(0, node("Cast", "rate", "factor", to=TensorProto.FLOAT))
    path = save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16]), value("rate", [], INT64)], [value("z", None)])
    given = {"x": np.ones((2, 16), np.float32), "rate": np.array(3)}
    model = load(path, inputs=given, dims={"rate": 3})
    assert model.graph.inputs == ("x",)
    assert {*model.sample_inputs(0)} == {"x"}
    np.testing.assert_allclose(model.run_whole(model.sample_inputs(0))["z"], np.tanh(np.full((2, 16), 3.0)), rtol=1e-5)
    with pytest.raises(ModelError, match=r"'rate' is \[3\], but was bound to 4"):
        load(path, inputs=given, dims={"rate": 4})
    assert load(path, inputs=given).graph.inputs == ("x", "rate")


def test_inputs_that_nobody_reads_are_wanted_all_the_same(load, tmp_path):
    path = branched_network(tmp_path / "t.onnx")
    given = {name: np.ones((4, width), np.float32) for name, width in (("a", 16), ("unused", 3), ("b", 8))}
    model = load(path, inputs=given)
    assert verify_shards(model, cut_plan(model, [2]), model.sample_inputs(0)) <= 1e-5
    with pytest.raises(ModelError, match="input 'unused' is missing"):
        load(path, inputs={name: given[name] for name in ("a", "b")})


class Planted:
    """Would run code when it is made again."""

    def __reduce__(self):
        return (pytest.fail, ("code of the file ran",))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file of inputs"),
        (b"", "no .npz file"),
        (b"PK\x03\x04 not a zip after all", "no .npz file"),
        (b"just text", "no .npz file"),
        ("npy", "one array without a name"),
        ("objects", "'x'"),
        ("cut off", "npz"),
    ],
)
def test_files_that_are_no_arrays_by_name(tmp_path, content, words):
    path = tmp_path / "in.npz"
    if content == "npy":
        np.save(tmp_path / "in", np.ones(3))
        (tmp_path / "in.npy").rename(path)
    elif content == "objects":
        np.savez(path, x=np.array([Planted()], dtype=object))
    elif content == "cut off":
        np.savez(path, x=np.ones(1000))
        path.write_bytes(path.read_bytes()[:4000])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        read_inputs(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
