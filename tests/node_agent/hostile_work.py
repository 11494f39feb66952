"""Models that take all memory, while a session is created or when it runs, or never end."""

import numpy as np
from hostile_kit import BOOL, FLOAT, GIANT, INT64, MEMORY, TIME, hostile, ints, model, node, scalar, value
from onnx import TensorProto, helper, numpy_helper


@hostile(MEMORY, is_quick=True)
def constant_of_shape():
    return model([node("ConstantOfShape", "s", "m")], [ints("s", 1 << 16, 1 << 16)])


@hostile(MEMORY, is_quick=True)
def expand():
    return model([node("Expand", "one s", "m")], [ints("s", 1 << 15, 1 << 15), scalar("one", [1], np.float32)])


@hostile(MEMORY)
def expand_a_giant():
    return model([node("Expand", "one s", "m")], [ints("s", GIANT), scalar("one", [1], np.float32)])


@hostile(MEMORY)
def tile():
    return model([node("Tile", "one s", "m")], [ints("s", 1 << 29), scalar("one", [1], np.float32)])


@hostile("")
def tile_a_giant():
    """onnxruntime itself refuses to run it, each time."""
    return model([node("Tile", "one s", "m")], [ints("s", 1 << 31), scalar("one", [1], np.float32)])


@hostile(MEMORY)
def doubled_again_and_again():
    nodes = [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(34)]
    return model([*nodes, node("Identity", "c34", "m")], [scalar("c0", [1.0], np.float32)])


@hostile(MEMORY)
def ranged():
    parts = [scalar(name, number, np.int64) for name, number in (("from", 0), ("to", 1 << 33), ("by", 1))]
    return model([node("Range", "from to by", "r"), node("Cast", "r", "m", to=FLOAT)], parts)


@hostile(MEMORY)
def one_hot():
    parts = [ints("i", *range(1000)), scalar("d", 1 << 24, np.int64), scalar("v", [0, 1], np.float32)]
    return model([node("OneHot", "i d v", "m")], parts)


@hostile(MEMORY)
def eye_like():
    return model(
        [node("ConstantOfShape", "s", "c"), node("EyeLike", "c", "m", dtype=FLOAT)], [ints("s", 1 << 16, 1 << 16)]
    )


@hostile(MEMORY)
def padded():
    return model([node("Pad", "one p", "m")], [ints("p", 0, 1 << 33), scalar("one", [1], np.float32)])


@hostile(MEMORY)
def resized():
    parts = [numpy_helper.from_array(np.ones((1, 1, 2, 2), np.float32), "i"), ints("s", 1, 1, 1 << 16, 1 << 16)]
    return model([helper.make_node("Resize", ["i", "", "", "s"], ["m"], mode="nearest")], parts)


@hostile(MEMORY)
def outer_product():
    parts = [ints("s", 1 << 17, 1), ints("t", 1, 1 << 17)]
    return model(
        [node("ConstantOfShape", "s", "a"), node("ConstantOfShape", "t", "b"), node("MatMul", "a b", "m")], parts
    )


@hostile(MEMORY)
def random_normal():
    return model([helper.make_node("RandomNormal", [], ["m"], shape=[1 << 16, 1 << 16])])


@hostile(MEMORY)
def many_middling():
    nodes = [node("ConstantOfShape", "s", f"c{i}") for i in range(200)]
    nodes.append(helper.make_node("Sum", [f"c{i}" for i in range(200)], ["m"]))
    return model(nodes, [ints("s", 1 << 23)])


@hostile(MEMORY)
def expand_in_a_body():
    body = helper.make_graph([node("Expand", "one s", "b")], "body", [], [value("b", None)])
    nodes = [node("If", "yes", "m", then_branch=body, else_branch=body)]
    parts = [ints("s", 1 << 15, 1 << 15), scalar("one", [1], np.float32), scalar("yes", True, bool)]
    return model(nodes, parts)


@hostile(MEMORY)
def initializer_without_its_values():
    return model([node("Identity", "w", "m")], [TensorProto(name="w", data_type=FLOAT, dims=(1 << 20, 1 << 20))])


@hostile(MEMORY, is_quick=True)
def sparse_initializer():
    made = model([node("Identity", "w", "m")])
    values = numpy_helper.from_array(np.ones(1, np.float32), "w")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, ints("", 0), [1 << 18, 1 << 18]))
    return made


@hostile(MEMORY)
def sparse_constant():
    values = numpy_helper.from_array(np.ones(1, np.float32), "v")
    sparse = helper.make_sparse_tensor(values, ints("", 0), [1 << 18, 1 << 18])
    return model([helper.make_node("Constant", [], ["m"], sparse_value=sparse)])


@hostile(MEMORY)
def grows_while_it_runs():
    nodes = [node("Identity", "x", "c0"), *(node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(34))]
    return model([*nodes, node("Identity", "c34", "m")])


def endless(body_nodes, scans=(), trip: int | None = (1 << 63) - 1):
    """A loop whose condition stays true."""
    outputs = [value("go", (), BOOL), value("v", (2,)), *scans]
    inputs = [value("i", (), INT64), value("c", (), BOOL), value("before", (2,))]
    body = helper.make_graph([node("Identity", "c", "go"), *body_nodes], "body", inputs, outputs)
    names = ["last", *(f"s{number}" for number in range(len(scans)))]
    loop = helper.make_node("Loop", ["" if trip is None else "n", "yes", "x"], names, body=body)
    parts = [scalar("yes", True, bool), *([] if trip is None else [scalar("n", trip, np.int64)])]
    return model([loop, node("Identity", "last", "m")], parts)


@hostile(TIME, is_quick=True)
def endless_loop():
    return endless([node("Add", "before before", "v")])


@hostile(TIME)
def endless_loop_without_a_count():
    return endless([node("Add", "before before", "v")], trip=None)


@hostile(MEMORY, is_quick=True)
def endless_loop_that_keeps_all():
    nodes = [node("Add", "before before", "v"), node("ConstantOfShape", "size", "kept")]
    nodes.insert(0, helper.make_node("Constant", [], ["size"], value=ints("", 1 << 20)))
    return endless(nodes, [value("kept", None)])


@hostile(TIME)
def loop_in_loop():
    inner_inputs = [value("j", (), INT64), value("d", (), BOOL), value("w", (2,))]
    inner = helper.make_graph(
        [node("Identity", "d", "on"), node("Add", "w w", "u")],
        "inner",
        inner_inputs,
        [value("on", (), BOOL), value("u", (2,))],
    )
    return endless([node("Loop", "n c before", "v", body=inner)])


@hostile(MEMORY)
def products_of_constants():
    nodes = [node("ConstantOfShape", "s", "c0"), *(node("MatMul", f"c{i} c0", f"c{i + 1}") for i in range(500))]
    return model([*nodes, node("Identity", "c500", "m")], [ints("s", 3000, 3000)])
