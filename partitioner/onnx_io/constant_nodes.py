"""Constant nodes as tensors."""

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

_ELEMENT_TYPE_OF = {"float": TensorProto.FLOAT, "int": TensorProto.INT64, "string": TensorProto.STRING}


def constant_of(node: NodeProto) -> TensorProto | None:
    """Value of a Constant node, named as its output; None for any other node, and for sparse values."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.attribute) != 1:
        return None
    attribute = node.attribute[0]
    value = helper.get_attribute_value(attribute)
    name = node.output[0]
    if attribute.name == "value":
        tensor = TensorProto()
        tensor.CopyFrom(value)
        tensor.name = name
        return tensor
    kind = attribute.name.removeprefix("value_").removesuffix("s")
    if kind not in _ELEMENT_TYPE_OF:
        return None
    is_list = attribute.name.endswith("s")
    if kind == "string":
        return helper.make_tensor(
            name, TensorProto.STRING, [len(value)] if is_list else [], value if is_list else [value]
        )
    dtype = helper.tensor_dtype_to_np_dtype(_ELEMENT_TYPE_OF[kind])
    return numpy_helper.from_array(np.asarray(value, dtype=dtype), name)
