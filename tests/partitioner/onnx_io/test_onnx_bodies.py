"""If, Loop and Scan: captured tensors, weights inside, branches that are known, taken, or impossible."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_toy_graphs import FLOAT, node, save, value, weight

from partitioner.errors import UnsupportedModelError
from partitioner.onnx_io import cut_plan, verify_shards

INT64, BOOL = TensorProto.INT64, TensorProto.BOOL


def body(name, nodes, outputs, tensors=(), inputs=()):
    return helper.make_graph(nodes, name, inputs, [value(output, None) for output in outputs], tensors)


def branch_on(condition, then, other, outputs):
    return helper.make_node("If", [condition], outputs, name="branch", then_branch=then, else_branch=other)


def check_every_cut(model, inputs):
    for position in range(1, model.graph.n_units):
        assert verify_shards(model, cut_plan(model, [position]), inputs) <= 1e-5
    assert verify_shards(model, cut_plan(model, range(1, model.graph.n_units)), inputs) <= 1e-5


def two_rates(path, *, n_columns=(16, 16)):
    """x → Tanh → If rate = 2: MatMul with a weight of the branch, else MatMul with another of the same name → Tanh."""
    branches = [
        body(
            name,
            [
                helper.make_node("Constant", [], ["w"], value=weight(f"{name}w", n, 16)),
                node("MatMul", "h w", "m"),
                node("Tanh", "m", "n"),
                node("MatMul", "n inner", "o"),
                node("Abs", "o", f"{name}_out"),
            ],
            [f"{name}_out"],
            [weight("inner", 16, 16, seed=ord(name[0]))],
        )
        for name, n in zip(("fast", "slow"), n_columns, strict=True)
    ]
    nodes = [
        node("Tanh", "x", "h"),
        node("Equal", "rate two", "is_fast"),
        branch_on("is_fast", *branches, ["z"]),
        node("Tanh", "z", "y"),
    ]
    two = helper.make_tensor("two", INT64, [], [2])
    return save(path, nodes, [value("x", ["N", 16]), value("rate", [], INT64)], [value("y", None)], [two])


def test_weights_of_bodies_are_blobs_of_their_own(load, tmp_path):
    model = load(two_rates(tmp_path / "t.onnx"), batch=2)
    branch = next(layer for layer in model.graph.layers if layer.op == "If")
    assert branch.weight_bytes == 4 * 16 * 16 * 4
    assert len(model.whole_shard().blobs) == 4, "names that both branches use are told apart"
    assert len(model.whole_shard().graph) < 3000
    for rate in (1, 2):
        check_every_cut(model, model.sample_inputs(0) | {"rate": np.array(rate)})


@pytest.mark.parametrize("rate", [1, 2])
def test_fixed_input_opens_the_branch_that_it_chooses(load, tmp_path, rate):
    path = two_rates(tmp_path / "t.onnx")
    closed, model = load(path), load(path, dims={"rate": rate})
    assert model.graph.inputs == ("x",)
    assert [layer.op for layer in model.graph.layers] == ["Tanh", "MatMul", "Tanh", "MatMul", "Abs", "Tanh"]
    assert model.graph.n_units > closed.graph.n_units
    assert len(model.whole_shard().blobs) == 2, "the other branch has left its weights behind"
    inputs = model.sample_inputs(0)
    check_every_cut(model, inputs)
    whole = closed.run_whole(inputs | {"rate": np.array(rate)})
    np.testing.assert_array_equal(model.run_whole(inputs)["y"], whole["y"])


def test_branch_that_cannot_run_at_the_bound_sizes_is_no_hindrance(load, tmp_path):
    # The branch for rate 2 wants 24 columns, the model is bound to 16; onnxruntime refuses it as soon as it can tell.
    path = two_rates(tmp_path / "t.onnx", n_columns=(24, 16))
    proto = onnx.load(path)
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "columns"
    onnx.save(proto, path)
    model = load(path, dims={"columns": 16})
    check_every_cut(model, model.sample_inputs(0) | {"rate": np.array(1)})
    with pytest.raises(UnsupportedModelError, match="--dim rate=1"):
        load(path, dims={"columns": 24})  # a trial run draws 0 or 1, which takes the other branch


def test_conditions_on_shapes_give_way_to_their_branch_however_deep(load, tmp_path):
    inner = branch_on(
        "is_wide",
        body("wide", [node("Tanh", "h", "wide_out")], ["wide_out"]),
        body("narrow", [node("Abs", "h", "narrow_out")], ["narrow_out"]),
        ["inner_out"],
    )
    deep = [
        node("Shape", "h", "shape"),
        node("Gather", "shape one", "columns"),
        node("Greater", "columns eight", "is_wide"),
        inner,
    ]
    outer = branch_on(
        "yes", body("then", deep, ["inner_out"]), body("else", [node("Neg", "h", "else_out")], ["else_out"]), ["z"]
    )
    nodes = [node("Sigmoid", "x", "h"), outer, node("MatMul", "z w", "y")]
    tensors = [
        helper.make_tensor("yes", BOOL, [], [True]),
        helper.make_tensor("one", INT64, [], [1]),
        helper.make_tensor("eight", INT64, [], [8]),
        weight("w", 16, 16),
    ]
    model = load(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)], tensors))
    assert [layer.op for layer in model.graph.layers] == ["Sigmoid", "Tanh", "MatMul"]
    check_every_cut(model, model.sample_inputs(0))


def test_loop_with_state_and_captures(load, tmp_path):
    steps = [
        node("Identity", "go", "go_on"),
        node("MatMul", "state w", "s1"),
        node("Add", "s1 h", "s2"),
        node("Tanh", "s2", "next"),
        node("Add", "next bias", "seen"),
    ]
    loop = helper.make_graph(
        steps,
        "step",
        [value("i", [], INT64), value("go", [], BOOL), value("state", ["N", 16])],
        [value("go_on", [], BOOL), value("next", ["N", 16]), value("seen", ["N", 16])],
        [weight("w", 16, 16), weight("bias", 16)],
    )
    nodes = [
        node("Sigmoid", "x", "h"),
        helper.make_node("Loop", ["n", "", "h"], ["last", "all"], name="loop", body=loop),
        node("Tanh", "last", "y"),
        node("ReduceMean", "all", "mean", axes=[0], keepdims=0),
    ]
    path = save(
        tmp_path / "t.onnx",
        nodes,
        [value("x", [2, 16])],
        [value("y", None), value("mean", None)],
        [helper.make_tensor("n", INT64, [], [3])],
    )
    model = load(path, batch=2)
    (blob,) = model.whole_shard().blobs
    assert blob.n_bytes == 16 * 16 * 4
    check_every_cut(model, model.sample_inputs(0))


STEADY = (node("Tanh", "state", "next"), node("Abs", "next", "seen"))
GROWING = (node("Concat", "state state", "next", axis=0), node("Neg", "half", "seen"))


def loop_while(path, *steps, n_rounds="three", state_shape=(2, 16), rounds=STEADY):
    """x → Sigmoid → Loop that gathers what is seen of its state; `steps` make `go_on`."""
    loop = helper.make_graph(
        [*rounds, *steps],
        "step",
        [value("i", [], INT64), value("go", [], BOOL), value("state", state_shape)],
        [value("go_on", [], BOOL), value("next", state_shape), value("seen", state_shape)],
    )
    nodes = [
        node("Sigmoid", "x", "h"),
        node("ReduceMax", "h", "largest", keepdims=0),
        node("Cast", "largest", "none", to=INT64),
        helper.make_node("Loop", [n_rounds, "yes", "h"], ["last", "all"], name="loop", body=loop),
        node("Tanh", "last", "y"),
        node("ReduceSum", "all", "total", keepdims=0),
    ]
    tensors = [
        helper.make_tensor("three", INT64, [], [3]),
        helper.make_tensor("yes", BOOL, [], [True]),
        helper.make_tensor("half", FLOAT, [], [0.5]),
    ]
    return save(path, nodes, [value("x", [2, 16])], [value("y", None), value("total", None)], tensors)


ALWAYS = (node("Identity", "go", "go_on"),)
BY_ROUND = (node("Cast", "i", "round", to=FLOAT), node("Less", "round half", "go_on"))
BY_VALUE = (node("Less", "largest half", "go_on"),)


@pytest.mark.parametrize(
    ("steps", "n_rounds", "varies"),
    [(ALWAYS, "three", False), (BY_ROUND, "three", False), (BY_VALUE, "three", True), (ALWAYS, "none", True)],
)
def test_what_a_loop_gathers_varies_where_values_tell_how_often_it_goes_round(load, tmp_path, steps, n_rounds, varies):
    model = load(loop_while(tmp_path / "t.onnx", *steps, n_rounds=n_rounds), batch=2)
    assert any("all" in names for names in model.graph.boundaries) is not varies
    check_every_cut(model, model.sample_inputs(0))


@pytest.mark.parametrize("steps", [ALWAYS, BY_VALUE])
def test_state_whose_shape_no_round_changes_does_not_vary_though_the_body_declares_none(load, tmp_path, steps):
    model = load(loop_while(tmp_path / "t.onnx", *steps, state_shape=None), batch=2)
    assert model.graph.spec_of["y"].shape == (2, 16)
    check_every_cut(model, model.sample_inputs(0))


def test_state_that_grows_with_each_round_varies_too(load, tmp_path):
    growing = {"state_shape": None, "rounds": GROWING}
    assert load(loop_while(tmp_path / "t.onnx", *ALWAYS, **growing), batch=2).graph.spec_of["y"].shape == (16, 16)
    with pytest.raises(UnsupportedModelError, match="'y' depends on the values"):
        load(loop_while(tmp_path / "u.onnx", *BY_VALUE, **growing), batch=2)


@pytest.mark.parametrize(
    "rare",
    [
        [node("Concat", "h h", "rare", axis=0)],
        [node("Greater", "h half", "above"), node("Compress", "h above", "some"), node("Neg", "some", "rare")],
    ],
    ids=["another size", "a size by values"],
)
def test_result_of_a_branch_varies_though_samples_take_the_other(load, tmp_path, rare):
    nodes = [
        node("Sigmoid", "x", "h"),
        node("ReduceMax", "h", "largest", keepdims=0),
        node("Less", "largest half", "is_small"),
        branch_on(
            "is_small", body("then", rare, ["rare"]), body("else", [node("Neg", "h", "usual")], ["usual"]), ["z"]
        ),
        node("ReduceSum", "z", "y", keepdims=0),
    ]
    half = helper.make_tensor("half", FLOAT, [], [0.5])
    model = load(save(tmp_path / "t.onnx", nodes, [value("x", [16])], [value("y", None)], [half]), batch=16)
    assert not any("z" in names for names in model.graph.boundaries)
    for sign in (-1, 1):
        check_every_cut(model, {"x": np.full(16, sign, np.float32)})


def test_scan_over_a_sequence(load, tmp_path):
    step = helper.make_graph(
        [
            node("MatMul", "state w", "p"),
            node("Add", "p item", "q"),
            node("Tanh", "q", "next"),
            node("Abs", "q", "out"),
        ],
        "step",
        [value("state", [1, 16]), value("item", [1, 16])],
        [value("next", [1, 16]), value("out", [1, 16])],
    )
    nodes = [
        node("Tanh", "x", "h"),
        helper.make_node("Scan", ["start", "h"], ["last", "all"], name="scan", body=step, num_scan_inputs=1),
        node("Sigmoid", "all", "y"),
    ]
    inputs = [value("x", [5, 1, 16]), value("start", [1, 16])]
    outputs = [value("y", None), value("last", None)]
    model = load(save(tmp_path / "t.onnx", nodes, inputs, outputs, [weight("w", 16, 16)]))
    assert len(model.whole_shard().blobs) == 1
    check_every_cut(model, model.sample_inputs(0))


def test_comments_in_bodies_do_not_travel(load, tmp_path):
    path = two_rates(tmp_path / "t.onnx")
    proto = onnx.load(path)
    inner = proto.graph.node[2].attribute[0].g
    inner.doc_string = inner.node[1].doc_string = "/home/someone/train.py"
    inner.node[1].metadata_props.add(key="where", value="/home/someone")
    onnx.save(proto, path)
    assert b"someone" not in load(path).whole_shard().graph


def test_weight_of_a_body_that_lies_in_a_file(load, tmp_path):
    values = weight("w", 16, 16)
    (tmp_path / "inner.bin").write_bytes(numpy_helper.to_array(values).tobytes())
    outside = TensorProto(name="w", data_type=FLOAT, dims=[16, 16], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="inner.bin")
    then = body("then", [node("MatMul", "h w", "t")], ["t"], [outside])
    other = body("else", [node("Neg", "h", "e")], ["e"])
    nodes = [node("Tanh", "x", "h"), branch_on("flag", then, other, ["z"]), node("Tanh", "z", "y")]
    path = save(tmp_path / "t.onnx", nodes, [value("x", [1, 16]), value("flag", [], BOOL)], [value("y", None)])
    model = load(path)
    (blob,) = model.whole_shard().blobs
    assert model.read_blob(blob.sha256) == numpy_helper.to_array(values).tobytes()
    shards = cut_plan(model, [1])
    assert verify_shards(model, shards, model.sample_inputs(0) | {"flag": np.array(True)}) <= 1e-5
