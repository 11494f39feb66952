"""Units are what onnxruntime fuses; their order keeps few bytes alive."""

import pytest
from onnx import helper
from onnx_toy_graphs import (
    branched_network,
    chain,
    conditional_network,
    masked_network,
    node,
    residual_network,
    save,
    value,
    weight,
)

from partitioner.graph import Graph
from partitioner.onnx_io import load_model
from partitioner.onnx_io.fusion import find_inner_tensors
from partitioner.onnx_io.order import group_layers, order_groups
from partitioner.onnx_io.wiring import Wiring


@pytest.mark.parametrize("build", [chain, residual_network, branched_network, masked_network, conditional_network])
def test_graph_is_well_formed(build, load, tmp_path):
    graph = load(build(tmp_path / "t.onnx")).graph
    assert [layer.index for layer in graph.layers] == list(range(len(graph.layers)))
    assert graph.units[0].start == 0
    assert graph.units[-1].stop == len(graph.layers)
    assert all(a.stop == b.start for a, b in zip(graph.units, graph.units[1:], strict=False))
    for names in ([unit.name for unit in graph.units], [layer.name for layer in graph.layers]):
        assert len(set(names)) == len(names)
        assert all(names)
    made = set(graph.inputs)
    for layer in graph.layers:
        assert made.issuperset(layer.inputs), f"{layer.name} comes before what it reads"
        made.update(layer.outputs)
    assert graph.boundaries[-1] == tuple(name for name in made_in_order(graph) if name in graph.outputs)
    for names in graph.boundaries:
        assert names
        assert all(graph.spec_of[name].n_bytes > 0 for name in names)


def made_in_order(graph: Graph) -> list[str]:
    return [*graph.inputs, *(name for layer in graph.layers for name in layer.outputs)]


def test_convolution_addition_and_activation_of_a_residual_block_are_one_unit(load, tmp_path):
    graph = load(residual_network(tmp_path / "t.onnx")).graph
    ops = [[layer.op for layer in graph.layers[unit.start : unit.stop]] for unit in graph.units]
    assert ops[:5] == [
        ["Conv", "Relu"],
        ["Conv", "Relu"],
        ["Conv", "Add", "Relu"],
        ["Conv", "Relu"],
        ["Conv", "Add", "Relu"],
    ]
    block_ends = [point.boundary for point in graph.split_points if point.is_block_level]
    assert block_ends[:3] == [("b0",), ("b1",), ("b2",)]
    inside = [point.boundary for point in graph.split_points if not point.is_block_level]
    assert inside == [("b0", "q1"), ("b1", "q2")]


def test_flops_and_weights_are_counted(load, tmp_path):
    graph = load(residual_network(tmp_path / "t.onnx"), batch=2).graph
    stem = graph.layers[0]
    assert stem.flops == 2 * (2 * 8 * 8 * 8) * (3 * 3 * 3)
    assert stem.weight_bytes == 8 * 3 * 3 * 3 * 4
    assert graph.layers[-1].flops == 2 * 2 * 5 * 8
    relu = next(layer for layer in graph.layers if layer.op == "Relu")
    assert (relu.flops, relu.weight_bytes) == (2 * 8 * 8 * 8, 0)


def test_layer_normalisation_written_out_is_one_unit(load, tmp_path):
    nodes = [
        node("MatMul", "x w", "h"),
        node("ReduceMean", "h", "mean", axes=[-1]),
        node("Sub", "h mean", "d"),
        node("Pow", "d two", "sq"),
        node("ReduceMean", "sq", "var", axes=[-1]),
        node("Add", "var eps", "ve"),
        node("Sqrt", "ve", "sd"),
        node("Div", "d sd", "n"),
        node("Mul", "n scale", "s"),
        node("Add", "s bias", "o"),
        node("MatMul", "o w", "y"),
    ]
    tensors = [weight("w", 16, 16), weight("scale", 16), weight("bias", 16)]
    tensors += [helper.make_tensor("two", 1, [], [2.0]), helper.make_tensor("eps", 1, [], [1e-5])]
    path = save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)], tensors, opset=17)
    graph = load(path).graph
    norm = next(unit for unit in graph.units if unit.stop - unit.start > 1)
    assert [layer.outputs[0] for layer in graph.layers[norm.start : norm.stop]] == [
        *("mean", "d", "sq", "var", "ve", "sd", "n", "s", "o")
    ]


