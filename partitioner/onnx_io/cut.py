"""Cuts spans of units out of a model, each an ONNX graph of its own."""

import hashlib
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import NodeProto, ValueInfoProto, helper

from partitioner.errors import PlanError
from partitioner.onnx_io.layout import Layout
from partitioner.onnx_io.node_reads import bodies_of, reads_of, writes_of
from partitioner.onnx_io.trial import free_dimensions
from partitioner.onnx_io.weights import is_external, location_of, tensor_bytes
from partitioner.shard import Blob, Shard
from partitioner.tensors import TensorSpec


def cut_span(layout: Layout, start: int, stop: int) -> Shard:
    """Units [start, stop) as an ONNX graph; equal spans give equal bytes.

    The graph has the nodes of the span in the order of the layers, before them the constant nodes that they need. Its
    inputs are the received tensors that its nodes read, its outputs the sent tensors that they make.

    Raises:
        PlanError: The span is empty or reaches beyond the units.
    """
    graph = layout.graph
    if not 0 <= start < stop <= graph.n_units:
        raise PlanError(f"Span [{start}:{stop}) of {graph.name!r} must lie in its {graph.n_units} units and hold one")
    receives = tuple(graph.spec_of[name] for name in graph.boundaries[start])
    sends = tuple(graph.spec_of[name] for name in graph.boundaries[stop])
    nodes = layout.nodes[graph.units[start].start : graph.units[stop - 1].stop]
    proto = _shard_proto(layout, nodes, receives, sends, f"{graph.name}[{start}:{stop}]")
    content = proto.SerializeToString(deterministic=True)
    blobs = {
        location_of(tensor): Blob(sha256=location_of(tensor), n_bytes=tensor_bytes(tensor))
        for tensor in proto.graph.initializer
        if is_external(tensor)
    }
    return Shard(
        start=start,
        stop=stop,
        graph=content,
        sha256=hashlib.sha256(content).hexdigest(),
        blobs=tuple(blobs[digest] for digest in sorted(blobs)),
        receives=receives,
        sends=sends,
    )


def _shard_proto(
    layout: Layout,
    nodes: Sequence[NodeProto],
    receives: Sequence[TensorSpec],
    sends: Sequence[TensorSpec],
    name: str,
) -> onnx.ModelProto:
    read = {tensor for node in nodes for tensor in reads_of(node)}
    made = {tensor for node in nodes for tensor in writes_of(node)}
    constants = layout.constants.closure(read)
    proto = onnx.ModelProto(ir_version=layout.proto.ir_version, producer_name="splitfront")
    proto.opset_import.extend(layout.proto.opset_import)
    graph = proto.graph
    graph.name = name
    graph.input.extend(_value_info(spec) for spec in receives if spec.name in read)
    if any(body for node in nodes for body in bodies_of(node)):
        for value in graph.input:
            free_dimensions(value.name, value.type.tensor_type.shape)
    graph.output.extend(_value_info(spec) for spec in sends if spec.name in made)
    graph.initializer.extend(constants.tensors)
    graph.sparse_initializer.extend(constants.sparse)
    for node in (*constants.nodes, *nodes):
        graph.node.add().CopyFrom(node)
        graph.node[-1].ClearField("metadata_props")
    return proto


def _value_info(spec: TensorSpec) -> ValueInfoProto:
    return helper.make_tensor_value_info(spec.name, helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype)), spec.shape)
