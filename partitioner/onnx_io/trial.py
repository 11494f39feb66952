"""The graph as onnxruntime is shown it when it is asked what it fuses and which shapes come out."""

from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, TensorProto, TensorShapeProto

from partitioner.onnx_io.node_reads import bodies_of
from partitioner.onnx_io.session import Weights
from partitioner.onnx_io.weights import WeightStore, is_external, is_packed, location_of, refer_to, tensor_bytes

_STAND_IN_BYTES = 1 << 20
"""From this size on a weight is stood in for, where only the structure of the graph counts."""
_SIZES = {TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL}
"""Element types of what may be shapes and indices, whose values the structure may follow."""
_ZEROS = "zeros"
"""File of the stand-ins."""


def trial_copy(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy to be changed before it is shown; its shapes are free where it has bodies."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    if any(body for node in copy.graph.node for body in bodies_of(node)):
        _free_shapes(copy.graph)
    return copy


def write_structure(proto: onnx.ModelProto, store: WeightStore, folder: Path) -> tuple[Path, Weights]:
    """Writes the graph for whoever asks only for its structure; returns its path and the values that still matter.

    Large weights are zeros in a file without contents: onnxruntime maps a file into memory and never touches it, while
    it copies arrays that it is given, which would be the whole of a large model.

    Args:
        proto: As `trial_copy` returns it; changed.
        store: Holds the weights.
        folder: Takes the files.
    """
    sizes = [0]
    weights: dict[str, np.ndarray] = {}
    for tensor in filter(is_external, proto.graph.initializer):
        if tensor.data_type not in _SIZES and tensor_bytes(tensor) >= _STAND_IN_BYTES:
            sizes.append(tensor_bytes(tensor))
            refer_to(tensor, _ZEROS, sizes[-1])
        else:
            weights |= take_values(tensor, store)
    with (folder / _ZEROS).open("wb") as file:
        file.truncate(max(sizes))
    path = folder / "trial.onnx"
    path.write_bytes(proto.SerializeToString())
    return path, weights


def take_values(tensor: TensorProto, store: WeightStore) -> dict[str, np.ndarray]:
    """Values of an external tensor by its name, a view; where elements share a byte they are written into it."""
    if not is_packed(tensor):
        return {tensor.name: store.array(tensor)}
    raw = store.read(location_of(tensor))
    tensor.ClearField("external_data")
    tensor.data_location = TensorProto.DEFAULT
    tensor.raw_data = raw
    return {}


def _free_shapes(graph: GraphProto) -> None:
    """Forgets all sizes: a branch that cannot run at them is refused before anyone knows that it will not be taken."""
    graph.ClearField("value_info")
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in graph.input:
        free_dimensions(value.name, value.type.tensor_type.shape)


def free_dimensions(name: str, shape: TensorShapeProto) -> None:
    """Replaces sizes by symbols, in place."""
    for axis, dimension in enumerate(shape.dim):
        dimension.dim_param = f"{name}.{axis}"
