"""Loading: dimensions, shapes, and every way in which a model can be wrong."""

import gc
import os
import weakref
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_toy_graphs import branched_network, chain, node, save, value, weight

from partitioner.errors import ModelError, ModelFileError, UnknownModelError, UnsupportedModelError
from partitioner.onnx_io import cut_plan, load_model, verify_shards

FLOAT64 = TensorProto.DOUBLE


def test_free_first_dimension_is_the_batch_everywhere(load, tmp_path):
    graph = load(branched_network(tmp_path / "t.onnx"), batch=5).graph
    assert graph.batch == 5
    assert {spec.shape[0] for spec in graph.tensors} == {5}
    assert graph.spec_of["late"].n_bytes == 5 * 32 * 4


def test_other_free_dimensions_are_never_guessed(load, tmp_path):
    path = save(
        tmp_path / "t.onnx",
        [node("Relu", "x", "r"), node("GlobalAveragePool", "r", "y")],
        [value("x", ["N", 3, "height", None])],
        [value("y", None)],
    )
    with pytest.raises(
        ModelError, match=r"height \(axis 2 of input 'x'\), x\.3 \(axis 3.*bind each, as in --dim height=64$"
    ):
        load(path)
    with pytest.raises(ModelError, match=r"did you mean 'height'.*--dim height=64; --batch says the first"):
        load(path, dims={"hight": 4, "x.3": 4})
    with pytest.raises(ModelError, match="at least 1, not height=0"):
        load(path, dims={"height": 0, "x.3": 4})
    graph = load(path, dims={"height": 4, "x.3": 6}, batch=2).graph
    assert graph.spec_of["r"].shape == (2, 3, 4, 6)


def test_fixed_batch_must_be_the_one_asked_for(load, tmp_path):
    path = save(tmp_path / "t.onnx", [node("Tanh", "x", "y")], [value("x", [4, 8])], [value("y", None)])
    assert load(path, batch=4).graph.batch == 4
    for batch in (1, 2):
        with pytest.raises(
            ModelError, match=f"batch {batch} was asked for, but input 'x' is fixed to 4: pass --batch 4"
        ):
            load(path, batch=batch)


def test_named_first_dimension_is_not_the_batch(load, tmp_path):
    path = save(tmp_path / "t.onnx", [node("Tanh", "x", "y")], [value("x", ["tokens", 8])], [value("y", None)])
    assert load(path, dims={"tokens": 7}).graph.spec_of["y"].shape == (7, 8)
    with pytest.raises(ModelError, match=r"batch 2 was asked for, but tokens, .* bound to 7: leave --batch out"):
        load(path, dims={"tokens": 7}, batch=2)


@pytest.mark.parametrize("name", ["batch", "batch_size", "x.0"])
def test_bound_batch_must_be_the_one_asked_for(load, tmp_path, name):
    symbol = "batch" if "." in name else name
    path = save(tmp_path / "t.onnx", [node("Tanh", "x", "y")], [value("x", [symbol, 8])], [value("y", None)])
    assert load(path, dims={name: 3}, batch=3).graph.batch == 3
    for batch in (None, 1, 2):
        with pytest.raises(ModelError, match=rf"batch {batch or 1} was asked .* bound to 3: give --batch 3 instead"):
            load(path, dims={name: 3}, batch=batch)


def test_shapes_that_inference_cannot_see_come_from_a_run(load, tmp_path):
    # The target shape of the Reshape comes through a value that depends on the input only in form.
    nodes = [
        node("Tanh", "x", "t"),
        node("Mul", "sizes one", "target"),
        node("Reshape", "t target", "r"),
        node("Tanh", "r", "y"),
    ]
    sizes = helper.make_tensor("one", TensorProto.INT64, [2], [2, 8])
    inputs = [value("x", ["N", 16]), value("sizes", [2], TensorProto.INT64)]
    path = save(tmp_path / "t.onnx", nodes, inputs, [value("y", None)], [sizes])
    with pytest.raises(ModelError):
        load(path)  # sizes are 0 or 1 in a trial run, so that the shape follows the values
    scan = [
        node("Tanh", "x", "t"),
        node("NonZero", "t", "places"),
        node("Shape", "places", "shape"),
        node("Cast", "shape", "y", to=FLOAT64),
    ]
    model = load(save(tmp_path / "u.onnx", scan, [value("x", ["N", 16])], [value("y", None, FLOAT64)]))
    assert model.graph.spec_of["y"].shape == (2,)


