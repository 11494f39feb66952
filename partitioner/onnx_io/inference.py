"""What inference knows of a graph: element types, and shapes that follow from shapes."""

import math
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, TypeProto, ValueInfoProto, helper

PORTABLE = frozenset(
    (
        *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        "float16",
        "float32",
        "float64",
        "bool",
    )
)
"""Element types that NumPy has: those of tensors that travel between stages, and that onnxruntime gives as they are."""

_FIRST_STATE = 2
"""Place among the inputs of a loop, behind the number of rounds and whether to go round."""


def infer_shapes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with `value_info` filled as far as inference reaches.

    A state of a loop whose body declares no shape for it has that of its first value, where from such a state the body
    makes the next one of the same shape: inference leaves that open, since it goes through a body once.
    """
    inferred = _inferred(proto)
    states = _open_states(inferred.graph)
    while states:
        assumed = onnx.ModelProto()
        assumed.CopyFrom(inferred)
        for loop, place in states:
            node = assumed.graph.node[loop]
            _body_of(node).input[place].type.CopyFrom(states[loop, place])
        found = _inferred(assumed)
        kept = {key: kind for key, kind in states.items() if _next_shape(found.graph, *key) == shape_of(kind)}
        if len(kept) == len(states):
            return infer_shapes(found)  # what follows this loop may have become known
        states = kept
    return inferred


def _inferred(proto: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except onnx.shape_inference.InferenceError:
        # Inference is a convenience; a run of the model finds what it leaves open.
        copy = onnx.ModelProto()
        copy.CopyFrom(proto)
        return copy


def _open_states(graph: GraphProto) -> dict[tuple[int, int], TypeProto]:
    """(index of a loop, place of a state among its inputs and its body's) → type of the first value.

    Of the states whose shape the body leaves open and whose first value has a known one.
    """
    kinds = {value.name: value.type for value in values_of(graph) if shape_of(value.type) is not None}
    return {
        (loop, place): kinds[name]
        for loop, node in enumerate(graph.node)
        if node.op_type == "Loop"
        for place, name in enumerate(node.input)
        if place >= _FIRST_STATE and name in kinds and shape_of(_body_of(node).input[place].type) is None
    }


def _next_shape(graph: GraphProto, loop: int, place: int) -> tuple[int, ...] | None:
    """Shape of a state after a round; None where it is not known."""
    body = _body_of(graph.node[loop])
    return static_shapes(body).get(body.output[place - 1].name)


def _body_of(loop: NodeProto) -> GraphProto:
    return next(attribute.g for attribute in loop.attribute if attribute.name == "body")


def static_shapes(graph: GraphProto) -> dict[str, tuple[int, ...]]:
    """Shapes that are fully known from the graph alone."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in values_of(graph):
        shape = shape_of(value.type)
        if shape is not None:
            shapes[value.name] = shape
    return shapes


def static_bytes(graph: GraphProto) -> dict[str, int]:
    """Bytes of the tensors of portable type whose shape is known from the graph alone."""
    sizes = {}
    for value in values_of(graph):
        shape, dtype = shape_of(value.type), dtype_of(value.type)
        if shape is not None and dtype is not None and dtype.name in PORTABLE:
            sizes[value.name] = math.prod(shape) * dtype.itemsize
    return sizes


def values_of(graph: GraphProto) -> Iterable[ValueInfoProto]:
    """Types and shapes of tensors, as far as the graph tells them."""
    return (*graph.input, *graph.value_info, *graph.output)


def shape_of(kind: TypeProto) -> tuple[int, ...] | None:
    """Shape of a tensor; None where it is not fully known."""
    if not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    return tuple(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None


def dtype_of(kind: TypeProto) -> np.dtype | None:
    """Element type of a tensor; None where it is unknown or a string."""
    if not kind.HasField("tensor_type") or kind.tensor_type.elem_type in (TensorProto.UNDEFINED, TensorProto.STRING):
        return None
    return np.dtype(helper.tensor_dtype_to_np_dtype(kind.tensor_type.elem_type))
