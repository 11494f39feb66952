"""Functions of a model are opened: what they compute stays the same, and their weights are blobs like all others."""

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper
from onnx_toy_graphs import node, save, value, weight

from partitioner.errors import UnsupportedModelError
from partitioner.onnx_io import cut_plan, verify_shards

ONNX, TOY = helper.make_opsetid("", 17), helper.make_opsetid("toy", 1)
X, Y = value("x", ["N", 16]), value("y", None)
INT64, BOOL = TensorProto.INT64, TensorProto.BOOL


def function(name, inputs, outputs, nodes, *, attributes=(), defaults=()):
    return helper.make_function(
        "toy", name, inputs.split(), outputs.split(), nodes, [ONNX, TOY], list(attributes), list(defaults)
    )


def call(name, inputs, outputs, **attributes):
    return helper.make_node(name, inputs, outputs, name=f"call_{outputs[0]}", domain="toy", **attributes)


def constant(name, tensor):
    return helper.make_node("Constant", [], [name], value=tensor)


def leaky(source, target, slope):
    made = helper.make_node("LeakyRelu", [source], [target], name=f"leaky_{target}")
    made.attribute.add(name="alpha", ref_attr_name=slope, type=AttributeProto.FLOAT)
    return made


def loaded(load, tmp_path, nodes, functions, *, inputs=(X,), outputs=(Y,), tensors=()):
    path = save(tmp_path / "t.onnx", nodes, inputs, outputs, tensors, functions=functions, domains=["toy"])
    return load(path, batch=2)


def check_every_cut(model, inputs=None):
    n_units = model.graph.n_units
    inputs = inputs or model.sample_inputs(3)
    for cuts in [*([position] for position in range(1, n_units)), list(range(1, n_units))]:
        assert verify_shards(model, cut_plan(model, cuts), inputs) <= 1e-5


def test_functions_that_call_functions_are_opened_with_their_attributes(load, tmp_path):
    """The default of `slope` counts where a call leaves it out, the operator's own where nobody gives one."""
    twice = function("Twice", "a", "b", [node("Add", "a a", "b")])
    outer = function(
        "TwiceLeaky",
        "a",
        "d",
        [call("Twice", ["a"], ["c"]), leaky("c", "d0", "slope"), leaky("d0", "d", "other")],
        attributes=["other"],
        defaults=[helper.make_attribute("slope", 0.7)],
    )
    nodes = [
        node("MatMul", "x w", "h"),
        call("TwiceLeaky", ["h"], ["t"], slope=0.3),
        call("TwiceLeaky", ["t"], ["u"], other=0.5),
        node("MatMul", "u w", "y"),
    ]
    model = loaded(load, tmp_path, nodes, [twice, outer], tensors=[weight("w", 16, 16)])
    ops = [layer.op for layer in model.graph.layers]
    assert ops == ["MatMul", *["Add", "LeakyRelu", "LeakyRelu"] * 2, "MatMul"]
    names = [layer.name for layer in model.graph.layers]
    assert {"call_t/leaky_d0", "call_t/leaky_d", "call_u/leaky_d"} <= {*names}
    assert len(set(names)) == len(names)
    check_every_cut(model)
    shard = onnx.ModelProto.FromString(model.cut(0, 1).graph)
    assert not shard.functions


def test_weights_of_a_function_are_stored_and_sent_once(load, tmp_path):
    dense = function(
        "Dense",
        "a",
        "d",
        [
            constant("w", weight("w", 16, 16)),
            constant("small", weight("small", 1)),
            node("MatMul", "a w", "b"),
            node("Add", "b small", "c"),
            node("Tanh", "c", "d"),
        ],
    )
    outer = function("Pair", "a", "c", [call("Dense", ["a"], ["b"]), call("Dense", ["b"], ["c"])])
    nodes = [
        call("Pair", ["x"], ["h"]),
        node("MatMul", "h w", "g"),
        call("Dense", ["g"], ["t"]),
        node("MatMul", "t v", "y"),
    ]
    tensors = [weight("w", 16, 16, seed=1), weight("v", 16, 16)]
    model = loaded(load, tmp_path, nodes, [dense, outer], tensors=tensors)
    graph = model.graph
    assert len(model.whole_shard().blobs) == 3, "the function's weight, called three times, and two of the graph"
    assert graph.n_units >= 8
    shards = cut_plan(model, range(1, graph.n_units))
    holders = [shard for shard in shards if shard.blobs]
    assert len(holders) == 5
    assert len({blob for shard in shards for blob in shard.blobs}) == 3
    assert max(len(shard.graph) for shard in shards) < 1024, "no shard holds a weight of 1 KiB in itself"
    check_every_cut(model)