def test_tensors_of_varying_size_never_cross_a_split_point(load, tmp_path):
    nodes = [
        node("Relu", "x", "r"),
        node("NonZero", "r", "places"),
        node("Cast", "places", "floats", to=TensorProto.FLOAT),
        node("ReduceSum", "floats", "y", keepdims=0),
        node("Tanh", "y", "z"),
    ]
    path = save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("z", None)])
    graph = load(path).graph
    crossing = {name for names in graph.boundaries for name in names}
    assert crossing.isdisjoint({"places", "floats"})
    cut_off = save(tmp_path / "u.onnx", nodes[:3], [value("x", ["N", 16])], [value("floats", None)])
    with pytest.raises(UnsupportedModelError, match="'floats' depends on the values"):
        load(cut_off)


BELOW = [node("Greater", "x hundred", "is_above"), node("Cast", "is_above", "ones", to=TensorProto.INT64)]
COUNTED = [*BELOW, node("ReduceSum", "ones", "count"), node("Reshape", "count one", "counts")]
CHOSEN = {
    "NonZero": [*BELOW, node("NonZero", "ones", "chosen")],
    "Compress": [*BELOW, node("Reshape", "is_above minus", "flat"), node("Compress", "x flat", "chosen")],
    "Unique": [*BELOW, node("Unique", "ones", "chosen")],
    "ConstantOfShape": [*COUNTED, node("ConstantOfShape", "counts", "chosen")],
    "Range": [*COUNTED, node("Squeeze", "counts", "n"), node("Range", "zero n step", "chosen")],
    "TopK": [*COUNTED, node("TopK", "x counts", "chosen places")],
    "Slice": [*COUNTED, node("Slice", "x counts many one", "chosen")],
    "NonMaxSuppression": [
        node("Reshape", "x as_boxes", "boxes"),
        node("ReduceMean", "boxes", "means", axes=[2]),
        node("Transpose", "means", "scores", perm=[0, 2, 1]),
        node("NonMaxSuppression", "boxes scores many overlap hundred", "chosen"),
    ],
}
"""Nodes that choose from x of shape (1, 16) what is above 100: nothing of noise."""


@pytest.mark.parametrize("op", sorted(CHOSEN))
def test_no_sample_shows_that_a_shape_stays_which_values_choose(load, tmp_path, op):
    tensors = [
        numpy_helper.from_array(np.array([100], np.float32), "hundred"),
        numpy_helper.from_array(np.array([0.5], np.float32), "overlap"),
        *(helper.make_tensor(name, TensorProto.INT64, [], [step]) for name, step in (("zero", 0), ("step", 1))),
        *(
            helper.make_tensor(name, TensorProto.INT64, [1], [n])
            for name, n in (("one", 1), ("minus", -1), ("many", 99))
        ),
        helper.make_tensor("as_boxes", TensorProto.INT64, [3], [1, 4, 4]),
    ]
    nodes = [*CHOSEN[op], node("Cast", "chosen", "floats", to=TensorProto.FLOAT), node("ReduceSum", "floats", "total")]
    nodes += [node("Reshape", "total one", "y"), node("Tanh", "y", "z")]
    path = save(tmp_path / "t.onnx", nodes, [value("x", [1, 16])], [value("z", None)], tensors)
    crossing = {name for names in load(path).graph.boundaries for name in names}
    assert crossing.isdisjoint({"chosen", "floats"})
    cut_off = save(tmp_path / "u.onnx", nodes[:-3], [value("x", [1, 16])], [value("floats", None)], tensors)
    with pytest.raises(UnsupportedModelError, match="'floats' depends on the values"):
        load(cut_off)


