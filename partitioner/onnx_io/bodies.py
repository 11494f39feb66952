"""Takes weights out of the bodies of If, Loop and Scan, so that they are blobs as all others."""

from collections import Counter
from collections.abc import Iterator

from onnx import GraphProto, NodeProto, TensorProto

from partitioner.onnx_io.constant_nodes import constant_of
from partitioner.onnx_io.node_reads import bodies_of, rename_reads, writes_of
from partitioner.onnx_io.weights import INLINE_LIMIT_BYTES, tensor_bytes


def lift_weights(graph: GraphProto) -> None:
    """Makes large initializers and Constant nodes of bodies initializers of the graph, which its bodies may capture.

    Small Constant nodes of bodies become initializers of their body. What a body puts out, or takes as an input with a
    default, stays.
    """
    n_scopes = count_scopes(graph)
    lifted = [tensor for node in graph.node for body in bodies_of(node) for tensor in _lift_from(body, n_scopes)]
    graph.initializer.extend(lifted)


def count_scopes(graph: GraphProto) -> Counter[str]:
    """In how many scopes (the graph and all bodies in it) each name is given to a tensor."""
    n_scopes = Counter(set(_defined_in(graph)))
    for node in graph.node:
        for body in bodies_of(node):
            n_scopes.update(count_scopes(body))
    return n_scopes


def _defined_in(graph: GraphProto) -> Iterator[str]:
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (tensor.values.name for tensor in graph.sparse_initializer)
    for node in graph.node:
        yield from writes_of(node)


def _lift_from(body: GraphProto, n_scopes: Counter[str]) -> list[TensorProto]:
    lifted = [tensor for node in body.node for inner in bodies_of(node) for tensor in _lift_from(inner, n_scopes)]
    fixed = {value.name for value in (*body.input, *body.output)}
    kept_nodes: list[NodeProto] = []
    tensors = list(body.initializer)
    for node in body.node:
        tensor = constant_of(node) if fixed.isdisjoint(node.output) else None
        if tensor is None:
            kept_nodes.append(node)
        else:
            tensors.append(tensor)
    large = [tensor for tensor in tensors if tensor.name not in fixed and tensor_bytes(tensor) >= INLINE_LIMIT_BYTES]
    large_names = {tensor.name for tensor in large}
    new_name_of = {name: unique_name(name, n_scopes) for name in sorted(large_names) if n_scopes[name] > 1}
    for node in kept_nodes:
        rename_reads(node, new_name_of)
    for tensor in large:
        lifted.append(TensorProto())
        lifted[-1].CopyFrom(tensor)
        lifted[-1].name = new_name_of.get(tensor.name, tensor.name)
    _replace(body, kept_nodes, [tensor for tensor in tensors if tensor.name not in large_names])
    return lifted


def unique_name(name: str, n_scopes: Counter[str]) -> str:
    """A name like `name` that no scope has, from now on counted as taken."""
    number = 2
    while f"{name}#{number}" in n_scopes:
        number += 1
    n_scopes[f"{name}#{number}"] += 1
    return f"{name}#{number}"


def _replace(body: GraphProto, nodes: list[NodeProto], tensors: list[TensorProto]) -> None:
    kept = GraphProto(node=nodes, initializer=tensors)
    del body.node[:]
    del body.initializer[:]
    body.MergeFrom(kept)