def test_bodies_in_functions_and_calls_in_bodies(load, tmp_path):
    """Names clash on purpose: the body has a local `h`, which is what the caller's argument is called."""
    then = helper.make_graph(
        [constant("w", weight("w", 16, 16)), node("Abs", "a", "h"), node("MatMul", "h w", "o")],
        "then",
        [],
        [value("o", None)],
    )
    other = helper.make_graph([leaky("a", "o", "slope")], "else", [], [value("o", None)])
    branch = helper.make_node("If", ["is_on"], ["z"], name="branch", then_branch=then, else_branch=other)
    choose = function("Choose", "a is_on", "r", [branch, node("Add", "z a", "r")], attributes=["slope"])
    inner = helper.make_graph([call("Choose", ["h", "flag"], ["p"], slope=0.2)], "then", [], [value("p", None)])
    plain = helper.make_graph([node("Neg", "h", "q")], "else", [], [value("q", None)])
    nodes = [
        node("Tanh", "x", "h"),
        call("Choose", ["h", "flag"], ["u"], slope=0.4),
        helper.make_node("If", ["flag"], ["v"], name="outer", then_branch=inner, else_branch=plain),
        node("Mul", "u v", "y"),
    ]
    model = loaded(load, tmp_path, nodes, [choose], inputs=[X, value("flag", [], BOOL)])
    assert len(model.whole_shard().blobs) == 1
    for flag in (True, False):
        check_every_cut(model, model.sample_inputs(0) | {"flag": np.array(flag)})


def test_arguments_and_results_that_are_left_out(load, tmp_path):
    clip = function(
        "Odd",
        "a low high",
        "c extra weights",
        [
            helper.make_node("Clip", ["a", "low", "high"], ["c"]),
            node("Neg", "a", "extra"),
            constant("weights", weight("weights", 16, 16)),
        ],
    )
    nodes = [
        node("MatMul", "x w", "h"),
        call("Odd", ["h", "", "most"], ["t", "", "again"]),
        call("Odd", ["t"], ["", "minus", ""]),
        node("MatMul", "minus again", "y"),
    ]
    tensors = [weight("w", 16, 16), helper.make_tensor("most", 1, [], [0.5])]
    model = loaded(load, tmp_path, nodes, [clip], tensors=tensors)
    assert [layer.op for layer in model.graph.layers] == ["MatMul", "Clip", "Neg", "MatMul"]
    assert len(model.whole_shard().blobs) == 2
    check_every_cut(model)


def test_function_that_calls_itself_is_named(load, tmp_path):
    first = function("First", "a", "b", [call("Second", ["a"], ["b"])])
    second = function("Second", "a", "b", [call("First", ["a"], ["b"])])
    with pytest.raises(UnsupportedModelError, match="'First' calls itself"):
        loaded(load, tmp_path, [call("First", ["x"], ["y"])], [first, second])


def test_operator_sets_that_only_functions_use_are_known(load, tmp_path):
    gelu = helper.make_function(
        "toy",
        "Act",
        ["a"],
        ["b"],
        [helper.make_node("Gelu", ["a"], ["b"], domain="com.microsoft")],
        [ONNX, helper.make_opsetid("com.microsoft", 1)],
    )
    nodes = [node("Tanh", "x", "h"), call("Act", ["h"], ["y"])]
    model = loaded(load, tmp_path, nodes, [gelu])
    assert [layer.op for layer in model.graph.layers] == ["Tanh", "com.microsoft.Gelu"]
    check_every_cut(model)