def test_shapes_that_follow_from_shapes_stay_where_inference_sees_nothing(load, tmp_path):
    nodes = [
        helper.make_node("Gelu", ["x"], ["g"], name="gelu", domain="com.microsoft"),
        node("Shape", "g", "sizes"),
        node("ConstantOfShape", "sizes", "zeros"),
        node("Cos", "zeros", "ones"),
        node("NonZero", "ones", "places"),
        node("Cast", "places", "y", to=TensorProto.FLOAT),
    ]
    path = save(tmp_path / "t.onnx", nodes, [value("x", [1, 3])], [value("y", None)], domains=["com.microsoft"])
    graph = load(path).graph
    assert graph.spec_of["g"].shape == (1, 3)
    assert graph.spec_of["y"].shape == (2, 3)


def test_external_weights_are_read_where_they_lie(load, tmp_path):
    path = chain(tmp_path / "t.onnx", external=True)
    model = load(path)
    shard = model.whole_shard()
    contents = (tmp_path / "weights.bin").read_bytes()
    assert all(model.read_blob(blob.sha256) in contents for blob in shard.blobs)
    with pytest.raises(ModelError, match="no weight with digest"):
        model.read_blob("0" * 64)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/hostname", "sub/../../weights.bin"])
def test_external_weights_outside_the_folder_are_refused(load, tmp_path, location):
    inner = tmp_path / "inner"
    inner.mkdir()
    path = Path(chain(inner / "t.onnx", external=True))
    (inner / "weights.bin").rename(tmp_path / "weights.bin")
    (inner / "sub").mkdir()
    redirect(path, location)
    with pytest.raises(ModelFileError, match="outside the model's folder"):
        load(str(path))


def test_external_weights_behind_a_link_missing_or_cut_off_are_refused(load, tmp_path):
    path = Path(chain(tmp_path / "t.onnx", external=True))
    weights = tmp_path / "weights.bin"
    os.truncate(weights, weights.stat().st_size - 8)
    with pytest.raises(ModelFileError, match="cut off"):
        load(str(path))
    weights.unlink()
    with pytest.raises(ModelFileError, match="missing"):
        load(str(path))
    weights.symlink_to("/etc/hostname")
    with pytest.raises(ModelFileError, match="outside the model's folder"):
        load(str(path))


def redirect(path: Path, location: str) -> None:
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = location
    path.write_bytes(model.SerializeToString())


def test_damaged_files_are_told_apart(load, tmp_path):
    whole = Path(chain(tmp_path / "t.onnx")).read_bytes()
    for name, content, message in (
        ("empty.onnx", b"", "is empty"),
        ("text.onnx", b"this is not a model at all\n" * 9, "not an ONNX model"),
        ("cut.onnx", whole[: len(whole) // 2], "was cut off"),
        ("cut_late.onnx", whole[:-1], "cut off|not a complete"),
        ("header.onnx", whole[:2], "not a complete ONNX model"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError, match=message) as caught:
            load(str(tmp_path / name))
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
    with pytest.raises(ModelFileError, match="No such model file"):
        load(str(tmp_path / "absent.onnx"))
    with pytest.raises(ModelFileError, match="is a directory"):
        load(str(tmp_path))


@pytest.mark.parametrize(("domain", "op"), [("acme.ops", "FusedMagic"), ("", "NoSuchOperator")])
def test_operator_that_the_runtime_lacks_is_named(load, tmp_path, domain, op):
    odd = helper.make_node(op, ["t"], ["u"], name="odd_node", domain=domain)
    nodes = [node("Tanh", "x", "t"), odd, node("Tanh", "u", "y")]
    domains = [domain] if domain else []
    path = save(tmp_path / "t.onnx", nodes, [value("x", ["N", 4])], [value("y", None)], domains=domains)
    with pytest.raises(UnsupportedModelError) as caught:
        load(path)
    assert op in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "odd_node" in str(caught.value)


def test_kernel_that_the_runtime_lacks_is_named(load, tmp_path):
    # The operator exists, but not for this element type.
    nodes = [node("Tanh", "x", "t"), helper.make_node("Det", ["t"], ["y"], name="odd_node")]
    path = save(tmp_path / "t.onnx", nodes, [value("x", ["N", 4, 4], FLOAT64)], [value("y", None, FLOAT64)])
    with pytest.raises(UnsupportedModelError, match=r"cannot run operator Det .*'odd_node'"):
        load(path)


def test_sequences_stay_inside_one_unit(load, tmp_path):
    nodes = [
        node("MatMul", "x w", "a"),
        node("SequenceConstruct", "a x", "pair"),
        node("SequenceAt", "pair one", "b"),
        node("Tanh", "b", "c"),
        node("MatMul", "c w", "y"),
    ]
    tensors = [weight("w", 16, 16), helper.make_tensor("one", TensorProto.INT64, [], [1])]
    model = load(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)], tensors))
    assert all("pair" not in names for names in model.graph.boundaries)
    for position in range(1, model.graph.n_units):
        assert verify_shards(model, cut_plan(model, [position]), model.sample_inputs(0)) <= 1e-5


