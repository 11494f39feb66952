"""Gives inputs that choose between branches, as a sample rate, their value beforehand."""

from collections.abc import Mapping

import numpy as np
from onnx import GraphProto, ValueInfoProto, helper, numpy_helper

_INTEGER_KINDS = "biu"


def fix_inputs(graph: GraphProto, values: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Turns the integer inputs of one element that `values` names into initializers, in place, and returns them."""
    fixed = {
        value.name: np.full(_shape_of(value), values[value.name], _dtype_of(value))
        for value in graph.input
        if value.name in values and is_fixable(value)
    }
    kept = GraphProto(input=[value for value in graph.input if value.name not in fixed])
    del graph.input[:]
    graph.input.extend(kept.input)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in fixed.items())
    return fixed


def is_fixable(value: ValueInfoProto) -> bool:
    """Whether an input is an integer tensor of one element."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.elem_type or not kind.HasField("shape"):
        return False
    return _dtype_of(value).kind in _INTEGER_KINDS and all(dim.dim_value == 1 for dim in kind.shape.dim)


def _dtype_of(value: ValueInfoProto) -> np.dtype:
    return np.dtype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))


def _shape_of(value: ValueInfoProto) -> tuple[int, ...]:
    return tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
