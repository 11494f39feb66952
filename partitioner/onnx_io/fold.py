"""Computes once what follows from the shapes alone, so that no tensor of sizes crosses a split point."""

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, helper, numpy_helper

from partitioner.onnx_io.conditions import inline_conditions
from partitioner.onnx_io.constants import Constants, find_constants
from partitioner.onnx_io.inference import infer_shapes, static_bytes, static_shapes
from partitioner.onnx_io.node_reads import bodies_of, reads_of, writes_of
from partitioner.onnx_io.session import Effort, open_session, run_session
from partitioner.onnx_io.tidy import drop_dead, drop_identities, replace_nodes
from partitioner.onnx_io.weights import INLINE_LIMIT_BYTES, is_external

_QUANTISERS = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"}
"""Stay beside the operators that read them: there the runtime turns both into one that computes in integers."""

_MAX_ROUNDS = 16
"""Each round resolves one more layer of shapes that are computed from shapes."""


def fold_shapes(proto: onnx.ModelProto, *, what: str) -> onnx.ModelProto:
    """The model with sizes computed beforehand and `value_info` filled as far as inference reaches.

    Args:
        proto: With concrete input shapes, sorted. Not changed.
        what: Name of the model for error messages.

    Raises:
        UnsupportedModelError: onnxruntime lacks an operator that the sizes need.
    """
    for _ in range(_MAX_ROUNDS):
        proto = infer_shapes(proto)
        n_folded = _fold_size_nodes(proto.graph) + _fold_small_constants(proto, what) + inline_conditions(proto.graph)
        drop_identities(proto.graph)
        drop_dead(proto.graph)
        if not n_folded:
            break
    return proto


def _fold_size_nodes(graph: GraphProto) -> int:
    """Replaces Shape and Size of tensors whose shape is known; returns how many."""
    shapes = static_shapes(graph)
    outputs = {value.name for value in graph.output}
    kept = []
    for node in graph.node:
        foldable = node.op_type in ("Shape", "Size") and node.domain in ("", "ai.onnx")
        if foldable and node.input[0] in shapes and node.output[0] not in outputs:
            graph.initializer.append(numpy_helper.from_array(_size_value(node, shapes[node.input[0]]), node.output[0]))
        else:
            kept.append(node)
    n_folded = len(graph.node) - len(kept)
    replace_nodes(graph, kept)
    return n_folded


def _size_value(node: NodeProto, shape: tuple[int, ...]) -> np.ndarray:
    if node.op_type == "Size":
        return np.array(np.prod(shape, dtype=np.int64))
    span = {attribute.name: attribute.i for attribute in node.attribute}
    return np.array(shape[span.get("start", 0) : span.get("end", len(shape))], dtype=np.int64)


def _fold_small_constants(proto: onnx.ModelProto, what: str) -> int:
    """Replaces small constants that are computed from small constants; returns how many nodes went."""
    graph = proto.graph
    nodes = _small_constant_nodes(graph, find_constants(graph))
    if not nodes:
        return 0
    made = {name for node in nodes for name in writes_of(node)}
    for name, value in _evaluate(proto, nodes, what).items():
        graph.initializer.append(numpy_helper.from_array(value, name))
    replace_nodes(graph, [node for node in graph.node if made.isdisjoint(node.output)])
    return len(nodes)


def _small_constant_nodes(graph: GraphProto, constants: Constants) -> list[NodeProto]:
    sizes = static_bytes(graph)
    known = {name for name, tensor in constants.tensors.items() if not is_external(tensor)}
    chosen = []
    for node in constants.nodes:
        is_small = all(0 < sizes.get(name, 0) < INLINE_LIMIT_BYTES for name in writes_of(node))
        if (
            is_small
            and node.op_type not in _QUANTISERS
            and known.issuperset(reads_of(node))
            and not any(bodies_of(node))
        ):
            chosen.append(node)
            known.update(writes_of(node))
    return chosen


def _evaluate(proto: onnx.ModelProto, nodes: list[NodeProto], what: str) -> dict[str, np.ndarray]:
    """Values of everything that constant nodes make."""
    read = {name for node in nodes for name in reads_of(node)}
    names = [name for node in nodes for name in writes_of(node)]
    graph = helper.make_graph(
        nodes,
        "constants",
        [],
        [onnx.ValueInfoProto(name=name) for name in names],
        [tensor for tensor in proto.graph.initializer if tensor.name in read],
    )
    model = helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)
    session = open_session(model.SerializeToString(), effort=Effort.NONE, what=what)
    return run_session(session, names, {}, what=what)