def test_equal_layers_that_the_runtime_merges_do_not_glue_their_readers_together(load, tmp_path):
    # Both Tanh are one after optimisation: the name of the second is gone, yet nothing is fused around it.
    nodes = [
        node("MatMul", "x w", "h"),
        node("Tanh", "h", "t1"),
        node("Tanh", "h", "t2"),
        node("MatMul", "t1 w", "a"),
        node("MatMul", "a w2", "b"),
        node("Sub", "b t2", "c"),
        node("MatMul", "t2 w2", "d"),
        node("Add", "c d", "y"),
    ]
    tensors = [weight("w", 16, 16), weight("w2", 16, 16)]
    graph = load(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)], tensors)).graph
    assert max(unit.stop - unit.start for unit in graph.units) <= 2


def test_identity_and_idle_dropout_are_no_layers(load, tmp_path):
    nodes = [
        node("Tanh", "x", "t"),
        node("Identity", "t", "i"),
        node("Dropout", "i", "d"),
        node("Sigmoid", "d", "s"),
        node("Add", "s i", "y"),
    ]
    graph = load(save(tmp_path / "t.onnx", nodes, [value("x", ["N", 16])], [value("y", None)])).graph
    assert [layer.op for layer in graph.layers] == ["Tanh", "Sigmoid", "Add"]


def test_a_way_out_of_a_group_and_back_joins_it():
    nodes = [node("Tanh", "x", "a"), node("Tanh", "a", "b"), node("Add", "a b", "c"), node("Tanh", "c", "y")]
    assert group_layers(Wiring(nodes), {"a"}) == ((0, 1, 2), (3,))
    nodes = [node("Tanh", "x", "a"), node("Tanh", "p", "b"), node("Tanh", "a", "p"), node("Add", "a b", "c")]
    wiring = Wiring([nodes[0], nodes[2], nodes[1], nodes[3]])
    joined = Wiring([node("Split", "x", "u v"), node("Tanh", "v", "w"), node("Add", "u w", "y")])
    assert group_layers(joined, {"u"}) == ((0, 1, 2),), "the middle lies between two layers of one group"
    assert len(group_layers(wiring, set())) == 4


def test_a_tensor_read_by_two_fused_operators_is_not_inner():
    nodes = [node("Tanh", "x", "a"), node("Relu", "a", "b"), node("Sigmoid", "a", "c"), node("Add", "b c", "y")]
    assert find_inner_tensors(nodes, {"b": 0, "c": 1, "y": 2}, ["y"]) == set()
    assert find_inner_tensors(nodes, {"y": 0}, ["y"]) == {"a", "b", "c"}


def test_branches_are_finished_one_after_another():
    # Four branches of wide, then narrow tensors, given breadth first: depth first keeps one wide tensor alive.
    n_branches = 4
    nodes = [node("Relu", "x", f"wide{branch}") for branch in range(n_branches)]
    nodes += [node("Relu", f"wide{branch}", f"narrow{branch}") for branch in range(n_branches)]
    nodes += [node("Concat", " ".join(f"narrow{branch}" for branch in range(n_branches)), "y", axis=0)]
    sizes = (
        {"x": 10, "y": 4} | {f"wide{b}": 1000 for b in range(n_branches)} | {f"narrow{b}": 1 for b in range(n_branches)}
    )
    wiring = Wiring(nodes)
    order = order_groups(group_layers(wiring, set()), wiring, sizes, ["x"], ["y"])
    assert [group[0] for group in order] == [0, 4, 1, 5, 2, 6, 3, 7, 8]


def test_units_do_not_change_from_load_to_load(tmp_path):
    path = residual_network(tmp_path / "t.onnx")
    graphs = [load_model(path, cache_dir=tmp_path / f"cache{index}").graph for index in range(2)]
    assert graphs[0] == graphs[1]