def test_graph_that_reads_what_nobody_makes_is_refused(load, tmp_path):
    nodes = [node("Tanh", "x", "t"), node("Add", "t ghost", "y")]
    with pytest.raises(UnsupportedModelError, match=r"node 'n_y' reads tensor 'ghost', which nobody makes"):
        load(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 4])], [value("y", None)]))


def test_unsorted_nodes_are_sorted(load, tmp_path):
    nodes = [node("Tanh", "t", "y"), node("MatMul", "x w", "t")]
    path = save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)], [weight("w", 16, 16)])
    # onnxruntime sorts too, so that the whole model runs.
    assert [layer.op for layer in load(path).graph.layers] == ["MatMul", "Tanh"]


def test_names_that_lead_nowhere_get_a_hint(load, tmp_path):
    with pytest.raises(UnknownModelError, match="did you mean resnet50"):
        load("resnet-50")
    with pytest.raises(UnknownModelError, match="the zoo has alexnet"):
        load("qqqq")
    with pytest.raises(ModelError, match="cannot import nowhere_at_all"):
        load("nowhere_at_all:build")
    with pytest.raises(ModelError, match="has no 'sqqrt'; did you mean 'sqrt'"):
        load("math:sqqrt")
    with pytest.raises(ModelError, match="is a float"):
        load("math:pi")
    with pytest.raises(ModelError, match=r"write it as package\.module:function"):
        load("not a factory:either")
    with pytest.raises(ModelFileError, match=r"No such file: resnet50\.pth"):
        load("resnet50.pth")
    with pytest.raises(ModelError, match="has its weights in it"):
        load(chain(tmp_path / "t.onnx"), weights=tmp_path / "w.pt")


def test_answers_to_samples_are_those_of_the_model_and_computed_once(load, tmp_path, monkeypatch):
    model = load(branched_network(tmp_path / "t.onnx"))
    inputs, outputs = model.sample_answers(3)
    for name, values in model.sample_inputs(3).items():
        np.testing.assert_array_equal(inputs[name], values)
    for name, values in model.run_whole(inputs).items():
        np.testing.assert_array_equal(outputs[name], values)
    monkeypatch.setattr(model, "run_whole", None)
    assert model.sample_answers(3)[1] is outputs


def test_a_model_is_freed_with_its_last_user(load, tmp_path):
    gc.disable()  # its weights are not to wait for that
    try:
        model = load(branched_network(tmp_path / "t.onnx"))
        model.sample_answers(0)
        model.cut(0, 1)
        freed = weakref.ref(model)
        del model
        assert freed() is None
    finally:
        gc.enable()


def test_wrong_inputs_are_named(load, tmp_path):
    model = load(branched_network(tmp_path / "t.onnx"))
    inputs = model.sample_inputs(0)
    with pytest.raises(ModelError, match=r"wants input 'b'.*missing"):
        model.run_whole({"a": inputs["a"]})
    with pytest.raises(ModelError, match="no input 'c'"):
        model.run_whole(inputs | {"c": inputs["a"]})
    with pytest.raises(ModelError, match=r"as float32 \(1, 16\), not float64"):
        model.run_whole(inputs | {"a": inputs["a"].astype(np.float64)})


def test_second_load_finds_what_is_fused_in_the_cache_and_survives_damage(tmp_path):
    path, cache = chain(tmp_path / "t.onnx"), tmp_path / "cache"
    first = load_model(path, cache_dir=cache)
    entries = list(cache.glob("fused-*.json"))
    assert len(entries) == 1
    for content in ("", "[1]", '{"y": null}'):
        entries[0].write_text(content)
        assert load_model(path, cache_dir=cache).graph == first.graph
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert load_model(path, cache_dir=blocked / "cache").graph == first.graph
