"""Small ONNX models for the tests, and the files that they are written to."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def value(name: str, shape: Sequence[int | str | None] | None, kind: int = FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def weight(name: str, *shape: int, seed: int = 0) -> TensorProto:
    scale = 1 / np.sqrt(max(shape[:1] or (1,)))
    return numpy_helper.from_array(
        (np.random.default_rng([seed, len(name), *map(ord, name)]).standard_normal(shape) * scale).astype(np.float32),
        name,
    )


def node(op: str, inputs: str, outputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), outputs.split(), name=f"n_{outputs.split(maxsplit=1)[0]}", **attributes)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    initializers: Sequence[TensorProto] = (),
    *,
    opset: int = 17,
    functions: Sequence[onnx.FunctionProto] = (),
    external: bool = False,
    domains: Sequence[str] = (),
) -> str:
    graph = helper.make_graph(nodes, "toy", inputs, outputs, initializers)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=9)
    if external:
        onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    else:
        onnx.save_model(model, path)
    return str(path)


def chain(path: Path, n_blocks: int = 4, width: int = 32, **options: object) -> str:
    """x → (MatMul → Tanh) × n_blocks → y; weights of 4 KiB."""
    nodes, initializers, current = [], [], "x"
    for block in range(n_blocks):
        initializers.append(weight(f"w{block}", width, width))
        nodes.append(node("MatMul", f"{current} w{block}", f"m{block}"))
        current = "y" if block == n_blocks - 1 else f"t{block}"
        nodes.append(node("Tanh", f"m{block}", current))
    return save(path, nodes, [value("x", ["N", width])], [value("y", None)], initializers, **options)


def residual_network(path: Path) -> str:
    """Stem → two residual blocks of convolutions → pooled classifier."""
    nodes = [node("Conv", "x stem", "c0", kernel_shape=[3, 3], pads=[1] * 4), node("Relu", "c0", "b0")]
    initializers = [weight("stem", 8, 3, 3, 3), weight("fc", 8, 5)]
    for block in (1, 2):
        initializers += [weight(f"wa{block}", 8, 8, 3, 3), weight(f"wb{block}", 8, 8, 3, 3)]
        nodes += [
            node("Conv", f"b{block - 1} wa{block}", f"p{block}", kernel_shape=[3, 3], pads=[1] * 4),
            node("Relu", f"p{block}", f"q{block}"),
            node("Conv", f"q{block} wb{block}", f"r{block}", kernel_shape=[3, 3], pads=[1] * 4),
            node("Add", f"r{block} b{block - 1}", f"s{block}"),
            node("Relu", f"s{block}", f"b{block}"),
        ]
    nodes += [node("GlobalAveragePool", "b2", "g"), node("Flatten", "g", "f"), node("MatMul", "f fc", "y")]
    return save(path, nodes, [value("x", ["N", 3, 8, 8])], [value("y", None)], initializers)


def branched_network(path: Path) -> str:
    """Two inputs, two outputs, one of them early; a skip over everything; an input that nobody reads."""
    nodes = [
        node("MatMul", "a wa", "a1"),
        node("Tanh", "a1", "early"),
        node("MatMul", "b wb", "b1"),
        node("Sigmoid", "b1", "b2"),
        node("MatMul", "early wm", "m1"),
        node("Add", "m1 b2", "m2"),
        node("Tanh", "m2", "m3"),
        node("MatMul", "m3 wm", "m4"),
        node("Tanh", "m4", "m5"),
        node("Mul", "m5 a1", "late"),
    ]
    inputs = [value("a", ["N", 16]), value("unused", ["N", 3]), value("b", ["N", 8])]
    outputs = [value("early", None), value("late", None)]
    return save(path, nodes, inputs, outputs, [weight("wa", 16, 32), weight("wb", 8, 32), weight("wm", 32, 32)])


def masked_network(path: Path) -> str:
    """A mask computed from constants and from the shape of the input is used at the beginning and at the end."""
    nodes = [
        node("Shape", "x", "shape"),
        node("ConstantOfShape", "shape", "ones", value=helper.make_tensor("v", FLOAT, [1], [1.0])),
        node("Mul", "ones big", "mask"),
        node("MatMul", "x w", "m1"),
        node("Add", "m1 mask", "m2"),
        node("Tanh", "m2", "m3"),
        node("MatMul", "m3 w", "m4"),
        node("Tanh", "m4", "m5"),
        node("MatMul", "m5 w", "m6"),
        node("Add", "m6 mask", "y"),
    ]
    return save(path, nodes, [value("x", ["N", 24, 24])], [value("y", None)], [weight("w", 24, 24), weight("big", 24)])


def conditional_network(path: Path) -> str:
    """An If whose bodies capture a tensor, a weight and a constant from outside."""
    then = helper.make_graph(
        [node("MatMul", "h w", "t1"), node("Add", "t1 early", "then_out")], "then", [], [value("then_out", None)]
    )
    other = helper.make_graph([node("Mul", "h early", "else_out")], "else", [], [value("else_out", None)])
    nodes = [
        node("Tanh", "x", "early"),
        node("MatMul", "early w", "m"),
        node("Tanh", "m", "h"),
        helper.make_node("If", ["flag"], ["z"], name="branch", then_branch=then, else_branch=other),
        node("Tanh", "z", "y"),
    ]
    inputs = [value("x", ["N", 32]), value("flag", [], TensorProto.BOOL)]
    return save(path, nodes, inputs, [value("y", ["N", 32])], [weight("w", 32, 32)])
