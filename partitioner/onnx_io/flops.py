"""Estimated floating-point operations of one node: a multiply and an add count as two."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from onnx import NodeProto

from partitioner.onnx_io.node_reads import bodies_of

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor and weight whose shape is known."""

_VIEWS = {
    *("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Transpose", "Concat", "Split", "Slice", "Gather"),
    *("Cast", "Shape", "Size", "Expand", "Pad", "Dropout", "Tile", "SpaceToDepth", "DepthToSpace"),
}
"""Move numbers and compute none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A node with the shapes around it."""

    node: NodeProto
    operands: tuple[tuple[int, ...], ...]
    """Of the inputs, weights included; `()` where unknown."""
    output: tuple[int, ...]
    """Of the first output."""


def count_flops(node: NodeProto, shapes: Shapes) -> int:
    """Estimate for one run; 0 where a shape is unknown or the operator is not counted.

    Operators that are not named here count one operation for each number that they put out.
    """
    output = shapes.get(node.output[0]) if node.output else None
    if output is None or node.op_type in _VIEWS or any(bodies_of(node)):
        return 0
    operands = tuple(shapes.get(name, ()) for name in node.input)
    count = _COUNT_OF.get(node.op_type, _elementwise)
    return count(_Call(node=node, operands=operands, output=output))


def _elementwise(call: _Call) -> int:
    return math.prod(call.output)


def _reduction(call: _Call) -> int:
    return math.prod(call.operands[0])


def _convolution(call: _Call) -> int:
    # Weights are (out, in / groups, *kernel): each output sees in / groups × kernel products.
    return 2 * math.prod(call.output) * math.prod(call.operands[1][1:])


def _quantised_convolution(call: _Call) -> int:
    return 2 * math.prod(call.output) * math.prod(call.operands[3][1:])


def _transposed_convolution(call: _Call) -> int:
    # Weights are (in, out / groups, *kernel): each input is spread over out / groups × kernel products.
    return 2 * math.prod(call.operands[0]) * math.prod(call.operands[1][1:])


def _product(call: _Call) -> int:
    return 2 * math.prod(call.output) * (call.operands[0][-1] if call.operands[0] else 0)


def _general_product(call: _Call) -> int:
    is_transposed = any(attribute.name == "transA" and attribute.i for attribute in call.node.attribute)
    return 2 * math.prod(call.output) * (call.operands[0][0 if is_transposed else -1] if call.operands[0] else 0)


def _pool(call: _Call) -> int:
    kernel = next((attribute.ints for attribute in call.node.attribute if attribute.name == "kernel_shape"), ())
    return math.prod(call.output) * math.prod(kernel)


def _recurrent(call: _Call) -> int:
    # Weights are (directions, gates × hidden, in) and (directions, gates × hidden, hidden), used once for each step.
    n_steps = math.prod(call.operands[0][:-1])
    return 2 * n_steps * (math.prod(call.operands[1]) + math.prod(call.operands[2]))


_COUNT_OF: dict[str, Callable[[_Call], int]] = {
    "Conv": _convolution,
    "ConvInteger": _convolution,
    "QLinearConv": _quantised_convolution,
    "ConvTranspose": _transposed_convolution,
    "Gemm": _general_product,
    "MatMul": _product,
    "MatMulInteger": _product,
    "QLinearMatMul": _product,
    "AveragePool": _pool,
    "MaxPool": _pool,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax"), _reduction),
}
